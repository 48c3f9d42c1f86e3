# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory: what each viewer gets whole, what in differences, and what others are told of changes."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RequestRefused
from protocol.ids import DepartmentId, UserId
from protocol.messages import admin as wire
from protocol.messages import people as people_wire
from protocol.messages.admin import Effect, Permission, PutPerson, VisibilityRule
from protocol.messages.people import DirectoryMoved, FindPeople, GetDirectory, Place
from protocol.prepared import PreparedReply, prepare
from server.services import people as people_service
from server.services.caller import OPERATOR, Caller
from server.services.directory_changes import Draft
from server.services.directory_news import QUIET_S, DirectoryNews
from server.services.organisation import OrgTree
from server.services.people import Directory
from tests.server.services.office import (
    Office,
    caller,
    grant,
    make_id,
    operator,
    put_department,
    put_person,
    role,
)
from tests.support.world import World

NAMES = ["ann", "bob", "cleo", "dan"]
UNITS = ["top", "left", "right", "deep"]
SEER = role("Seer", Permission.SEE_EVERYONE)
LABEL = role("Label")

places = st.lists(st.sampled_from(UNITS), max_size=2, unique=True).map(
    lambda units: tuple(Place(make_id(unit)) for unit in units)
)
units = st.none() | st.sampled_from(UNITS).map(make_id)
labels = st.none() | st.just(make_id("Label"))
rules = st.builds(
    VisibilityRule, units, labels, units, labels, st.sampled_from(Effect), st.booleans()
)
grants = st.builds(
    wire.RoleGrant,
    st.sampled_from(NAMES).map(make_id),
    st.sampled_from(["Seer", "Label"]).map(make_id),
    units,
)
changes: st.SearchStrategy[wire.DirectoryChange] = st.one_of(
    st.builds(
        lambda name, places, phone, is_disabled: put_person(
            name, places=places, phone=phone, is_disabled=is_disabled
        ),
        st.sampled_from([*NAMES, "new"]),
        places,
        st.sampled_from(["", "1"]),
        st.booleans(),
    ),
    st.builds(
        lambda name, parent: put_department(name, parent),
        st.sampled_from([*UNITS, "new unit"]),
        st.none() | st.sampled_from([*UNITS, "new unit"]),
    ),
    st.builds(wire.RemoveDepartment, st.sampled_from([*UNITS, "new unit"]).map(make_id)),
    st.builds(wire.GrantRole, grants),
    st.builds(wire.RevokeRole, grants),
    st.builds(wire.SetVisibility, st.lists(rules, max_size=3).map(tuple)),
    st.builds(
        lambda is_for_everyone: role("Label", is_for_everyone=is_for_everyone), st.booleans()
    ),
)


async def inline(function: object, *arguments: object) -> object:
    return function(*arguments)  # type: ignore[operator]


class Company:
    """A directory that is changed without a store."""

    def __init__(self) -> None:
        self.directory = Directory(inline)
        tree = OrgTree()
        tree.version = tree.rules_version = 1
        self.directory.take(tree)
        for name in UNITS:
            self.change(put_department(name, "left" if name == "deep" else None))
        self.change(*(put_person(name, UNITS[index]) for index, name in enumerate(NAMES)))
        self.change(SEER, LABEL)

    def change(self, *changes: wire.DirectoryChange) -> None:
        draft = Draft(self.directory.tree, OPERATOR, 8)
        try:
            for change in changes:
                draft.add(change)
        except RequestRefused:
            return
        if draft.is_news:
            self.directory.take(draft.tree, draft.change())

    def ask(self, name: str, since: int = 0) -> people_wire.Directory:
        return self.directory.get_directory(caller(name), GetDirectory(since))


