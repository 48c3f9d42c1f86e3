# SPDX-License-Identifier: GPL-3.0-or-later
"""A real directory, a real server, and what an administrator does between them: each kind of change is planned, applied, undone; each kind
of failure changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from ldapsync.exits import Exit
from protocol.ids import format_id
from protocol.messages.admin import AdminDirectory, ChangeDirectory, PutPerson, PutRole, Role
from tests.support.ldap_company import (
    BASE,
    GROUPS,
    PEOPLE,
    Company,
    Staff,
    entry,
    group_dn,
    portrait,
)
from tests.support.server_process import Caller, ServerProcess, free_port, make_organisation
from tests.support.slapd import LIMITED, Slapd
from tests.support.sync_office import MAPPING, SOURCE, SyncOffice

HELPDESK = bytes(15) + b"\x77"
FORMER = f"ou=Former,{BASE}"
WITHOUT_GUARDS = """
[guards]
disable = { count = 1000 }
update = { count = 1000 }
move = { count = 1000 }
remove_department = { count = 1000 }
remove_group = { count = 1000 }
remove_member = { count = 1000 }
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncOffice]:
    """A company of 600 people, brought to the server once."""
    folder = tmp_path_factory.mktemp("sync")
    company = Company(600)
    organisation = make_organisation(folder / "office")
    with Slapd(folder / "slapd", company) as slapd, ServerProcess(organisation) as server:
        slapd.change(
            entry(FORMER, objectClass="organizationalUnit", ou="Former").replace("entryUUID", "#")
        )
        with Caller(server) as caller:
            caller.sign_in()
            role = Role(HELPDESK, "Helpdesk", ("chat.recall_any",))
            caller.ask(ChangeDirectory((PutRole(role),)))
        made = SyncOffice(folder, slapd, server)
        made.run("apply", code=Exit.OK)
        yield made
        assert server.stop() == 0
        assert "Traceback" not in server.logged()


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The same directory on a server that gives 500 entries and no more."""
    folder = tmp_path_factory.mktemp("limited")
    with Slapd(folder / "slapd", Company(600), limits=LIMITED) as slapd:
        yield slapd


@pytest.fixture(scope="module")
def half_hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The same directory on a server where the account has lost its rights to a unit."""
    folder = tmp_path_factory.mktemp("hidden")
    with Slapd(folder / "slapd", Company(600), access=HALF_HIDDEN) as slapd:
        yield slapd


@pytest.fixture
def quiet(office: SyncOffice) -> Iterator[SyncOffice]:
    """The office without guards, as it was before the test and, if the test is right, as it is after it."""
    office.configure(guards=WITHOUT_GUARDS)
    office.run("plan", code=Exit.OK)
    yield office
    office.configure()
    office.run("plan", code=Exit.OK)


def company(office: SyncOffice) -> Company:
    assert office.slapd.company is not None
    return office.slapd.company


def comparable(found: AdminDirectory) -> dict[str, Any]:
    """A server's directory, but for its version."""
    return {
        "people": {one.person.id: one.person for one in found.people},
        "departments": {one.id: one for one in found.departments},
        "groups": {one.id: (one.name, set(one.members), one.anchor) for one in found.groups},
        "grants": set(found.grants),
    }


# ------------------------------------------------------------------------------------------ first run


def test_the_first_run_brought_everything(office: SyncOffice) -> None:
    people, staff = office.people(), company(office).people
    assert len(people) == len(staff)
    directory = office.directory()
    departments = {one.id: one for one in directory.departments}
    assert len(departments) == len(company(office).units)
    ann = people[staff[0].anchor]
    assert ann.name == staff[0].name
    assert ann.photo
    assert ann.custom == {"Employee number": "0"}
    assert people[staff[9].anchor].manager == people[staff[1].anchor].id
    assert {one.name for one in directory.groups} == {f"team-{number}" for number in range(8)}
    holders = {one.user for one in directory.grants if one.source == SOURCE}
    assert holders == {people[one.anchor].id for one in staff[:3]}


def test_nothing_changed(office: SyncOffice) -> None:
    before = office.directory().version
    said = office.run("plan", "--json", code=Exit.OK)
    assert said.data["plans"][0]["actions"] == []
    office.run("apply", code=Exit.OK)
    assert office.directory().version == before


# ------------------------------------------------------------------------------------------ changes


class Scenario(Struct, frozen=True):
    """Something that happens in the directory, how it is put back, and what it comes to."""

    name: str
    change: Callable[[SyncOffice], None]
    back: Callable[[SyncOffice], None]
    counts: dict[str, int]


