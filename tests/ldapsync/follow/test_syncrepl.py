# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a real slapd: what happens arrives within a second, and once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ldapsync.config import DirectoryConfig
from ldapsync.failures import DirectoryError, ReadFailed
from ldapsync.follow.change import Change, Follower
from ldapsync.follow.follower import open_follower
from ldapsync.follow.syncrepl import COOKIE
from ldapsync.reading import Patch, Reader
from tests.support.ldap_company import group_dn
from tests.support.ldap_office import LdapOffice, ldap_office

SOON_S = 10.0
NEVER_S = 0.3
GROUPS = '[groups]\nfilter = "(cn=team-*)"\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[LdapOffice]:
    with ldap_office(tmp_path) as office:
        yield office


class Watch:
    """A follower and the reader that takes what it notices."""

    def __init__(self, config: DirectoryConfig, follower: Follower) -> None:
        self.follower = follower
        self.reader = Reader(config)
        self.wanted = self.reader.read(0)

    def change(self) -> Change:
        change = self.follower.wait(SOON_S)
        assert change is not None
        return change

    def patch(self) -> Patch:
        patch = self.reader.take(self.change(), 0)
        assert patch is not None
        self.wanted = patch.wanted
        return patch


@contextmanager
def watching(office: LdapOffice, more: str = "", top: str = "") -> Iterator[Watch]:
    config = office.config(more, top=top)
    with closing(open_follower(config, {}, 0)) as follower:
        yield Watch(config, follower)


def test_nothing_happens_without_a_change(office: LdapOffice) -> None:
    with watching(office) as watch:
        assert watch.follower.wait(NEVER_S) is None


def test_a_title_arrives_with_the_person_alone(office: LdapOffice) -> None:
    staff = office.company.people[7]
    with watching(office) as watch:
        office.slapd.set(staff.dn, title="Captain")
        patch = watch.patch()
        assert patch.touched == {staff.anchor}
        assert office.person(watch.wanted, staff).places[0].title == "Captain"
        assert watch.follower.wait(NEVER_S) is None
        assert patch.wanted == watch.reader.read(0)


def test_a_new_and_a_removed_person(office: LdapOffice) -> None:
    one, other = office.company.people[280], office.company.people[281]
    with watching(office) as watch:
        office.slapd.delete(one.dn)
        office.slapd.change(
            f"dn: uid=new,{other.unit}\nobjectClass: inetOrgPerson\nuid: new\ncn: New\nsn: New\n"
        )
        while "new" not in {each.login for each in watch.wanted.people.values()}:
            watch.patch()
        assert one.anchor not in watch.wanted.people
        assert watch.wanted == watch.reader.read(0)


def test_what_happened_while_nobody_listened(office: LdapOffice) -> None:
    one, other = office.company.people[280], office.company.people[281]
    config = office.config()
    with closing(open_follower(config, {}, 0)) as follower:
        assert follower.wait(NEVER_S) is None
        marks = dict(follower.marks)
    office.slapd.set(one.dn, title="Captain")
    office.slapd.delete(other.dn)
    with closing(open_follower(config, marks, 0)) as follower:
        change = follower.wait(SOON_S)
    assert change is not None
    assert [entry.attributes["title"] for entry in change.people] == [[b"Captain"]]
    assert change.gone == {other.anchor}


def test_somebody_moves_and_the_reports_keep_their_manager(office: LdapOffice) -> None:
    boss = office.company.people[1]
    reports = range(8, 16)
    unit = next(each for each in office.company.units if each.dn != boss.unit)
    with watching(office, GROUPS) as watch:
        assert office.person(watch.wanted, 8).manager == boss.anchor
        office.slapd.move(boss.dn, f"uid={boss.uid}", unit.dn)
        watch.patch()
        assert {office.person(watch.wanted, each).manager for each in reports} == {boss.anchor}
        assert watch.wanted == watch.reader.read(0)


def test_a_renamed_unit_asks_for_a_full_read(office: LdapOffice) -> None:
    with watching(office) as watch:
        office.slapd.move(office.company.units[0].dn, "ou=Renamed")
        assert watch.change().is_full


def test_a_removed_unit_asks_for_a_full_read(office: LdapOffice) -> None:
    unit = f"ou=Short-lived,{office.company.units[0].dn}"
    office.slapd.change(f"dn: {unit}\nobjectClass: organizationalUnit\nou: Short-lived\n")
    with watching(office) as watch:
        office.slapd.delete(unit)
        assert watch.reader.take(watch.change(), 0) is None


def test_a_member_more_changes_the_group_alone(office: LdapOffice) -> None:
    staff = office.company.people[3]
    with watching(office, GROUPS) as watch:
        office.slapd.change(
            f"dn: {group_dn('team-0')}\nchangetype: modify\nadd: member\nmember: {staff.dn}\n-\n"
        )
        watch.patch()
        (team,) = [each for each in watch.wanted.groups.values() if each.name == "team-0"]
        assert staff.anchor in team.members
        assert watch.wanted == watch.reader.read(0)


def test_a_login_that_two_have_sets_both_aside_and_comes_back(office: LdapOffice) -> None:
    one, other = office.company.people[4], office.company.people[5]
    with watching(office, '[people]\nlogin = ["mail"]\n') as watch:
        office.slapd.set(one.dn, mail=f"{other.uid.upper()}@example.com")
        patch = watch.patch()
        assert {one.anchor, other.anchor} == patch.touched
        assert {each.anchor for each in watch.wanted.set_aside} == {one.anchor, other.anchor}
        office.slapd.set(one.dn, mail="another@example.com")
        watch.patch()
        assert not watch.wanted.set_aside
        assert {one.anchor, other.anchor} <= watch.wanted.people.keys()


def test_a_cookie_from_nowhere_asks_for_a_full_read(office: LdapOffice) -> None:
    old = b"rid=000,csn=20200101000000.000000Z#000000#000#000000"
    with closing(open_follower(office.config(), {COOKIE: old}, 0)) as follower:
        change = follower.wait(SOON_S)
        assert change == Change(is_full=True)
        assert follower.marks[COOKIE] != old


def test_a_server_that_goes_is_an_error_not_a_silence(office: LdapOffice) -> None:
    with closing(open_follower(office.config(), {}, 0)) as follower:
        office.slapd.stop()
        with pytest.raises(DirectoryError):
            follower.wait(SOON_S)


def test_a_server_without_the_overlay_says_so(office: LdapOffice) -> None:
    office.slapd.without("overlay syncprov", "syncprov-sessionlog 1000")
    with (
        closing(open_follower(office.config(), {}, 0)) as follower,
        pytest.raises(ReadFailed, match="modify_timestamp"),
    ):
        follower.wait(SOON_S)
