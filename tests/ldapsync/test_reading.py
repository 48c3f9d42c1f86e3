# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a real slapd: what comes out, and that nothing comes out when something is wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from ldapsync.failures import ReadFailed, SyncError
from ldapsync.reading import read, scope_of
from tests.support.ldap_company import BASE, GROUPS, PEOPLE, group_dn
from tests.support.ldap_office import LdapOffice, ldap_office
from tests.support.slapd import LIMITED, OPEN_ACCESS, READER

EVERYBODY = '[groups]\nfilter = "(cn=everybody)"\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[LdapOffice]:
    with ldap_office(tmp_path) as office:
        yield office


def add_person(office: LdapOffice, uid: str, above: str = PEOPLE, **attributes: str) -> str:
    fields = {"objectClass": "inetOrgPerson", "cn": uid, "sn": "Somebody", "uid": uid} | attributes
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    dn = f"cn={fields['cn']},{above}"
    office.slapd.change("\n".join([f"dn: {dn}", *lines, ""]))
    return dn


# ------------------------------------------------------------------------------ what comes out


def test_a_company_comes_whole(office: LdapOffice) -> None:
    wanted = office.read(
        '[people]\nbases = ["ou=People,dc=example,dc=com"]\nother_name = ["cn;lang-en"]\n'
    )
    company = office.company
    assert {each.login for each in wanted.people.values()} == {each.uid for each in company.people}
    assert [each.name for each in wanted.departments.values()] == [
        each.name for each in sorted(company.units, key=lambda unit: (unit.depth, unit.dn.lower()))
    ]
    assert not wanted.set_aside
    wang = office.person(wanted, 1)
    assert (wang.name, wang.other_name) == ("王伟1", "Wang Wei 1")
    assert wang.manager == company.people[0].anchor
    (place,) = wang.places
    department = wanted.departments[place.department]
    assert (department.dn, place.title) == (company.people[1].unit, "经理")
    assert wang.why["name"] == "from displayName"
    assert wang.why["places"] == f"stands below {company.people[1].unit}"
    assert [bool(each.photo) for each in wanted.people.values()].count(True) == 30


def test_units_nest_and_some_are_left_out(office: LdapOffice) -> None:
    above, below = office.company.units[0], office.company.units[4]
    assert below.dn.endswith(above.dn)
    wanted = office.read(f'[departments]\nleave_out = ["{above.dn}"]\nhas_bases = true\n')
    names = {each.name: each for each in wanted.departments.values()}
    assert above.name not in names
    assert names[below.name].parent == names["People"].anchor
    left_out = next(each for each in office.company.people if each.unit == above.dn)
    (place,) = office.person(wanted, left_out).places
    assert place.department == names["People"].anchor


def test_names_with_everything_in_them(office: LdapOffice) -> None:
    unit = "ou=Sales\\2C \\22EMEA\\22 \\2B #1,ou=People,dc=example,dc=com"
    office.slapd.change(f'dn: {unit}\nobjectClass: organizationalUnit\nou: Sales, "EMEA" + #1\n')
    office.slapd.change(
        f"dn: cn=Smith\\2C Jo,{unit}\nobjectClass: inetOrgPerson\ncn: Smith, Jo\nsn: Smith\nuid: jo\n"
    )
    add_person(office, "report", manager=f'cn=smith\\, JO,ou=sales\\, \\"EMEA\\" \\+ \\#1,{PEOPLE}')
    wanted = office.read()
    by_login = {each.login: each for each in wanted.people.values()}
    (place,) = by_login["jo"].places
    assert wanted.departments[place.department].name == 'Sales, "EMEA" + #1'
    assert by_login["report"].manager == by_login["jo"].anchor


def test_text_is_compared_as_people_see_it(office: LdapOffice) -> None:
    dn = office.company.people[0].dn
    office.slapd.set(dn, displayName=unicodedata.normalize("NFD", "Zoë\u200b  Mü\u202eller"))
    assert office.person(office.read(), 0).name == "Zoë Müller"


def test_of_several_values_it_is_always_the_same_one(office: LdapOffice) -> None:
    dn = office.company.people[0].dn
    seen = set()
    for phones in (("+49 2", "+49 1"), ("+49 1", "+49 2")):
        values = "".join(f"telephoneNumber: {each}\n" for each in phones)
        office.slapd.change(f"dn: {dn}\nchangetype: modify\nreplace: telephoneNumber\n{values}-\n")
        seen.add(office.person(office.read(), 0).phone)
    assert len(seen) == 1


def test_names_put_together_and_custom_fields(office: LdapOffice) -> None:
    wanted = office.read(
        '[people]\nname = ["{sn}{givenName}"]\n[people.custom]\nNumber = ["employeeNumber"]\n'
    )
    assert office.person(wanted, 1).name == "王伟"
    assert office.person(wanted, 1).custom == {"Number": "1"}


