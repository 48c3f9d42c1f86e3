# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-in with a directory's password: a real slapd, asked by the server's door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.task import Clock

from server.clock import ReactorClock
from server.ldap_door import Door, LdapDoor
from server.services.auth import Verdict
from server.services.passwords import Cost, Passwords
from tests.support.ldap_company import PEOPLE
from tests.support.ldap_office import LdapOffice, ldap_office

SECRET = "the door is blue"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LdapOffice]:
    with ldap_office(tmp_path_factory.mktemp("door"), 12) as made:
        for staff in made.company.people[:3]:
            made.slapd.set(staff.dn, userPassword=SECRET)
        yield made


class Desk:
    """A door with a clock that the test turns."""

    def __init__(self, office: LdapOffice, cache_hours: int = 0) -> None:
        self.hands = Clock()
        wanted = office.read()
        self.anchors = {person.login: person.anchor for person in wanted.people.values()}
        passwords = Passwords(self.in_thread, Cost(passes=1, memory_kib=8, lanes=1))
        clock = ReactorClock(self.hands, seconds=self.hands.seconds)
        door = Door(
            clock, self.in_thread, passwords, lambda one: self.anchors.get(one, ""), cache_hours
        )
        self.door = LdapDoor(office.config(), door)

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.to_thread(function, *arguments)

    async def verify(self, login: str, password: str) -> Verdict:
        return await self.door.verify(login, password)


@pytest.fixture
def desk(office: LdapOffice) -> Iterator[Desk]:
    made = Desk(office, cache_hours=1)
    yield made
    made.door.close()


async def test_right_and_wrong_and_empty(office: LdapOffice, desk: Desk) -> None:
    login = office.company.people[0].uid
    assert await desk.verify(login, SECRET) is Verdict.RIGHT
    assert await desk.verify(login, "something else") is Verdict.WRONG
    assert await desk.verify(login, "") is Verdict.WRONG
    assert await desk.verify("nobody", SECRET) is Verdict.WRONG
    assert await desk.verify(office.company.people[5].uid, SECRET) is Verdict.WRONG
    many = await asyncio.gather(*(desk.verify(login, SECRET) for _ in range(20)))
    assert set(many) == {Verdict.RIGHT}


async def test_who_was_renamed_and_moved_gets_in_and_a_login_that_changed_hands_opens_nothing(
    office: LdapOffice, desk: Desk
) -> None:
    staff = office.company.people[1]
    office.slapd.move(staff.dn, "cn=Quite Another", PEOPLE)
    try:
        assert await desk.verify(staff.uid, SECRET) is Verdict.RIGHT
        desk.anchors["stolen"] = "00000000-0000-0000-0000-000000000000"
        assert await desk.verify("stolen", SECRET) is Verdict.WRONG
    finally:
        rdn, _, above = staff.dn.partition(",")
        office.slapd.move(f"cn=Quite Another,{PEOPLE}", rdn, above)


@pytest.mark.expected_log("lanyard.ldap", "can't be checked")
async def test_a_directory_that_is_away_is_not_a_wrong_password(
    office: LdapOffice, desk: Desk
) -> None:
    login, other = (staff.uid for staff in office.company.people[:3:2])
    assert await desk.verify(login, SECRET) is Verdict.RIGHT
    office.slapd.stop()
    try:
        assert await desk.verify(other, SECRET) is Verdict.UNAVAILABLE
        assert await desk.verify(login, SECRET) is Verdict.RIGHT  # remembered
        assert await desk.verify(login, "something else") is Verdict.WRONG
        desk.hands.advance(3601)
        assert await desk.verify(login, SECRET) is Verdict.UNAVAILABLE
    finally:
        office.slapd.start()
    assert await desk.verify(other, SECRET) is Verdict.RIGHT
