# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivered and read: who is told what, when; and who is writing."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from protocol.errors import ErrorCode
from protocol.messages.admin import Effect, Permission, VisibilityRule
from protocol.messages.chat import (
    ChatChanged,
    CreateGroup,
    Cursor,
    Cursors,
    GetReceipts,
    Receipts,
    Typing,
)
from protocol.messages.session import Policy
from server.services.typists import MAX_LOADING, MAX_MEMBERS
from tests.support.world import World


def test_the_sender_learns_what_arrived_and_what_was_read(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("hi", to=bob)
    bob.receives(alice)
    assert alice.receipts() == []
    world.pass_time(0.5)
    assert alice.receipts() == [(bob.user, 2, 0)]
    bob.reads(alice)
    world.pass_time(0.5)
    assert alice.receipts()[1:] == [(bob.user, 2, 2)]
    assert bob.receipts() == []


def test_many_cursors_make_one_push(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    for _ in range(5):
        alice.posts("hi", to=bob)
        bob.reads(alice)
    world.pass_time(1)
    assert alice.receipts() == [(bob.user, 6, 6)]
    assert len(alice.told(Receipts)) == 1


def test_cursors_go_neither_back_nor_beyond_the_head(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("one", to=bob)
    alice.posts("two", to=bob)
    id = alice.with_(bob)
    bob.notes(Cursors((Cursor(id, delivered=900, read=800),)))
    bob.notes(Cursors((Cursor(id, delivered=1, read=1),)))
    world.pass_time(1)
    assert alice.receipts() == [(bob.user, 3, 3)]
    assert [(r.user, r.read) for r in alice.asks(GetReceipts(id)).receipts] == [(bob.user, 3)]


def test_counts_follow_the_read_cursor_also_between_other_events(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    phone = world.device_of(bob.user, "Bob")
    phone.returns()
    first = alice.posts("one", to=bob)
    alice.reacts(first, "👍", bob)
    alice.posts("two", to=bob, mentions=(bob,))
    alice.posts("three", to=bob)
    for read, unread, mentions in ((2, 2, 1), (3, 2, 1), (4, 1, 0), (5, 0, 0)):
        bob.reads(alice, read)
        world.pass_time(1)
        chat = phone.told(ChatChanged)[-1].chat
        assert (chat.read, chat.unread, chat.mentions) == (read, unread, mentions)


def test_who_writes_has_read(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("one", to=bob)
    bob.posts("two", to=alice)
    world.pass_time(2)
    phone = world.device_of(bob.user, "Bob")
    phone.returns()
    assert (phone.chat(alice).read, phone.chat(alice).unread) == (3, 0)


def test_after_a_crash_who_wrote_has_still_read(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("one", to=bob)
    world.pass_time(2)
    bob.posts("two", to=alice)
    world.is_killed()
    world.starts_again()
    phone = world.device_of(bob.user, "Bob")
    phone.returns()
    assert (phone.chat(alice).read, phone.chat(alice).unread) == (3, 0)


def test_cursors_survive_an_orderly_end_at_once_and_a_crash_after_a_moment(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("one", to=bob)
    bob.reads(alice, 1)
    world.stops()
    world.starts_again()
    bob.returns()
    alice.returns()
    assert bob.chat(alice).read == 1
    bob.reads(alice, 2)
    world.pass_time(1.1)
    world.is_killed()
    world.starts_again()
    phone = world.device_of(bob.user, "Bob")
    phone.returns()
    assert (phone.chat(alice).read, phone.chat(alice).unread) == (2, 0)


def test_without_read_receipts_only_the_arrival_is_told(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    world.server.parts.policy.default = Policy(has_read_receipts=False)
    alice.posts("hi", to=bob)
    bob.reads(alice)
    world.pass_time(1)
    assert alice.receipts() == [(bob.user, 2, 0)]
    (receipt,) = alice.asks(GetReceipts(alice.with_(bob))).receipts
    assert (receipt.delivered, receipt.read) == (2, 0)


def test_strangers_are_told_nothing(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    alice.posts("hi", to=bob)
    id = alice.with_(bob)
    carol.notes(Cursors((Cursor(id, 1, 1),)))
    carol.notes(Typing(id))
    carol.notes(Cursors((Cursor(world.new_id(), 1, 1),)))
    world.pass_time(1)
    assert alice.receipts() == []
    assert alice.typists() == []
    carol.is_refused(GetReceipts(id), ErrorCode.NOT_FOUND)


def test_hidden_members_leave_no_receipts(world: World) -> None:
    board = world.has_department("Board")
    (chief,) = world.has_signed_in("Chief", department=board)
    alice, bob = world.has_signed_in("Alice", "Bob")
    world.allows(Permission.CREATE_GROUPS)
    group = world.new_id()
    chief.asks(CreateGroup(group, "All", (alice.user, bob.user)))
    world.has_rules(VisibilityRule(targets=board, effect=Effect.HIDE))
    alice.posts("hi", to=group)
    chief.reads(group)
    bob.reads(group)
    chief.notes(Typing(group))
    world.pass_time(1)
    assert [user for user, _, _ in alice.receipts()] == [bob.user]
    assert {user for user, _, _ in chief.receipts()} == {bob.user}
    assert [r.user for r in alice.asks(GetReceipts(group)).receipts] == [bob.user]
    assert alice.typists() == []


class TestTyping:
    def test_is_passed_on_at_most_every_three_seconds(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hi", to=bob)
        for _ in range(5):
            bob.notes(Typing(alice.with_(bob)))
        assert alice.typists() == [bob.user]
        assert bob.typists() == []
        world.pass_time(3)
        bob.notes(Typing(alice.with_(bob)))
        assert alice.typists() == [bob.user, bob.user]

    def test_of_conversations_that_are_nowhere_waits_only_so_many(self, world: World) -> None:
        (alice,) = world.has_signed_in("Alice")
        reads: list[Deferred[dict[bytes, object]]] = []

        def read(*_: object) -> Deferred[dict[bytes, object]]:
            reads.append(Deferred())
            return reads[-1]

        rooms = world.server.parts.rooms
        rooms._read = read  # type: ignore[assignment]
        for _ in range(MAX_LOADING + 50):
            alice.notes(Typing(world.new_id()))
        assert len(reads) == MAX_LOADING
        for done in reads[:10]:
            done.callback({})
        alice.notes(Typing(world.new_id()))
        assert len(reads) == MAX_LOADING + 1
        for done in reads[10:]:
            done.callback({})

    def test_not_in_large_groups(self, world: World) -> None:
        world.allows(Permission.CREATE_GROUPS)
        alice, bob = world.has_signed_in("Alice", "Bob")
        crowd = world.has_people(*(f"P{number}" for number in range(MAX_MEMBERS - 1)))
        group = world.new_id()
        alice.asks(CreateGroup(group, "All", (bob.user, *(p.user for p in crowd))))
        bob.notes(Typing(group))
        assert alice.typists() == []
