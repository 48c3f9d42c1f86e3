# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done once a second goes on after the store has failed, and loses nothing."""

from __future__ import annotations

from protocol.messages.chat import Cursor, Cursors
from server.store import events as store
from tests.guards.logs import ExpectedLog
from tests.support.world import World


def test_cursors_wait_for_a_store_that_fails(world: World, expected_log: ExpectedLog) -> None:
    expected_log("lanyard.store", "not stored")
    expected_log("lanyard.services", "cursors wait for the store")
    alice, bob = world.has_signed_in("Alice", "Bob")
    for _ in range(3):
        alice.posts("hi", to=bob)
    world.pass_time(1.2)
    database = world.server.database.for_writing
    database.execute_sql("PRAGMA query_only = 1")
    bob.reads(alice, 3)
    world.pass_time(3)
    # While nothing can be written the memory goes on counting.
    bob.notes(Cursors((Cursor(alice.with_(bob), delivered=4, read=2),)))
    database.execute_sql("PRAGMA query_only = 0")
    world.pass_time(1.2)
    world.is_killed()
    world.starts_again()
    phone = world.device_of(bob.user, "Bob")
    phone.returns()
    chat = phone.chat(alice)
    assert (chat.delivered, chat.read, chat.unread) == (4, 3, 1)


def test_an_orderly_end_leaves_nothing_to_mend(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("hi", to=bob)
    last = world.server.parts.journal.durable
    world.stops()
    world.starts_again()
    assert world.reads(store.settled_stamp) >= last
