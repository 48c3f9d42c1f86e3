# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups as Active Directory gives them: members in ranges, names in security ids. By recorded answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from ldapsync import ber
from ldapsync.answers import Entry
from ldapsync.config import Access, Security
from ldapsync.config_file import parse
from ldapsync.directory import Directory
from ldapsync.failures import ReadFailed
from ldapsync.groups import Group, GroupRules
from ldapsync.picks import Pick
from ldapsync.wanted import SetAside
from tests.support.ldap_proxy import Speaker, answer_to_last

DN = "CN=Everybody,DC=lab,DC=test"
GUID = uuid.uuid5(uuid.NAMESPACE_X500, DN)
CONFIG = parse(
    '[directory.lab]\nkind = "active_directory"\nbase = "DC=lab,DC=test"\nservers = ["ldap://a"]\nbind_user = "reader"\n'
).directories["lab"]
COUNT = 7


def member(number: int) -> str:
    return f"CN=Ann {number},DC=lab,DC=test"


def listed(attribute: str, first: int, last: int) -> tuple[str, list[bytes]]:
    return attribute, [member(number).encode() for number in range(first, last + 1)]


def entry(*attributes: tuple[str, list[bytes]]) -> bytes:
    parts = [
        ber.sequence(
            ber.wrap(ber.OCTETS, name.encode()),
            ber.wrap(ber.SET, b"".join(ber.wrap(ber.OCTETS, each) for each in values)),
        )
        for name, values in attributes
    ]
    return ber.wrap(ber.OCTETS, DN.encode()) + ber.sequence(*parts)


ABOUT = [
    ("objectGUID", [GUID.bytes_le]),
    ("cn", [b"Everybody"]),
    ("objectSid", [bytes(24) + (1105).to_bytes(4, "little")]),
]
FIRST = entry(*ABOUT, ("member", []), listed("member;range=0-2", 0, 2))
SECOND = entry(listed("member;range=3-5", 3, 5))
LAST = entry(listed("member;range=6-*", 6, 6))


def read_group(answers: Sequence[bytes]) -> Group | SetAside:
    """The group out of one answer to each question."""

    def reply(number: int) -> bytes:
        if number == 1:
            return answer_to_last(0x61, 0)
        return (
            answer_to_last(0x65, 0, before=answers[number - 2])
            if number - 2 < len(answers)
            else b""
        )

    with Speaker(reply) as server:
        access = Access(
            servers=(f"ldap://127.0.0.1:{server.port}",),
            security=Security.PLAIN,
            bind_user="reader",
        )
        with Directory.open(access, "secret") as directory:
            found = directory.read(DN)
            assert found is not None
            return GroupRules(CONFIG).take(found, directory.whole)


def test_ranges_are_read_to_the_last() -> None:
    group = read_group([FIRST, SECOND, LAST])
    assert isinstance(group, Group)
    assert group.members == tuple(member(number).lower() for number in range(COUNT))
    assert (group.anchor, group.name, group.rid) == (str(GUID), "Everybody", 1105)


def test_a_range_that_does_not_come_is_an_error() -> None:
    with pytest.raises(ReadFailed, match="did not come"):
        read_group([FIRST, entry(*ABOUT)])


def test_a_group_without_an_id_is_set_aside() -> None:
    aside = GroupRules(CONFIG).take(Entry(DN, {}), lambda *_: [])
    assert isinstance(aside, SetAside)
    assert "objectGUID" in aside.reason


def test_a_pick_takes_the_first_that_is_there() -> None:
    pick = Pick(["displayName", "{sn} {givenName}", "cn"])
    assert pick.attributes == ["displayName", "sn", "givenName", "cn"]
    assert pick.of({"sn": [b"Lovelace"], "givenname": [b"Ada"], "cn": [b"ada"]}) == "Lovelace Ada"
    assert pick.of({"sn": [b"Lovelace"], "cn": [b"ada"]}) == "ada"
    assert pick.source_of({"displayname": [b" "], "cn": [b"ada"]}) == "cn"
    assert pick.of({}) == ""
