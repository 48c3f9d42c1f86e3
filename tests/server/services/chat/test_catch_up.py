# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that come and go, a server that is killed at any moment: nothing acknowledged is lost, doubled or out of order, and every
copy ends up complete and equal to the server's.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from protocol.codec import decode_content
from protocol.errors import RequestRefused
from protocol.ids import ConversationId
from protocol.messages.admin import Permission
from protocol.messages.chat import (
    ChangeMembers,
    Chat,
    CreateGroup,
    Cursor,
    Cursors,
    Event,
    GetHistory,
    Post,
    Posted,
)
from protocol.messages.content import Edit, PostedContent, React, Recall, Span, SpanKind, Text
from server.services.conversation import Conversation
from tests.support.colleague import Colleague, shown
from tests.support.world import World

TEXTS = st.text("abc 你好", min_size=1, max_size=6)
WHICH = st.integers(0, 1_000)


class Outbox:
    """What a device has to send, and what it was told about it."""

    def __init__(self) -> None:
        self.waiting: list[Post] = []
        self.numbers: dict[int, Post] = {}
        self.is_stopped = False


class Office(RuleBasedStateMachine):
    """Three people, one with two devices; two direct conversations and a group."""

    posts = Bundle("posts")

    @initialize()
    def opens(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.world.allows(Permission.CREATE_GROUPS)
        self.people = self.world.has_signed_in("Alice", "Bob", "Carol")
        alice, bob, carol = self.people
        phone = self.world.device_of(alice.user, "Alice")
        phone.returns()
        self.devices = [*self.people, phone]
        self.outboxes = [Outbox() for _ in self.devices]
        group = self.world.new_id()
        alice.asks(CreateGroup(group, "Lunch", (bob.user, carol.user)))
        self.group = group
        alice.posts("hi", to=bob)
        alice.posts("hi", to=carol)
        self.rooms: list[ConversationId] = [alice.with_(bob), alice.with_(carol), group]
        self.acknowledged: dict[bytes, Posted] = {}
        self.sure: Counter[tuple[bytes, ConversationId]] = Counter()
        self.marked: dict[tuple[bytes, ConversationId], int] = {}

    # What people do

    @rule(target=posts, which=WHICH, room=WHICH, text=TEXTS, mentions=st.booleans())
    def writes(self, which: int, room: int, text: str, mentions: bool) -> Post:
        device, conversation = self._device(which), self._room(room)
        spans: tuple[Span, ...] = ()
        others = [
            p for p in self.people if p.user != device.user and self._belongs(p, conversation)
        ]
        if mentions and others:
            user = others[which % len(others)].user
            spans = (Span(SpanKind.MENTION.value, 0, len(text), user=user),)
        return self._queue(device, Text(text, spans), conversation)

    @rule(target=posts, which=WHICH, post=posts, text=TEXTS)
    def edits(self, which: int, post: Post, text: str) -> Post:
        return self._queue(self._device(which), Edit(post.id, text), post.conversation)

    @rule(target=posts, which=WHICH, post=posts)
    def recalls(self, which: int, post: Post) -> Post:
        return self._queue(self._device(which), Recall(post.id), post.conversation)

    @rule(target=posts, which=WHICH, post=posts, emoji=st.sampled_from("👍🎉"), is_on=st.booleans())
    def reacts(self, which: int, post: Post, emoji: str, is_on: bool) -> Post:
        return self._queue(self._device(which), React(post.id, emoji, is_on), post.conversation)

    @rule(which=WHICH, room=WHICH, back=st.integers(0, 3))
    def reads(self, which: int, room: int, back: int) -> None:
        device, conversation = self._device(which), self._room(room)
        copy = device.copies.get(conversation)
        if device.is_connected and copy is not None:
            seq = max(0, copy.head - back)
            device.notes(Cursors((Cursor(conversation, delivered=copy.head, read=seq),)))
            member = self._server_room(conversation).find(device.user)
            if member is not None and not self.world.is_disk_slow:
                self.marked[device.user, conversation] = member.read

    @rule()
    def carol_comes_or_goes(self) -> None:
        alice, _, carol = self.people
        if alice.is_connected and not self.world.is_disk_slow:
            is_there = self._belongs(carol, self.group)
            change = {"remove" if is_there else "add": (carol.user,)}
            alice.asks(ChangeMembers(self.group, alice.new_id(), **change))

    # What happens to them

    @rule(which=WHICH)
    def sends(self, which: int) -> None:
        device, outbox = self._device(which), self._outbox(which)
        if device.is_connected:
            while outbox.waiting and len(outbox.numbers) < 10:
                post = outbox.waiting.pop(0)
                outbox.numbers[device.sends(post)] = post
            self.world.settle()
            self._take_answers(device, outbox)

    @rule(which=WHICH)
    def goes_or_returns(self, which: int) -> None:
        device = self._device(which)
        if device.is_connected:
            device.goes_offline()
            self._has_lost_line(self._outbox(which))
        else:
            self._return(device)

    @rule()
    def disk_is_slow_or_fast(self) -> None:
        self.world.is_disk_slow = not self.world.is_disk_slow
        self.world.settle()
        for device, outbox in zip(self.devices, self.outboxes, strict=True):
            self._take_answers(device, outbox)

    @rule(seconds=st.sampled_from([0.3, 2.0]))
    def time_passes(self, seconds: float) -> None:
        if not self.world.is_disk_slow:
            self.world.pass_time(seconds)
            if seconds > 1.0:
                for key, read in self.marked.items():
                    self.sure[key] = max(self.sure[key], read)

    @rule(is_killed=st.booleans(), returning=st.sets(st.integers(0, 3)))
    def server_restarts(self, is_killed: bool, returning: set[int]) -> None:
        if is_killed:
            self.world.is_killed()
            self.marked.clear()
        else:
            self.world.is_disk_slow = False
            self.world.settle()
            for device, outbox in zip(self.devices, self.outboxes, strict=True):
                self._take_answers(device, outbox)
            self.world.stops()
        self.world.is_disk_slow = False
        for outbox in self.outboxes:
            self._has_lost_line(outbox)
        self.world.starts_again()
        for which in returning:
            self._return(self.devices[which])

    # What must hold

    @invariant()
    def answers_agree_with_the_store(self) -> None:
        if not hasattr(self, "world") or self.world.is_disk_slow:
            return
        for device, outbox in zip(self.devices, self.outboxes, strict=True):
            self._take_answers(device, outbox)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                self._everybody_comes_together()
            finally:
                self.world.ends()
                self.folder.cleanup()

    def _everybody_comes_together(self) -> None:
        self.world.is_disk_slow = False
        self.world.settle()
        for device, outbox in zip(self.devices, self.outboxes, strict=True):
            self._take_answers(device, outbox)
            if not device.is_connected:
                self._return(device)
        for which in range(len(self.devices)):
            for _ in range(100):
                self.sends(which)
                if not self.outboxes[which].waiting:
                    break
        self.world.pass_time(2.0)
        stored = {room: self._stored(room) for room in self.rooms}
        self._check_acknowledged(stored)
        for device in self.devices:
            device.completes_everything()
            for room in self.rooms:
                self._check_copy(device, room, stored[room])
        # A device that comes anew is told the same.
        for person in self.people:
            fresh = self.world.device_of(person.user, person.name)
            fresh.returns()
            fresh.completes_everything()
            for room in self.rooms:
                self._check_copy(fresh, room, stored[room])
                if room in fresh.copies:
                    self._check_counts(fresh.chat(room), person, stored[room])

    def _check_acknowledged(self, stored: dict[ConversationId, dict[int, Event]]) -> None:
        by_id: dict[bytes, Event] = {}
        for events in stored.values():
            assert list(events) == list(range(1, len(events) + 1)), "numbers have no gap"
            stamps = [event.stamp for event in events.values()]
            assert stamps == sorted(set(stamps))
            for event in events.values():
                assert event.id not in by_id, "nothing is stored twice"
                by_id[event.id] = event
        for id, posted in self.acknowledged.items():
            event = by_id[id]
            assert (event.conversation, event.seq, event.stamp, event.ordinal) == (
                posted.conversation,
                posted.seq,
                posted.stamp,
                posted.ordinal,
            )

    def _check_copy(
        self, device: Colleague, room: ConversationId, stored: dict[int, Event]
    ) -> None:
        copy = device.copies.get(room)
        member = self._server_room(room).find(device.user)
        assert (copy is None) == (member is None)
        if copy is None or member is None:
            return
        last = len(stored) if member.last is None else member.last
        assert copy.chat.first == member.first
        assert copy.head == last
        held = {seq: copy.events[seq] for seq in range(member.first, last + 1)}
        there = {seq: stored[seq] for seq in range(member.first, last + 1)}
        assert [e.id for e in held.values()] == [e.id for e in there.values()]
        if member.last is None:  # who has left is not told of what is edited or recalled afterwards
            assert shown(held) == shown(there)

    def _check_counts(self, chat: Chat, person: Colleague, stored: dict[int, Event]) -> None:
        assert chat.read >= self.sure[person.user, chat.conversation] or chat.first > 1
        unread = mentions = 0
        for seq in range(max(chat.first, chat.read + 1), chat.head + 1):
            event = stored[seq]
            if seq > 1 and event.ordinal > stored[seq - 1].ordinal:
                unread += 1
                content = decode_content(event.content)
                spans = content.spans if isinstance(content, Text) else ()
                mentions += any(span.user == person.user for span in spans)
            assert event.sender != person.user or not isinstance(
                decode_content(event.content), Text
            ), "who writes has read"
        assert chat.unread == unread
        assert chat.mentions == (0 if chat.is_over else mentions)

    # Bookkeeping

    def _device(self, which: int) -> Colleague:
        return self.devices[which % len(self.devices)]

    def _outbox(self, which: int) -> Outbox:
        return self.outboxes[which % len(self.devices)]

    def _room(self, which: int) -> ConversationId:
        return self.rooms[which % len(self.rooms)]

    def _server_room(self, id: ConversationId) -> Conversation:
        room: Conversation = self.world.wait_for(self.world.server.parts.rooms.load(id))
        return room

    def _belongs(self, person: Colleague, room: ConversationId) -> bool:
        return person.user in self._server_room(room).members

    def _queue(self, device: Colleague, content: PostedContent, room: ConversationId) -> Post:
        post = device.post(content, room)
        self.outboxes[self.devices.index(device)].waiting.append(post)
        return post

    def _return(self, device: Colleague) -> None:
        if not self.world.is_disk_slow:
            device.returns()

    def _has_lost_line(self, outbox: Outbox) -> None:
        outbox.waiting[:0] = outbox.numbers.values()
        outbox.numbers.clear()

    def _take_answers(self, device: Colleague, outbox: Outbox) -> None:
        for number, post in list(outbox.numbers.items()):
            answer = device.answer_to(number)
            if answer is None:
                continue
            del outbox.numbers[number]
            if isinstance(answer, RequestRefused):
                assert not answer.is_transient, answer
                assert post.id not in self.acknowledged
            else:
                assert isinstance(answer, Posted)
                assert self.acknowledged.setdefault(post.id, answer) == answer

    def _stored(self, room: ConversationId) -> dict[int, Event]:
        """Everything that the server has of a conversation, as a member from the beginning is told."""
        alice = self.people[0]
        events: dict[int, Event] = {}
        while True:
            page = alice.asks(GetHistory(room, after=len(events), limit=7))
            events.update((event.seq, event) for event in page.events)
            if len(events) >= page.head:
                return events


Office.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestCatchUp = Office.TestCase