def staff(office: SyncOffice, number: int) -> Staff:
    return company(office).people[number]


def _set(number: int, **values: str) -> Callable[[SyncOffice], None]:
    return lambda office: office.slapd.set(staff(office, number).dn, **values)


def _rename_unit(office: SyncOffice, name: str, old: str) -> None:
    office.slapd.move(f"ou={old},{PEOPLE}", f"ou={name}")


def _swap_logins(office: SyncOffice) -> None:
    one, other = staff(office, 30), staff(office, 31)
    office.slapd.move(one.dn, "uid=for-a-moment")
    office.slapd.move(other.dn, f"uid={one.uid}")
    moved = one.dn.replace(f"uid={one.uid}", "uid=for-a-moment")
    office.slapd.move(moved, f"uid={other.uid}")


def _swap_back(office: SyncOffice) -> None:
    one, other = staff(office, 30), staff(office, 31)
    first = one.dn.replace(f"uid={one.uid}", f"uid={other.uid}")
    second = other.dn.replace(f"uid={other.uid}", f"uid={one.uid}")
    office.slapd.move(first, "uid=for-a-moment")
    office.slapd.move(second, f"uid={other.uid}")
    office.slapd.move(one.dn.replace(f"uid={one.uid}", "uid=for-a-moment"), f"uid={one.uid}")


def _leave(office: SyncOffice) -> None:
    person = staff(office, 100)
    office.slapd.move(person.dn, f"uid={person.uid}", FORMER)


def _return(office: SyncOffice) -> None:
    person = staff(office, 100)
    office.slapd.move(f"uid={person.uid},{FORMER}", f"uid={person.uid}", person.unit)


def _move(office: SyncOffice) -> None:
    person = staff(office, 101)
    office.slapd.move(person.dn, f"uid={person.uid}", company(office).units[0].dn)


def _move_back(office: SyncOffice) -> None:
    person = staff(office, 101)
    here = f"uid={person.uid},{company(office).units[0].dn}"
    office.slapd.move(here, f"uid={person.uid}", person.unit)


def _new_unit(office: SyncOffice) -> None:
    dn = f"ou=新部门,{PEOPLE}"
    office.slapd.change(f"dn: {dn}\nobjectClass: organizationalUnit\nou: 新部门\n")
    for number, name in ((1, "孙"), (2, "Aud\\, Ltd")):
        office.slapd.change(
            f"dn: uid=new{number},{dn}\nobjectClass: inetOrgPerson\nuid: new{number}\nsn: {name}\ncn: {name}\n"
        )


def _no_new_unit(office: SyncOffice) -> None:
    dn = f"ou=新部门,{PEOPLE}"
    for inside in (f"uid=new1,{dn}", f"uid=new2,{dn}", dn):
        office.slapd.delete(inside)


def _group(lines: str) -> Callable[[SyncOffice], None]:
    def change(office: SyncOffice) -> None:
        text = lines.format(person=staff(office, 200).dn, first=staff(office, 0).dn)
        office.slapd.change(text)

    return change


