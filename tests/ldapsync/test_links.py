# SPDX-License-Identifier: GPL-3.0-or-later
"""What entries are to each other: a few changes taken one by one come to the same as everything read anew."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ldapsync import names
from ldapsync.answers import Entry
from ldapsync.config import DirectoryConfig
from ldapsync.config_file import parse
from ldapsync.departments import Unit, UnitTree
from ldapsync.groups import Group, Groups
from ldapsync.links import Gathered, Links
from ldapsync.people import Found, PersonRules
from ldapsync.wanted import SetAside

BASE = "dc=e"
UNITS = [f"ou=u{number},{BASE}" for number in range(3)] + [f"ou=below,ou=u0,{BASE}"]
CONFIG: DirectoryConfig = parse(f"""
[directory.office]
base = "{BASE}"
servers = ["ldap://a"]
bind_user = "cn=r"
[directory.office.people]
custom = {{ Room = ["roomNumber"] }}
[directory.office.departments]
sources = ["ou_tree", "attribute", "groups"]
attribute = "departmentNumber"
separator = "/"
group_filter = "(cn=*)"
[directory.office.groups]
filter = "(cn=*)"
[[directory.office.roles]]
group = "cn=g0,{BASE}"
role = "Helpers"
""").directories["office"]
RULES = PersonRules(CONFIG)


def anchor(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_X500, name))


def entry(name: str, unit: str, /, **attributes: str) -> Entry:
    values = {key.lower(): [value.encode()] for key, value in attributes.items() if value}
    return Entry(f"uid={name},{unit}", {"entryuuid": [anchor(name).encode()], **values})


@st.composite
def people(draw: Any) -> dict[str, Found]:
    found = {}
    for uid in draw(st.lists(st.sampled_from("abcdefg"), unique=True, max_size=7)):
        manager, unit = draw(st.sampled_from("abcdefgx")), draw(st.sampled_from(UNITS))
        made = RULES.take(
            entry(
                uid, unit,
                uid=draw(st.sampled_from([uid, "Twice"])),
                cn=draw(st.sampled_from(["Ann", "李"])),
                mail=draw(st.sampled_from(["", f"{uid}@e", "shared@e"])),
                title=draw(st.sampled_from(["", "Clerk"])),
                manager=f"uid={manager},{draw(st.sampled_from(UNITS))}",
                departmentNumber=draw(st.sampled_from(["", "North/Sea", "north / Land"])),
                roomNumber=draw(st.sampled_from(["", "7"])),
            ),
            BASE, 0,
        )  # fmt: skip
        assert isinstance(made, Found)
        found[made.anchor] = made
    return found


@st.composite
def groups(draw: Any) -> Groups:
    keys = [f"cn=g{number},{BASE}" for number in range(3)]
    members = st.sampled_from(
        [*keys, *(f"uid={uid},{unit}" for uid in "abc" for unit in UNITS), "cn=stranger"]
    )
    made = tuple(
        Group(
            anchor(key),
            key,
            key,
            key,
            tuple(draw(st.lists(members, unique=True, max_size=5))),
            tuple(draw(st.sets(st.sampled_from("abd")))),
            0,
        )
        for key in keys
    )
    chosen = st.frozensets(st.sampled_from([each.anchor for each in made]))
    return Groups(made, draw(chosen), draw(chosen))


TREE = UnitTree(CONFIG, [Unit(anchor(dn), dn, names.normal(dn), dn, "", 0, False) for dn in UNITS])


def settled(found: dict[str, Found], some: Groups) -> Any:
    """What a full read makes of it, with nothing in it that depends on the order of reading."""
    wanted = Links(CONFIG, RULES, Gathered(found, TREE, some)).wanted("", 0)
    return in_order(wanted)


def in_order(wanted: Any) -> Any:
    return (
        dict(sorted(wanted.people.items())),
        wanted.departments,
        wanted.groups,
        wanted.grants,
        sorted(wanted.set_aside, key=lambda each: (each.dn, each.reason)),
        sorted(wanted.notices),
    )


@given(people(), people(), groups(), groups())
def test_changes_come_to_the_same_as_a_full_read(
    before: dict[str, Found], after: dict[str, Found], some: Groups, others: Groups
) -> None:
    links = Links(CONFIG, RULES, Gathered(before, TREE, some))
    was = links.wanted("", 0)
    touched = links.put_groups(others)
    touched |= links.put(
        [each for each in after.values() if before.get(each.anchor) != each],
        before.keys() - after.keys(),
    )
    wanted = links.wanted("", 0)
    assert in_order(wanted) == settled(after, others)
    untouched = (was.people.keys() | wanted.people.keys()) - touched
    assert {each: was.people.get(each) for each in untouched} == {
        each: wanted.people.get(each) for each in untouched
    }


@given(people(), groups())
def test_nobody_is_lost_and_everything_named_is_there(
    found: dict[str, Found], some: Groups
) -> None:
    wanted = Links(CONFIG, RULES, Gathered(found, TREE, some)).wanted("", 0)
    aside = {each.anchor for each in wanted.set_aside}
    assert wanted.people.keys() | aside == found.keys()
    assert not wanted.people.keys() & aside
    seen: set[str] = set()
    for department in wanted.departments.values():
        assert department.parent is None or department.parent in seen
        seen.add(department.anchor)
    for person in wanted.people.values():
        assert {place.department for place in person.places} <= seen
        assert len({place.department for place in person.places}) == len(person.places)
        assert person.manager is None or person.manager in found
        assert person.manager != person.anchor
    for group in wanted.groups.values():
        assert group.members <= found.keys()


def test_entries_that_can_not_be_people_say_why() -> None:
    no_login = RULES.take(entry("a", UNITS[0], cn="Ann"), BASE, 0)
    no_anchor = RULES.take(Entry("uid=a,dc=e", {"uid": [b"a"], "cn": [b"Ann"]}), BASE, 0)
    two_anchors = RULES.take(Entry("uid=a,dc=e", {"entryuuid": [b"1", b"2"]}), BASE, 0)
    for aside, word in (
        (no_login, "uid"),
        (no_anchor, "entryUUID"),
        (two_anchors, "more than one"),
    ):
        assert isinstance(aside, SetAside)
        assert word in aside.reason
        assert aside.mend