class Copy:
    """What one person's client holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = 0
        self.people: dict[UserId, people_wire.Person] = {}
        self.departments: dict[DepartmentId, people_wire.Department] = {}

    def update(self, company: Company) -> people_wire.Directory:
        answer = company.ask(self.name, self.version)
        if answer.is_full:
            self.people.clear()
            self.departments.clear()
        self.people.update((each.id, each) for each in answer.people)
        self.departments.update((each.id, each) for each in answer.departments)
        for user in answer.gone_people:
            self.people.pop(user, None)
        for department in answer.gone_departments:
            self.departments.pop(department, None)
        self.version = answer.version
        return answer


@settings(max_examples=200)
@given(st.lists(st.tuples(changes, st.sets(st.sampled_from(NAMES))), max_size=12))
def test_differences_come_to_the_same_as_the_whole(
    steps: list[tuple[wire.DirectoryChange, set[str]]],
) -> None:
    company = Company()
    copies = {name: Copy(name) for name in NAMES}
    for copy in copies.values():
        copy.update(company)
    for change, asking in [*steps, (SEER, set(NAMES))]:
        company.change(change)
        for name in sorted(asking):
            copies[name].update(company)
    for name, copy in copies.items():
        whole = company.ask(name)
        assert whole.is_full
        assert copy.people == {each.id: each for each in whole.people}
        assert copy.departments == {each.id: each for each in whole.departments}
        visible = {
            u for u in company.directory.tree.people if company.directory.may_see(make_id(name), u)
        }
        assert copy.people.keys() == visible


def test_only_what_changed_travels() -> None:
    company = Company()
    copy = Copy("ann")
    copy.update(company)
    company.change(put_person("bob", "left", phone="123"))
    answer = copy.update(company)
    assert [each.login for each in answer.people] == ["bob"]
    assert (answer.is_full, answer.departments, answer.gone_people) == (False, (), ())
    assert copy.update(company) == people_wire.Directory(company.directory.version)


def test_a_closed_account_stays_listed() -> None:
    company = Company()
    copy = Copy("ann")
    copy.update(company)
    company.change(put_person("bob", "left", is_disabled=True))
    copy.update(company)
    assert copy.people[make_id("bob")].is_disabled


def test_who_moves_out_of_sight_is_gone_and_who_was_never_seen_is_not_mentioned() -> None:
    company = Company()
    company.change(
        wire.SetVisibility((VisibilityRule(targets=make_id("left"), effect=Effect.HIDE),))
    )
    copy = Copy("ann")
    copy.update(company)
    company.change(put_person("new", "deep"), put_person("bob", "left", phone="5"))
    answer = copy.update(company)
    assert (answer.people, answer.gone_people) == ((), ())
    company.change(put_person("cleo", "left"))
    answer = copy.update(company)
    assert not answer.is_full
    assert answer.gone_people == (make_id("cleo"),)


def test_a_version_from_elsewhere_gets_everything() -> None:
    company = Company()
    for since in (0, -5, 1, company.directory.version + 1):
        assert company.ask("ann", since).is_full == (since != 1)


def test_whole_answers_are_shared() -> None:
    company = Company()
    assert company.ask("ann").people is company.ask("bob").people


def test_large_answers_are_prepared_once_for_all_who_ask_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    made: list[object] = []

    def counted(reply: people_wire.Directory) -> PreparedReply:
        made.append(reply)
        return prepare(reply)

    monkeypatch.setattr(people_service, "prepare", counted)
    monkeypatch.setattr(people_service, "MAX_ENCODED_INLINE", 2)
    answers = [one.asks(GetDirectory(since)) for one in (alice, bob) for since in (0, 10**6)]
    assert all(answer == answers[0] for answer in answers)
    assert {person.name for person in answers[0].people} == {"Alice", "Bob", "Carol"}
    assert made == [answers[0]]
    version = answers[0].version
    world.changes(PutPerson(carol.user, "carol", "Caroline"))
    small = alice.asks(GetDirectory(version))
    assert [person.name for person in small.people] == ["Caroline"]
    assert len(made) == 1
    assert "Caroline" in {person.name for person in bob.asks(GetDirectory()).people}
    assert len(made) == 2


async def test_who_is_where(office: Office) -> None:
    await office.furnish()
    await office.change(
        put_person("tom", "team", "sales"), put_person("tia", "team", is_disabled=True)
    )
    directory = office.directory
    assert directory.members_of(make_id("works")) == {make_id("wen"), make_id("tom")}
    assert directory.members_of(make_id("nowhere")) == set()
    expected = {make_id(name) for name in ("team", "works", "company", "sales")}
    assert directory.departments_of(make_id("tom")) == expected
    for user in directory.tree.people:
        for department in directory.tree.departments:
            is_member = user in directory.members_of(department)
            is_above = department in directory.departments_of(user)
            assert is_member == (is_above and not directory.is_disabled(user))
    key = directory.key_of(make_id("tom"))
    assert directory.id_of(key) == make_id("tom")
    assert directory.person(make_id("nobody")) is None
    assert directory.department(make_id("team")) is not None
    assert directory.people_count() == 5


async def test_the_epoch_grows_with_what_may_matter(office: Office) -> None:
    await office.furnish()
    before = office.directory.rules_epoch
    await office.change(put_person("tom", "sales"))
    assert office.directory.rules_epoch > before


class TestFinding:
    async def find(
        self, office: Office, text: str, by: Caller | None = None, **more: object
    ) -> list[str]:
        request = FindPeople(text, **more)  # type: ignore[arg-type]
        found = await office.directory.find_people(by or caller("ada"), request)
        return [each.login for each in found.people]

    async def test_only_visible_people(self, office: Office) -> None:
        await office.furnish()
        rule = VisibilityRule(viewers=make_id("sales"), targets=make_id("team"), effect=Effect.HIDE)
        await office.change(wire.SetVisibility((rule,)))
        assert await self.find(office, "t", caller("wen")) == ["tia", "tom"]
        assert await self.find(office, "t", caller("sam")) == []
        assert await self.find(office, "sam", caller("sam")) == ["sam"]

    async def test_below_a_department(self, office: Office) -> None:
        await office.furnish()
        assert await self.find(office, "clerk", department=make_id("works")) == [
            "tia",
            "tom",
            "wen",
        ]
        assert await self.find(office, "clerk", department=make_id("nowhere")) == []

    async def test_a_hidden_department_is_no_help_to_find_out_who_sits_there(
        self, office: Office
    ) -> None:
        await office.furnish()
        await office.change(put_person("tom", "team", "sales"))
        rule = VisibilityRule(targets=make_id("team"), effect=Effect.HIDE)
        await office.change(wire.SetVisibility((rule,)))
        sam = caller("sam")
        assert await self.find(office, "tom", sam) == ["tom"]  # a colleague
        assert await self.find(office, "tom", sam, department=make_id("team")) == []

    async def test_in_a_large_organisation_in_a_thread(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await office.furnish()
        monkeypatch.setattr(people_service, "MAX_SEARCHED_INLINE", 0)
        assert await self.find(office, "tom") == ["tom"]


async def test_news_come_at_once_and_then_together(office: Office) -> None:
    await office.furnish()
    DirectoryNews(office.directory, office.audience, office.clock)
    for number in range(4):
        await office.change(put_person(f"new{number}"))
    version = office.directory.version
    assert office.audience.to_all == [DirectoryMoved(version - 3)]
    office.hands.advance(QUIET_S)
    assert office.audience.to_all == [DirectoryMoved(version - 3), DirectoryMoved(version)]
    office.hands.advance(QUIET_S)
    office.hands.advance(QUIET_S)
    assert len(office.audience.to_all) == 2
    await office.change(put_person("last"))
    assert office.audience.to_all[-1] == DirectoryMoved(version + 1)


async def test_long_changes_let_others_take_their_turn(office: Office) -> None:
    turns = 0
    seconds = 0.0

    def slow_seconds() -> float:
        nonlocal seconds
        seconds += 0.001
        return seconds

    office.clock.now = slow_seconds

    async def count(delay_s: float) -> None:
        nonlocal turns
        turns += 1
        await asyncio.sleep(0)

    office.admin._sleep = count
    await office.change(*(put_person(f"person{number}") for number in range(100)), by=operator)
    assert turns >= 10
    await office.change(grant("person1"), by=operator)