def test_departments_named_in_an_attribute(office: LdapOffice) -> None:
    one, other = office.company.people[:2]
    office.slapd.set(one.dn, departmentNumber="Sales / EMEA")
    office.slapd.set(other.dn, departmentNumber="sales/APAC")
    wanted = office.read('[departments]\nsources = ["ou_tree", "attribute"]\nseparator = "/"\n')
    named = {each.name: each for each in wanted.departments.values() if not each.dn}
    assert named.keys() == {"Sales", "EMEA", "APAC"}
    assert named["EMEA"].parent == named["APAC"].parent == named["Sales"].anchor
    tree, own = office.person(wanted, one).places
    assert (wanted.departments[tree.department].dn, own.department) == (
        one.unit,
        named["EMEA"].anchor,
    )


def test_departments_out_of_groups(office: LdapOffice) -> None:
    wanted = office.read(
        '[departments]\nsources = ["groups"]\ngroup_filter = "(|(cn=everybody)(cn=team-*))"\n'
    )
    names = {each.name: each for each in wanted.departments.values()}
    assert names["team-3"].parent == names["everybody"].anchor
    (place,) = office.person(wanted, 3).places
    assert place.department == names["team-3"].anchor


# --------------------------------------------------------------------------------------- groups


def test_nested_groups_are_resolved_and_circles_survive(office: LdapOffice) -> None:
    teams = {each.anchor for each in office.company.people if int(each.uid[1:]) % 9 < 8}
    office.slapd.change(
        f"dn: {group_dn('team-0')}\nchangetype: modify\nadd: member\nmember: {group_dn('everybody')}\n-\n"
    )
    wanted = office.read(EVERYBODY)
    (everybody,) = wanted.groups.values()
    assert everybody.members == teams
    assert any("contains itself" in notice for notice in wanted.notices)


def test_members_by_login_and_members_from_elsewhere(office: LdapOffice) -> None:
    office.slapd.change(
        f"dn: cn=posix,{GROUPS}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 5\nmemberUid: U000004\n"
    )
    office.slapd.change(
        f"dn: cn=mixed,{GROUPS}\nobjectClass: groupOfNames\ncn: mixed\nmember: {READER}\n"
        f"member: {office.company.people[2].dn}\n"
    )
    wanted = office.read('[groups]\nfilter = "(|(cn=posix)(cn=mixed))"\n')
    members = {each.name: each.members for each in wanted.groups.values()}
    assert members == {
        "posix": {office.company.people[4].anchor},
        "mixed": {office.company.people[2].anchor},
    }
    assert any("cn=reader" in notice for notice in wanted.notices)


def test_roles_are_held_by_members(office: LdapOffice) -> None:
    unit = office.company.units[0]
    rule = (
        f'[[roles]]\ngroup = "{group_dn("admins")}"\nrole = "Helpers"\ndepartment = "{unit.dn}"\n'
    )
    wanted = office.read(rule)
    assert {each.person for each in wanted.grants} == {
        each.anchor for each in office.company.people[:3]
    }
    department = wanted.departments[wanted.grants[0].department or ""]
    assert (wanted.grants[0].role, department.name) == ("Helpers", unit.name)


def test_a_group_that_gives_roles_and_is_gone_stops_the_read(office: LdapOffice) -> None:
    rule = f'[[roles]]\ngroup = "{group_dn("admins")}"\nrole = "Helpers"\n'
    office.slapd.delete(group_dn("admins"))
    with pytest.raises(ReadFailed, match="cn=admins"):
        office.read(rule)


# ------------------------------------------------------------------------------------ one entry


def test_entries_that_lack_something_are_set_aside_and_the_others_go_on(office: LdapOffice) -> None:
    nobody = add_person(office, "", cn="No Login")
    wanted = office.read()
    (aside,) = wanted.set_aside
    assert (aside.dn, len(wanted.people)) == (nobody, 300)
    assert "uid" in aside.reason
    assert aside.anchor


def test_doubles_are_set_aside_together_and_named(office: LdapOffice) -> None:
    double = add_person(office, "U000007", mail="other@example.com")
    namesake = add_person(office, "someone", mail="U000008@EXAMPLE.com")
    wanted = office.read()
    dns = {each.dn: each for each in wanted.set_aside}
    people = office.company.people
    assert dns.keys() == {double, people[7].dn, namesake, people[8].dn}
    assert people[7].dn in dns[double].reason
    assert double in dns[people[7].dn].reason
    assert "mail address" in dns[namesake].reason
    shared = office.read('[people]\nunique = ["login"]\n')
    assert {each.dn for each in shared.set_aside} == {double, people[7].dn}


