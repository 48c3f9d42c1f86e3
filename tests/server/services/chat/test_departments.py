# SPDX-License-Identifier: GPL-3.0-or-later
"""Department conversations: whoever sits there belongs to it, whatever happens to the tree."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.errors import ErrorCode
from protocol.ids import department_conversation_id
from protocol.messages.admin import PutDepartment, PutPerson
from protocol.messages.chat import GetHistory, GetMembers
from protocol.messages.content import Created, MembersChanged, Text
from protocol.messages.people import Place
from server.services import worklist
from server.store import rooms as store
from server.store.errors import StoreBusy
from tests.guards.logs import ExpectedLog
from tests.support.world import World


def test_everybody_who_sits_there_or_below_belongs_to_it(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    east = world.has_department("Sales East", sales)
    (alice,) = world.has_signed_in("Alice", department=sales)
    (bob,) = world.has_signed_in("Bob", department=east)
    (carol,) = world.has_signed_in("Carol")
    room = department_conversation_id(sales)
    alice.posts("quarter's end", to=room)
    assert bob.sees(room) == ["quarter's end"]
    assert bob.chat(room).department == sales
    assert room not in carol.copies
    carol.is_refused(carol.post(Text("hi"), room), ErrorCode.NOT_FOUND)


def test_a_conversation_begins_with_those_who_are_there(world: World) -> None:
    sales = world.has_department("Sales")
    alice, bob = world.has_signed_in("Alice", "Bob", department=sales)
    room = department_conversation_id(sales)
    assert room not in alice.copies
    world.changes(PutDepartment(sales, "Sales", has_conversation=True))
    assert alice.contents(room) == [Created(members=tuple(sorted((alice.user, bob.user))))]


def test_one_change_of_the_tree_is_one_event(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    (alice,) = world.has_signed_in("Alice", department=sales)
    others = world.has_people("Bob", "Carol", "Dave")
    room = department_conversation_id(sales)
    world.changes(
        *(PutPerson(p.user, p.name.lower(), p.name, places=(Place(sales),)) for p in others)
    )
    joined = tuple(sorted(person.user for person in others))
    assert alice.contents(room)[-1] == MembersChanged(added=joined)
    assert len(alice.asks(GetMembers(room)).members) == 4


def test_who_moves_on_keeps_the_past_and_who_comes_sees_the_future(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    support = world.has_department("Support", has_conversation=True)
    (alice,) = world.has_signed_in("Alice", department=sales)
    (bob,) = world.has_signed_in("Bob", department=support)
    room = department_conversation_id(sales)
    alice.posts("before", to=room)
    world.moves(alice, support)
    world.moves(bob, sales)
    bob.posts("after", to=room)
    assert alice.chat(room).is_over
    assert alice.sees(room) == ["before"]
    assert bob.sees(room) == ["after"]
    assert alice.chat(department_conversation_id(support)).first > 1
    seqs = [event.seq for event in alice.asks(GetHistory(room, after=0)).events]
    assert seqs == [2, 3, 4] == list(range(alice.chat(room).first, alice.chat(room).head + 1))


def test_a_subtree_that_moves_takes_its_people_along(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    support = world.has_department("Support", has_conversation=True)
    east = world.has_department("East", sales)
    (alice,) = world.has_signed_in("Alice", department=east)
    world.changes(PutDepartment(east, "East", support))
    assert alice.chat(department_conversation_id(sales)).is_over
    assert not alice.chat(department_conversation_id(support)).is_over


def test_a_closed_account_belongs_nowhere(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    alice, bob = world.has_signed_in("Alice", "Bob", department=sales)
    world.changes(PutPerson(bob.user, "bob", "Bob", places=(Place(sales),), is_disabled=True))
    room = department_conversation_id(sales)
    assert alice.contents(room)[-1] == MembersChanged(removed=(bob.user,))


def test_a_conversation_that_is_given_up_is_over_for_everybody(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    (alice,) = world.has_signed_in("Alice", department=sales)
    room = department_conversation_id(sales)
    alice.posts("bye", to=room)
    world.changes(PutDepartment(sales, "Sales", has_conversation=False))
    assert alice.chat(room).is_over
    world.changes(PutDepartment(sales, "Sales", has_conversation=True))
    assert not alice.chat(room).is_over
    alice.posts("hello again", to=room)


def test_what_a_crash_interrupted_is_made_up_for_at_the_start(world: World) -> None:
    sales = world.has_department("Sales", has_conversation=True)
    (alice,) = world.has_signed_in("Alice", department=sales)
    (bob,) = world.has_signed_in("Bob")
    room = department_conversation_id(sales)
    parts = world.server.parts
    parts._departments.close()  # from here on the server is as good as dead to the tree
    world.moves(bob, sales)
    assert room not in bob.copies
    world.is_killed()
    world.starts_again()
    bob.returns()
    alice.returns()
    bob.posts("here I am", to=room)
    assert alice.sees(room) == ["here I am"]
    assert [type(content) for content in alice.contents(room)][:2] == [MembersChanged] * 2


def test_members_wait_for_a_store_that_is_busy(
    world: World, monkeypatch: pytest.MonkeyPatch, expected_log: ExpectedLog
) -> None:
    expected_log("lanyard.services", "wait for the store")
    sales = world.has_department("Sales", has_conversation=True)
    (alice,) = world.has_signed_in("Alice", department=sales)
    (bob,) = world.has_signed_in("Bob")
    journal = world.server.parts.journal
    run = journal.run

    def busy(function: Any, *arguments: Any) -> Any:
        if function is store.change_members:
            raise StoreBusy("The disk does not keep up.")
        return run(function, *arguments)

    monkeypatch.setattr(journal, "run", busy)
    world.moves(bob, sales)
    room = department_conversation_id(sales)
    assert room not in bob.copies
    monkeypatch.undo()
    world.pass_time(worklist.RETRY_S + 1, step_s=5)
    alice.posts("welcome", to=room)
    assert bob.sees(room) == ["welcome"]
