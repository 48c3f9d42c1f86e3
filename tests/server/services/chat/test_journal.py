# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, stamps, settling, and what is kept in memory."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.messages.admin import GetServerStatus, Permission
from protocol.messages.chat import Cursor, Cursors, GetHistory
from protocol.messages.content import Text
from server.services import journal, rooms
from server.store import events as store
from tests.support.world import World


def test_what_is_not_settled_is_settled_at_the_start(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    for number in range(5):
        alice.posts(str(number), to=bob)
    assert world.reads(store.settled_stamp) == 0
    world.is_killed()
    world.starts_again()
    parts = world.server.parts
    assert world.reads(store.settled_stamp) == parts.journal.last >= 6
    assert parts.journal.event_count == 6
    alice.returns()
    bob.returns()
    alice.posts("5", to=bob)
    assert bob.sees(alice) == [str(number) for number in range(6)]


def test_stamps_only_grow_over_restarts(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("one", to=bob)
    bob.reads(alice)
    world.pass_time(2)
    before = world.server.parts.journal.last
    world.is_killed()
    world.starts_again()
    assert world.server.parts.journal.last == before


def test_the_status_counts_events_and_no_cursors(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    world.allows(Permission.ADMIN_POLICY, to=[alice])
    for _ in range(3):
        alice.posts("hi", to=bob)
        bob.reads(alice)
    world.pass_time(2)
    assert alice.asks(GetServerStatus()).events == 4
    world.stops()
    world.starts_again()
    alice.returns()
    assert alice.asks(GetServerStatus()).events == 4


def test_settling_goes_in_portions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SETTLE_STAMPS", 3)
    alice, bob = world.has_signed_in("Alice", "Bob")
    for number in range(10):
        alice.posts(str(number), to=bob)
    world.pass_time(1.2)
    assert world.reads(store.settled_stamp) == world.server.parts.journal.durable


def test_the_memory_of_ids_is_bounded_and_never_forgets_the_unsettled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_RECENT", 4)
    alice, bob = world.has_signed_in("Alice", "Bob")
    first = alice.post(Text("first"), bob)
    answer = alice.asks(first)
    for number in range(30):
        alice.posts(str(number), to=bob)
    parts = world.server.parts
    assert parts.journal.recall(first.id) is not None
    assert alice.asks(first) == answer
    world.pass_time(1.2)
    for number in range(10):
        alice.posts(str(number), to=bob)
    assert parts.journal.recall(first.id) is None
    assert alice.asks(first) == answer


def test_idle_conversations_leave_the_memory_and_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = world.server.parts
    monkeypatch.setattr(parts.rooms, "_max_memberships", 4)
    alice, *others = world.has_signed_in("Alice", "Bob", "Carol", "Dave", "Eve")
    for other in others:
        alice.posts("hi", to=other)
    world.pass_time(rooms.IDLE_S / 2)
    assert len(parts.rooms.loaded) == 4
    world.pass_time(rooms.IDLE_S)
    assert len(parts.rooms.loaded) == 2
    for other in others:
        alice.posts("still there?", to=other)
        assert other.sees(alice) == ["hi", "still there?"]
        assert other.asks(GetHistory(other.with_(alice), after=0)).head == 3


def test_cursors_of_conversations_that_are_nowhere_cost_one_read(world: World) -> None:
    (alice,) = world.has_signed_in("Alice")
    rooms = world.server.parts.rooms
    read, reads = rooms._read, []

    def counted(function: Any, *arguments: Any) -> Any:
        reads.append(function)
        return read(function, *arguments)

    rooms._read = counted  # type: ignore[assignment]
    alice.notes(Cursors(tuple(Cursor(world.new_id(), 1, 1) for _ in range(100))))
    assert len(reads) == 1


def test_several_who_ask_for_a_conversation_wait_for_one_read(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("hi", to=bob)
    world.stops()
    world.starts_again()
    alice.returns()
    parts = world.server.parts
    parts.rooms.loaded.clear()
    numbers = [alice.sends(alice.post(Text(str(n)), alice.with_(bob))) for n in range(5)]
    world.settle()
    assert [alice.answer_to(number).seq for number in numbers] == [3, 4, 5, 6, 7]  # type: ignore[union-attr]