def test_an_anchor_that_may_not_be_read_sets_everybody_aside(office: LdapOffice) -> None:
    office.slapd.restart(access=f"access to attrs=entryUUID by * none\n{OPEN_ACCESS}")
    wanted = office.read()
    assert not wanted.people
    assert "entryUUID" in wanted.set_aside[0].reason


def test_managers_who_are_not_there_and_circles_of_managers(office: LdapOffice) -> None:
    one, other = office.company.people[1], office.company.people[9]
    office.slapd.set(one.dn, manager=other.dn)
    office.slapd.without("overlay refint", "refint_attributes member manager")
    office.slapd.set(office.company.people[2].dn, manager=f"uid=gone,{PEOPLE}")
    wanted = office.read()
    assert office.person(wanted, one).manager == other.anchor
    assert office.person(wanted, other).manager == one.anchor
    assert office.person(wanted, 2).manager is None
    assert any("uid=gone" in notice for notice in wanted.notices)


def test_who_has_no_access(office: LdapOffice) -> None:
    office.slapd.change(
        f"dn: {office.company.people[3].dn}\nchangetype: modify\nadd: objectClass\nobjectClass: shadowAccount\n-\n"
        "replace: shadowExpire\nshadowExpire: 1\n-\n"
    )
    office.slapd.set(office.company.people[4].dn, employeeType="Left")
    config = office.config(
        '[people]\nbases = ["ou=People,dc=example,dc=com"]\n[people.off_when]\nemployeeType = ["left"]\n'
    )
    wanted = read(config, now_ms=1_800_000_000_000)
    off = {
        each.login: each.why["is_disabled"] for each in wanted.people.values() if each.is_disabled
    }
    assert off == {"u000003": "expired by shadowExpire", "u000004": "employeeType is Left"}


# ------------------------------------------------------------------------ when nothing comes out


def test_a_size_limit_is_no_end(office: LdapOffice, tmp_path: Path) -> None:
    office.slapd.restart(limits=LIMITED.replace("500", "200"))
    with pytest.raises(ReadFailed, match="size limit"):
        office.read()


def test_a_base_that_is_empty_and_a_filter_that_matches_nobody(office: LdapOffice) -> None:
    office.slapd.change(f"dn: ou=Empty,{BASE}\nobjectClass: organizationalUnit\nou: Empty\n")
    with pytest.raises(ReadFailed, match="empty, or the account has lost its rights"):
        office.read(f'[people]\nbases = ["ou=Empty,{BASE}"]\n')
    with pytest.raises(ReadFailed, match="there are other entries"):
        office.read('[people]\nfilter = "(objectClass=pilotPerson)"\n')
    with pytest.raises(ReadFailed, match="does not exist"):
        office.read(f'[people]\nbases = ["ou=Mistyped,{BASE}"]\n')
    assert not office.read(
        f'[people]\nbases = ["ou=Empty,{BASE}"]\n', top="may_be_empty = true"
    ).people


def test_rights_that_were_taken_from_part_of_the_tree(office: LdapOffice) -> None:
    hidden = office.company.units[8].dn
    assert office.read().people
    office.slapd.restart(access=f'access to dn.children="{hidden}" by * none\n{OPEN_ACCESS}')
    with pytest.raises(ReadFailed, match="may see none") as refused:
        office.read()
    assert hidden in str(refused.value)
    left_out = office.read(f'[departments]\nleave_out = ["{hidden}"]\n')
    assert len(left_out.people) < len(office.company.people)


def test_a_part_of_the_tree_that_another_server_holds(office: LdapOffice) -> None:
    office.slapd.change(
        f"dn: ou=Elsewhere,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: Elsewhere\n"
        "ref: ldap://other.invalid/ou=Elsewhere,dc=example,dc=com\n"
    )
    with pytest.raises(ReadFailed, match=r"other\.invalid"):
        office.read()
    wanted = office.read(top="has_referrals = true")
    assert len(wanted.people) == 300
    assert any("other.invalid" in notice for notice in wanted.notices)


def test_an_attribute_that_nobody_has_is_noticed(office: LdapOffice) -> None:
    wanted = office.read('[people]\nphone = ["telephoneNumbr"]\n')
    assert any("telephoneNumbr" in notice for notice in wanted.notices)


def test_the_scope_changes_with_what_is_read_and_not_with_what_is_shown(office: LdapOffice) -> None:
    scopes = [
        scope_of(office.config(more))
        for more in (
            "",
            '[people]\ntitle = ["description"]\n',
            '[people]\nfilter = "(sn=*)"\n',
            EVERYBODY,
        )
    ]
    assert len(set(scopes)) == 4
    assert scope_of(office.config()) == scopes[0]


def test_errors_are_of_this_room(office: LdapOffice) -> None:
    office.slapd.stop()
    with pytest.raises(SyncError, match="can't be reached"):
        office.read()
