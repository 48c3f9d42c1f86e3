# SPDX-License-Identifier: GPL-3.0-or-later
"""Active Directory as Samba plays it: a domain controller of our own, from first read to tombstone. Takes about 25 seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec import structs

from ldapsync import vendors
from ldapsync.config import DirectoryConfig, FollowMethod, Kind
from ldapsync.config_file import parse
from ldapsync.directory import Directory
from ldapsync.failures import ReadFailed
from ldapsync.follow.change import Change
from ldapsync.follow.dirsync import COOKIE
from ldapsync.follow.follower import open_follower
from ldapsync.follow.polling import SERVER, USN
from ldapsync.proposal import propose
from ldapsync.reading import Reader, read
from ldapsync.verdicts import Verdict
from ldapsync.wanted import Wanted
from tests.support.samba_dc import BASE, PASSWORD, SambaDc

STAFF_PASSWORD = "Passw0rd of staff"
SALES = f"OU=Sales,{BASE}"
GROUPS = '[directory.lab.groups]\nfilter = "(|(cn=outer)(cn=Domain Users))"\n'


def staff(number: int) -> str:
    return f"CN=Ann {number},{SALES}"


def person(number: int) -> list[dict[str, object]]:
    login = f"ann{number}"
    return [
        {"do": "add", "dn": staff(number), "objectClass": "user", "sAMAccountName": login, "displayName": f"安 {number}",
         "userPrincipalName": f"{login}@lab.test", "mail": f"{login}@lab.test", "title": "Clerk"},
        {"do": "password", "login": login, "password": STAFF_PASSWORD},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaDc]:
    domain = SambaDc(tmp_path_factory.mktemp("domain") / "dc")
    domain.change(
        {"do": "add", "dn": SALES, "objectClass": "organizationalUnit"},
        *(step for number in range(30) for step in person(number)),
        {"do": "replace", "dn": staff(1), "manager": staff(0)},
        {"do": "replace", "dn": staff(2), "userAccountControl": "514"},
        {"do": "replace", "dn": staff(3), "accountExpires": "133485408000000000"},
        {"do": "add", "dn": f"CN=inner,{BASE}", "objectClass": "group", "member": staff(4)},
        {
            "do": "add",
            "dn": f"CN=outer,{BASE}",
            "objectClass": "group",
            "member": f"CN=inner,{BASE}",
        },
    )
    with domain:
        yield domain


@pytest.fixture
def config(domain: SambaDc) -> DirectoryConfig:
    return parse(domain.toml(GROUPS)).directories["lab"]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def by_login(wanted: Wanted, number: int) -> str:
    return next(each.anchor for each in wanted.people.values() if each.login == f"ann{number}")


def test_it_says_what_it_is(config: DirectoryConfig) -> None:
    with Directory.open(config, PASSWORD) as directory:
        vendor = vendors.ask(directory)
    assert vendor.kind is Kind.SAMBA
    assert vendor.bases == (BASE,)
    assert vendor.has_paging
    assert vendor.can_follow(FollowMethod.DIRSYNC)
    proposal = propose(config)
    assert "Sales" in {each.name for each in proposal.samples.departments.values()}


def test_a_domain_comes_whole(config: DirectoryConfig) -> None:
    wanted = read(config, now_ms())
    people = {each.login: each for each in wanted.people.values()}
    assert {f"ann{number}" for number in range(30)} <= people.keys()
    assert "krbtgt" not in people
    ann = people["ann1"]
    assert (ann.name, ann.manager) == ("安 1", people["ann0"].anchor)
    assert [wanted.departments[each.department].name for each in ann.places] == ["Sales"]
    assert {
        login for login, each in people.items() if each.is_disabled and login.startswith("ann")
    } == {"ann2", "ann3"}
    groups = {each.name: each.members for each in wanted.groups.values()}
    assert groups["outer"] == {people["ann4"].anchor}
    assert {people[f"ann{number}"].anchor for number in range(30)} <= groups["Domain Users"]


def test_the_size_of_pages_changes_nothing(config: DirectoryConfig) -> None:
    small = structs.replace(config, page_size=10)
    assert structs.replace(read(small, 0), scope="") == structs.replace(read(config, 0), scope="")


def test_who_may_sign_in(config: DirectoryConfig) -> None:
    with Directory.open(config, is_bound=False) as directory:
        assert directory.bind("ann0@lab.test", STAFF_PASSWORD) is Verdict.ACCEPTED
        assert directory.bind("LAB\\ann0", STAFF_PASSWORD) is Verdict.ACCEPTED
        assert directory.bind("ann0@lab.test", "guess") is Verdict.WRONG
        assert directory.bind("ann2@lab.test", STAFF_PASSWORD) is Verdict.DISABLED
        assert directory.bind("ann3@lab.test", STAFF_PASSWORD) is Verdict.EXPIRED


@pytest.mark.parametrize("method", [FollowMethod.DIRSYNC, FollowMethod.USN])
def test_changes_and_tombstones_are_followed(
    domain: SambaDc, config: DirectoryConfig, method: FollowMethod
) -> None:
    number = {FollowMethod.DIRSYNC: 40, FollowMethod.USN: 41}[method]
    config = structs.replace(config, follow=method)
    reader = Reader(config)
    with closing(open_follower(config, {}, now_ms())) as follower:
        reader.read(now_ms())
        domain.change(*person(number))
        wanted = taken(reader, follower.wait(20))
        anchor = by_login(wanted, number)
        domain.change({"do": "replace", "dn": staff(number), "title": "Captain"})
        wanted = taken(reader, follower.wait(20))
        assert wanted.people[anchor].places[0].title == "Captain"
        marks = dict(follower.marks)
    domain.change({"do": "rename", "dn": staff(number), "to": f"CN=Ann {number},CN=Users,{BASE}"})
    with closing(open_follower(config, marks, now_ms())) as follower:
        wanted = taken(reader, follower.wait(20))
        assert wanted.people[anchor].places == ()
        domain.change({"do": "delete", "dn": f"CN=Ann {number},CN=Users,{BASE}"})
        wanted = taken(reader, follower.wait(20))
        assert anchor not in wanted.people
        assert follower.wait(0) is None
    assert wanted == structs.replace(reader.read(now_ms()), read_ms=wanted.read_ms)


def taken(reader: Reader, change: Change | None) -> Wanted:
    assert change is not None
    patch = reader.take(change, now_ms())
    assert patch is not None
    return patch.wanted


def test_numbers_of_another_server_ask_for_a_full_read(config: DirectoryConfig) -> None:
    config = structs.replace(config, follow=FollowMethod.USN)
    with closing(open_follower(config, {USN: b"1", SERVER: b"another"}, now_ms())) as follower:
        assert follower.wait(20) == Change(is_full=True)


def test_a_cookie_that_is_none_is_an_error(config: DirectoryConfig) -> None:
    with (
        closing(open_follower(config, {COOKIE: b"nonsense"}, now_ms())) as follower,
        pytest.raises(ReadFailed),
    ):
        follower.wait(20)
