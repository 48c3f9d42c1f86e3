# SPDX-License-Identifier: GPL-3.0-or-later
"""Synchronisation, history, drafts and settings: what a device is told after a gap, and what of it is one person's alone."""

from __future__ import annotations

import pytest

from protocol.codec import encode_content
from protocol.errors import ErrorCode
from protocol.limits import MAX_HISTORY_BYTES
from protocol.messages.admin import Permission
from protocol.messages.chat import (
    ChatChanged,
    CreateGroup,
    Draft,
    GetChat,
    GetHistory,
    SetChat,
    SetDraft,
    Sync,
)
from protocol.messages.content import Text
from tests.support.colleague import Colleague
from tests.support.world import World


class TestSync:
    def test_from_the_start_brings_everything_newest_first(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        for number in range(30):
            alice.posts(f"b{number}", to=bob)
        alice.posts("c", to=carol)
        phone = world.device_of(alice.user, "Alice")
        phone.connects()
        phone.signs_in()
        chats = phone.synchronises(events=5)
        assert [chat.peer for chat in chats] == [carol.user, bob.user]
        assert [event.seq for event in chats[1].events] == [27, 28, 29, 30, 31]
        assert (chats[1].head, chats[1].ordinal, chats[1].unread) == (31, 30, 0)
        phone.completes_everything()
        assert phone.sees(bob) == [f"b{number}" for number in range(30)]

    def test_later_brings_only_what_changed(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        alice.posts("hi", to=bob)
        alice.posts("hi", to=carol)
        alice.synchronises()
        alice.goes_offline()
        bob.posts("still there?", to=alice)
        alice.connects()
        alice.signs_in()
        (chat,) = alice.synchronises()
        assert chat.peer == bob.user
        assert [event.seq for event in chat.events] == [3]
        assert chat.unread == 1
        assert alice.synchronises() == []

    def test_changes_before_and_after_the_flush_are_both_brought(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hi", to=bob)
        for pause_s in (0.0, 5.0):
            alice.goes_offline()
            bob.posts("news", to=alice)
            world.pass_time(pause_s)
            alice.connects()
            alice.signs_in()
            assert [chat.unread for chat in alice.synchronises()] == [1 + (pause_s > 0)]

    def test_others_cursors_are_brought(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hi", to=bob)
        alice.synchronises()
        alice.goes_offline()
        bob.reads(alice)
        alice.connects()
        alice.signs_in()
        (chat,) = alice.synchronises()
        assert chat.events == ()
        assert [(r.user, r.delivered, r.read) for r in chat.receipts] == [(bob.user, 2, 2)]

    def test_pages(self, world: World) -> None:
        world.allows(Permission.CREATE_GROUPS)
        (alice,) = world.has_signed_in("Alice")
        groups = [world.new_id() for _ in range(60)]
        for group in groups:
            alice.asks(CreateGroup(group, "Group"))
        page = alice.asks(Sync(0, limit=25))
        assert len(page.chats) == 25
        assert page.stamp == 0
        # What changes while the pages are fetched is not lost: it is pushed, whatever page it stands on.
        alice.posts("late", to=groups[0])
        second = alice.asks(Sync(0, page.cursor, limit=25))
        alice.is_refused(Sync(0, page.cursor, limit=25), ErrorCode.CONFLICT)
        third = alice.asks(Sync(0, second.cursor, limit=25))
        assert third.cursor == b""
        brought = [*page.chats, *second.chats, *third.chats]
        assert [chat.conversation for chat in brought] == groups[::-1]
        assert third.stamp == 60
        assert [c.title for c in alice.asks(Sync(third.stamp)).chats] == ["Group"]

    def test_large_messages_make_small_pages(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        for other in (bob, carol):
            for _ in range(30):
                alice.posts("好" * 20_000, to=other)
        phone = world.device_of(alice.user, "Alice")
        phone.connects()
        phone.signs_in()
        page = phone.asks(Sync(0))
        assert [len(chat.events) for chat in page.chats] == [1, 1]
        history = phone.asks(GetHistory(alice.with_(bob), after=0, limit=200))
        size = sum(len(bytes(event.content)) for event in history.events)
        assert MAX_HISTORY_BYTES / 2 < size <= MAX_HISTORY_BYTES
        phone.synchronises()
        phone.completes_everything()
        assert len(phone.sees(bob)) == 30

    def test_is_not_for_the_pages_of_another_session(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hi", to=bob)
        bob.is_refused(Sync(0, b"12345678"), ErrorCode.CONFLICT)


class TestHistory:
    @pytest.fixture
    def pair(self, world: World) -> tuple[Colleague, Colleague]:
        """Two people who wrote each other 300 messages."""
        alice, bob = world.has_signed_in("Alice", "Bob")
        for number in range(300):
            alice.posts(str(number), to=bob)
        return alice, bob

    @pytest.mark.parametrize("limit", [1, 7, 64, 200])
    def test_forwards_and_backwards(self, pair: tuple[Colleague, Colleague], limit: int) -> None:
        alice, bob = pair
        id = alice.with_(bob)
        for where in (0, 1, 63, 64, 65, 128, 299, 300, 301, 500):
            after = bob.asks(GetHistory(id, after=where, limit=limit))
            wanted = list(range(where + 1, min(301, where + limit) + 1))
            assert [event.seq for event in after.events] == wanted
            before = bob.asks(GetHistory(id, before=where, limit=limit))
            wanted = list(range(max(1, min(where, 302) - limit), min(where, 302)))
            assert [event.seq for event in before.events] == wanted
            assert (before.first, before.head) == (1, 301)

    def test_one_direction_at_a_time(self, pair: tuple[Colleague, Colleague]) -> None:
        alice, bob = pair
        id = alice.with_(bob)
        bob.is_refused(GetHistory(id), ErrorCode.INVALID)
        bob.is_refused(GetHistory(id, after=1, before=5), ErrorCode.INVALID)


class TestMyOwn:
    def test_drafts_come_to_my_other_devices_and_nobody_else(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        phone = world.device_of(alice.user, "Alice")
        phone.returns()
        alice.posts("hi", to=bob)
        phone.pushes.clear()
        bob.pushes.clear()
        alice.asks(SetDraft(alice.with_(bob), Draft("I was about to", at_ms=77)))
        (told,) = phone.told(ChatChanged)
        assert told.chat.draft is not None
        assert (told.chat.draft.text, told.chat.draft.at_ms) == ("I was about to", world.now_ms())
        assert not bob.pushes
        tablet = world.device_of(alice.user, "Alice")
        tablet.returns()
        assert tablet.chat(bob).draft == told.chat.draft
        alice.asks(SetDraft(alice.with_(bob), Draft()))
        assert tablet.chat(bob).draft is None

    def test_settings(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        phone = world.device_of(alice.user, "Alice")
        phone.returns()
        alice.posts("hi", to=bob)
        id = alice.with_(bob)
        alice.asks(SetChat(id, is_muted=True))
        alice.asks(SetChat(id, is_pinned=True))
        assert (phone.chat(bob).is_muted, phone.chat(bob).is_pinned) == (True, True)
        world.is_killed()
        world.starts_again()
        phone.returns()
        chat = phone.asks(GetChat(id)).chat
        assert (chat.is_muted, chat.is_pinned) == (True, True)
        bob.returns()
        assert not bob.asks(GetChat(id)).chat.is_pinned

    def test_of_conversations_that_are_mine(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        alice.posts("hi", to=bob)
        id = alice.with_(bob)
        for request in (GetChat(id), SetChat(id, is_muted=True), SetDraft(id, Draft("x"))):
            carol.is_refused(request, ErrorCode.NOT_FOUND)


def test_a_content_is_never_larger_than_what_a_page_may_hold() -> None:
    assert len(bytes(encode_content(Text("好" * 20_000)))) < MAX_HISTORY_BYTES