TEAM, ADMINS = group_dn("team-1"), group_dn("admins")
NEW_TEAM = f"cn=team-新,{GROUPS}"
SCENARIOS = [
    Scenario("a title", _set(7, title="Boss"), _set(7, title="Assistant"), {"update": 1}),
    Scenario(
        "a unit is renamed with everybody in it",
        lambda office: _rename_unit(office, "Vertrieb 0", "Sales 0"),
        lambda office: _rename_unit(office, "Sales 0", "Vertrieb 0"),
        {"rename_department": 1},
    ),
    Scenario("a person moves", _move, _move_back, {"move": 1}),
    Scenario("a leaver", _leave, _return, {"disable": 1}),
    Scenario("logins are swapped", _swap_logins, _swap_back, {"rename": 2}),
    Scenario(
        "a name is changed",
        _set(11, displayName="Grace Murray"),
        lambda office: office.slapd.set(staff(office, 11).dn, displayName=staff(office, 11).name),
        {"rename": 1},
    ),
    Scenario("a unit with people", _new_unit, _no_new_unit, {"create": 2, "create_department": 1}),
    Scenario(
        "a group loses a member",
        _group(f"dn: {TEAM}\nchangetype: modify\nadd: member\nmember: {{first}}\n"),
        _group(f"dn: {TEAM}\nchangetype: modify\ndelete: member\nmember: {{first}}\n"),
        {"update_group": 1},
    ),
    Scenario(
        "a new group",
        _group(f"dn: {NEW_TEAM}\nobjectClass: groupOfNames\ncn: team-新\nmember: {{person}}\n"),
        lambda office: office.slapd.delete(NEW_TEAM),
        {"create_group": 1},
    ),
    Scenario(
        "a role by a group",
        _group(f"dn: {ADMINS}\nchangetype: modify\nadd: member\nmember: {{person}}\n"),
        _group(f"dn: {ADMINS}\nchangetype: modify\ndelete: member\nmember: {{person}}\n"),
        {"grant": 1},
    ),
    Scenario(
        "a role is lost",
        _group(f"dn: {ADMINS}\nchangetype: modify\ndelete: member\nmember: {{first}}\n"),
        _group(f"dn: {ADMINS}\nchangetype: modify\nadd: member\nmember: {{first}}\n"),
        {"revoke": 1},
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_planned_applied_undone(quiet: SyncOffice, scenario: Scenario) -> None:
    before = comparable(quiet.directory())
    scenario.change(quiet)
    try:
        planned = quiet.run("plan", "--json", code=Exit.CHANGES).data["plans"][0]
        changed = {kind: planned["counts"].get(kind, 0) for kind in scenario.counts}
        assert changed == scenario.counts, planned["actions"]
        assert all(one["why"] or one["fields"] for one in planned["actions"])
        assert comparable(quiet.directory()) == before  # a plan changes nothing
        quiet.run("apply", code=Exit.OK)
        after = comparable(quiet.directory())
        assert after != before
        quiet.run("plan", code=Exit.OK)
        quiet.run("undo", "last", "--trial", code=Exit.OK)
        assert comparable(quiet.directory()) == after
        quiet.run("undo", "last", code=Exit.OK)
        assert _without_newcomers(comparable(quiet.directory()), before) == before
        again = quiet.run("plan", "--json").data["plans"][0]["counts"]
        assert sum(again.values()) == sum(planned["counts"].values())
    finally:
        scenario.back(quiet)
        quiet.run("apply", code=Exit.OK)


def _without_newcomers(found: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Who was created and has met others meanwhile, in a group's conversation, is closed rather than removed."""
    people = {
        user: one
        for user, one in found["people"].items()
        if user in before["people"] or not one.is_off_at_source
    }
    return found | {"people": people}


# ------------------------------------------------------------------------------------------ failures


class Failure(Struct, frozen=True):
    """Something that must not be taken for people who left."""

    name: str
    says: str
    mapping: str = MAPPING
    url: str = ""
    password: str = ""


HALF_HIDDEN = (
    "access to attrs=userPassword by anonymous auth by * none\n"
    f'access to dn.subtree="ou=Sales 0,{PEOPLE}" attrs=entry,@inetOrgPerson,ou by * none\n'
    "access to * by users read by * none"
)
FAILURES = [
    Failure("unreachable", "reach", url=f"ldaps://127.0.0.1:{free_port()}"),
    Failure("wrong password", "password", password="not it"),
    Failure("wrong base", "does not exist", MAPPING.replace(PEOPLE, f"ou=Nowhere,{BASE}")),
    Failure("base without anybody", "Nothing may be seen", MAPPING.replace(PEOPLE, FORMER)),
    Failure(
        "filter without anybody",
        "matches",
        MAPPING.replace("[people]", '[people]\nfilter = "(objectClass=account)"'),
    ),
]


@contextmanager
def failing(office: SyncOffice, says: str, code: Exit = Exit.READ_FAILED) -> Iterator[None]:
    """Whatever is configured inside, plan and apply fail, and nothing changes."""
    before = comparable(office.directory())
    runs = office.run("history", "--json").data["runs"]
    try:
        yield
        for command in ("plan", "apply"):
            said = office.run(command, code=code)
            assert says in said.err + said.out, said
    finally:
        office.configure()
    assert comparable(office.directory()) == before
    assert office.run("history", "--json").data["runs"] == runs
    office.run("plan", code=Exit.OK)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: one.name)
def test_a_failed_read_is_never_absence(
    office: SyncOffice, failure: Failure, tmp_path: Path
) -> None:
    password = None
    if failure.password:
        password = tmp_path / "password"
        password.touch(mode=0o600)
        password.write_text(failure.password)
    with failing(office, failure.says):
        office.configure(failure.mapping, url=failure.url, password_file=password)


def test_a_size_limit_is_no_absence(office: SyncOffice, limited: Slapd) -> None:
    with failing(office, "size limit"):
        office.configure(slapd=limited)


def test_lost_rights_are_no_absence(office: SyncOffice, half_hidden: Slapd) -> None:
    """slapd leaves out in silence what may not be seen: it looks as if everybody of the unit had left."""
    with failing(office, "people would lose access", Exit.GUARDED):
        office.configure(slapd=half_hidden)


def test_one_bad_entry_does_not_stop_the_others(quiet: SyncOffice) -> None:
    """Without a name to sign in with, with the login of somebody else, with an attribute of many megabytes."""
    unit = company(quiet).units[0].dn
    person = "objectClass: inetOrgPerson\nsn: X\ncn: X\n"
    dns = [f"cn=no login,{unit}", f"uid=twice,{unit}", f"uid=twice,{company(quiet).units[1].dn}"]
    dns.append(f"uid=huge,{unit}")
    quiet.slapd.change(f"dn: {dns[0]}\n{person}")
    for dn in dns[1:3]:
        quiet.slapd.change(f"dn: {dn}\n{person}uid: twice\nmail: same@example.com\n")
    quiet.slapd.change(f"dn: {dns[3]}\n{person}uid: huge\ndescription: {'x' * (4 << 20)}\n")
    quiet.slapd.set(staff(quiet, 50).dn, title="Not stopped")
    try:
        done = quiet.run("apply", "--json", code=Exit.OK).data["runs"][0]["plan"]
        assert {one["dn"] for one in done["set_aside"]} >= {dns[0]}
        assert done["counts"]["update"] == 1
        people = quiet.people()
        assert people[staff(quiet, 50).anchor].places[0].title == "Not stopped"
        assert sum(one.login == "twice" for one in people.values()) <= 1
        quiet.run("plan", code=Exit.OK)
    finally:
        for dn in dns:
            quiet.slapd.delete(dn)
        quiet.slapd.set(staff(quiet, 50).dn, title=staff(quiet, 50).title)
        quiet.run("apply", code=Exit.OK)


# ------------------------------------------------------------------------------------------ guards


def test_guards_stop_the_run_and_are_lifted_once(office: SyncOffice) -> None:
    leavers = [staff(office, number) for number in range(300, 320)]
    before = comparable(office.directory())
    for one in leavers:
        office.slapd.move(one.dn, f"uid={one.uid}", FORMER)
    try:
        said = office.run("apply", code=Exit.GUARDED)
        assert "20 people would lose access" in said.out
        assert leavers[0].uid in said.out
        assert "--allow disable=20" in said.out
        assert comparable(office.directory()) == before
        office.run(
            "apply", "--allow", "disable=19", "--allow", "remove_member=100", code=Exit.GUARDED
        )
        office.run("apply", "--allow", "disable=20", "--allow", "remove_member=100", code=Exit.OK)
        (latest,) = office.run("history", "--limit", "1", "--json").data["runs"]
        assert latest["allowed"] == {"disable": 20, "remove_member": 100}
        assert latest["counts"]["disable"] == 20
    finally:
        for one in leavers:
            office.slapd.move(f"uid={one.uid},{FORMER}", f"uid={one.uid}", one.unit)
    office.run("apply", code=Exit.OK)
    assert comparable(office.directory()) == before
    office.run("plan", code=Exit.OK)


def test_a_changed_filter_is_no_evidence(office: SyncOffice) -> None:
    """Two people fewer pass every number; but they were only configured away."""
    narrower = 'filter = "(&(objectClass=person)(!(uid=u000400))(!(uid=u000401)))"'
    office.configure(MAPPING.replace("[people]", f"[people]\n{narrower}"))
    said = office.run("apply", code=Exit.GUARDED)
    assert "--allow scope=2" in said.out
    office.run("apply", "--allow", "scope=2", code=Exit.OK)
    closed = [staff(office, number).anchor for number in (400, 401)]
    assert all(office.people()[one].is_off_at_source for one in closed)
    office.configure()
    office.run("apply", code=Exit.OK)
    assert not any(office.people()[one].is_off_at_source for one in closed)


# ------------------------------------------------------------------------------------------ plan files


def test_a_plan_is_carried_out_or_said_to_be_stale(quiet: SyncOffice, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    one, other = staff(quiet, 60), staff(quiet, 61)
    quiet.slapd.set(one.dn, title="Planned")
    quiet.run("plan", "--out", plan, code=Exit.CHANGES)
    quiet.slapd.set(other.dn, title="Not planned")
    said = quiet.run("apply", plan, code=Exit.STALE)
    assert other.uid in said.err
    assert "Not planned" in said.err
    assert quiet.people()[one.anchor].places[0].title == one.title
    quiet.slapd.set(other.dn, title=other.title)
    quiet.run("apply", plan, code=Exit.OK)
    assert quiet.people()[one.anchor].places[0].title == "Planned"
    assert quiet.run("apply", plan, code=Exit.STALE).err.count("No longer to do") == 1
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace("Planned", "Forged"), encoding="utf-8")
    assert "was changed" in quiet.run("apply", plan, code=Exit.DECISION).err
    quiet.slapd.set(one.dn, title=one.title)
    quiet.run("apply", code=Exit.OK)


def test_what_an_administrator_changed_meanwhile(quiet: SyncOffice, tmp_path: Path) -> None:
    """Something else: the plan holds. The same record: it doesn't. What the admin closed by hand stays closed."""
    plan = tmp_path / "plan.json"
    person = staff(quiet, 62)
    quiet.slapd.set(person.dn, title="Planned")
    quiet.run("plan", "--out", plan, code=Exit.CHANGES)
    with Caller(quiet.server) as caller:
        caller.sign_in()
        caller.ask(ChangeDirectory((PutPerson(bytes(15) + b"L", "local", "Local"),)))
    quiet.run("apply", plan, code=Exit.OK)
    person_at_server = quiet.people()[person.anchor]
    with Caller(quiet.server) as caller:
        caller.sign_in()
        closed = structs.replace(person_at_server, is_disabled=True, phone="by hand")
        caller.ask(ChangeDirectory((closed,)))
    quiet.run("apply", code=Exit.OK)
    now = quiet.people()[person.anchor]
    assert now.is_disabled
    assert now.phone == person_at_server.phone
    with Caller(quiet.server) as caller:
        caller.sign_in()
        caller.ask(ChangeDirectory((structs.replace(now, is_disabled=False),)))
    quiet.slapd.set(person.dn, title=person.title)
    quiet.run("apply", code=Exit.OK)


# ------------------------------------------------------------------------------------------ merges


def test_a_person_made_anew_is_proposed_and_merged(quiet: SyncOffice) -> None:
    person = staff(quiet, 120)
    before = quiet.people()[person.anchor]
    quiet.slapd.delete(person.dn)
    quiet.slapd.change(
        f"dn: {person.dn}\nobjectClass: inetOrgPerson\nuid: {person.uid}\nsn: X\ncn: {person.name}\n"
        f"mail: {person.uid}@example.com\n"
    )
    planned = quiet.run("plan", "--json", code=Exit.CHANGES).data["plans"][0]
    (proposal,) = planned["proposals"]
    (candidate,) = proposal["candidates"]
    assert candidate["id"] == format_id(before.id)
    assert any("login" in reason for reason in candidate["reasons"])
    assert any("mail" in reason for reason in candidate["reasons"])
    assert "create" not in planned["counts"]
    decision = f"{proposal['anchor']}={person.uid}"
    quiet.run("apply", "--merge", decision, code=Exit.OK)
    people = quiet.people()
    assert person.anchor not in people
    merged = people[proposal["anchor"]]
    assert merged.id == before.id
    assert not merged.is_off_at_source
    quiet.run("plan", code=Exit.OK)


def test_photos_come_and_go(quiet: SyncOffice) -> None:
    person = staff(quiet, 130)
    assert person.has_photo
    before = quiet.people()[person.anchor].photo
    picture = base64.b64encode(portrait(99_999)).decode()
    head = f"dn: {person.dn}\nchangetype: modify\n"
    quiet.slapd.change(f"{head}replace: jpegPhoto\njpegPhoto:: {picture}\n")
    quiet.run("apply", code=Exit.OK)
    assert quiet.people()[person.anchor].photo not in (b"", before)
    broken = base64.b64encode(b"\xff\xd8\xff no picture").decode()
    quiet.slapd.change(f"{head}replace: jpegPhoto\njpegPhoto:: {broken}\n")
    quiet.run("apply", code=Exit.OK)
    quiet.run("apply", code=Exit.OK)
    quiet.run("plan", code=Exit.OK)
    quiet.slapd.change(
        f"{head}replace: jpegPhoto\njpegPhoto:: {base64.b64encode(portrait(130)).decode()}\n"
    )
    quiet.run("apply", code=Exit.OK)
    assert quiet.people()[person.anchor].photo == before
