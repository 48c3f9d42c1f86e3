# SPDX-License-Identifier: GPL-3.0-or-later
"""Posting: from a request to an event that is durable and shown to everybody whom it concerns.

Theory: a plain text to a conversation that is in memory and at rest takes the short way: it is checked, numbered and handed to the
writer at once, and everything else happens in ``_stored``. Whatever has to wait for something (the conversation, its turn,
the message that is answered, an id that may not be new) goes through ``post``.
"""

from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, Protocol

from protocol.codec import decode_content, decode_posted
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import MessageId, SessionId
from protocol.messages.chat import Forward, Post, Posted
from protocol.messages.content import (
    Edit,
    Forwarded,
    PostedContent,
    React,
    Recall,
    SpanKind,
    Text,
)
from protocol.messages.kinds import Reply
from server.services.caller import Caller
from server.services.changes import Changes, mentioned
from server.services.chat_rules import ChatRules
from server.services.clock import Clock
from server.services.conversation import Conversation, Membership
from server.services.delivery import Delivery
from server.services.directs import Directs
from server.services.doors import StoreDoor
from server.services.journal import Entry, Journal
from server.services.pace import PaceKeeper
from server.services.rooms import Rooms
from server.services.texts import Mentions, check_spans, check_text, encoded
from server.store import changes as store
from server.store import rooms as room_store
from server.store.errors import StoreError
from server.store.events import TEXT, BatchRefused
from server.store.waiting import Shared

MAX_ATTEMPTS: Final = 5
"""Times that a post is tried whose batch was refused because of another event in it."""
_MENTIONS: Final = (SpanKind.MENTION, SpanKind.MENTION_ALL)


class Asker(Protocol):
    """The session that a request came from, as long as its answer is open."""

    def answer(self, number: int, reply: Reply) -> None:
        """Answer the request."""

    def refuse(self, number: int, error: BaseException) -> None:
        """Say why not."""

    def begin(self, number: int, work: Coroutine[Any, Any, Reply]) -> None:
        """Answer the request with what the coroutine returns or raises."""


class Messages:
    """Posts and forwards."""

    def __init__(
        self,
        read: StoreDoor,
        journal: Journal,
        rooms: Rooms,
        rules: ChatRules,
        delivery: Delivery,
        directs: Directs,
        changes: Changes,
        pace: PaceKeeper,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._rooms = rooms
        self._loaded = rooms.loaded
        self._delivery = delivery
        self._read = read
        self._rules = rules
        self._directs = directs
        self._changes = changes
        self._pace = pace
        self._now_ms = clock.now_ms

    # The short way

    def post_now(self, caller: Caller, request: Post, number: int, asker: Asker) -> bool:
        """Take a plain text the short way; False: ``post`` has to be asked. Raises RequestRefused."""
        conversation = self._loaded.get(request.conversation)
        if conversation is None or conversation.turn.is_taken or conversation.is_broken:
            return False
        journal, id = self._journal, request.id
        member = conversation.members.get(caller.user)
        now_ms = self._now_ms()
        if (
            member is None
            or member.may_post_at != self._rules.directory.rules_epoch
            or journal.recall(id) is not None
            or not journal.is_fresh(id, now_ms)
        ):
            return False
        content = decode_posted(request.content)
        if type(content) is not Text or content.reply_to is not None or check_text(content):
            return False
        self._pace.take(caller.user, now_ms)
        body = encoded(content)
        conversation.used_ms = now_ms
        entry = journal.new_entry(conversation, id, caller.user, at_ms=now_ms, is_text=True)
        done = partial(
            self._stored, conversation, member, entry, body, caller, request, number, asker
        )
        try:
            journal.append(entry.row(conversation.key, member.key, TEXT, body), done)
        except StoreError:
            journal.fail(conversation, entry)
            raise
        return True

    def _stored(
        self,
        conversation: Conversation,
        member: Membership,
        entry: Entry,
        body: bytes,
        caller: Caller,
        request: Post,
        number: int,
        asker: Asker,
        error: BaseException | None,
    ) -> None:
        """Called by the writer, in the order of storing, when a text of the short way is durable or can't be."""
        if error is None:
            self._journal.finish(conversation, entry, is_text=True)
            self._has_posted(conversation, member, entry)
            asker.answer(number, entry.posted())
            self._delivery.show(conversation, (entry.event(body),), caller.session)
            return
        self._journal.fail(conversation, entry)
        if isinstance(error, BatchRefused):
            asker.begin(number, self.post(caller, request))
        else:
            asker.refuse(number, error)

    # The long way

    async def post(self, caller: Caller, request: Post) -> Posted:
        """Post anything. Raises RequestRefused."""
        content = decode_posted(request.content)
        if isinstance(content, Text):
            check_text(content)
        return await self._post(caller, request, content)

    async def forward(self, caller: Caller, request: Forward) -> Posted:
        """Post a copy of a message that the caller can read. Raises RequestRefused."""
        content = await self._copy(caller, request.source)
        return await self._post(caller, request, content)

    async def _post(
        self, caller: Caller, request: Post | Forward, content: PostedContent
    ) -> Posted:
        if request.peer is not None:
            self._directs.check_id(caller.user, request.peer, request.conversation)
        self._pace.take(caller.user, self._now_ms())
        for attempt in range(MAX_ATTEMPTS):
            try:
                return await self._try(caller, request, content, may_be_known=attempt > 0)
            except BatchRefused:
                continue  # once more, with what is known now
        raise RequestRefused(
            ErrorCode.UNAVAILABLE,
            "The message could not be stored; try again.",
            retry_after_ms=1000,
        )

    async def _try(
        self,
        caller: Caller,
        request: Post | Forward,
        content: PostedContent,
        *,
        may_be_known: bool,
    ) -> Posted:
        if request.peer is not None:
            await self._directs.ensure(caller.user, request.peer)
        id = request.id
        asking = caller.session if isinstance(request, Post) else None
        async with self._rooms.turn(request.conversation) as conversation:
            self._rules.check_knows(conversation, caller.user)
            if (
                self._journal.recall(id)
                or may_be_known
                or not self._journal.is_fresh(id, self._now_ms())
            ):
                before = await self._journal.posted_before(conversation, id, caller.user)
                if before is not None:
                    return before
            member = self._rules.member(conversation, caller.user)
            if not isinstance(content, Recall):
                self._rules.check_may_post(conversation, member)
            if not isinstance(content, Text):
                return await self._change(conversation, member, id, content, asking)
            mentions = await self._check(conversation, member, content)
            # Handed to the writer within the turn, in order; the disk is waited for outside of it.
            storing = Shared(self._store(conversation, member, id, content, mentions, asking))
        return await storing

    async def _check(
        self, conversation: Conversation, member: Membership, content: Text
    ) -> Mentions:
        """What of a text can only be checked against its conversation."""
        mentions = check_spans(content.text, content.spans)
        self._rules.check_mentions(conversation, member, mentions)
        if content.reply_to is not None:
            await self._changes.find(conversation, member, content.reply_to)
        return mentions

    async def _store(
        self,
        conversation: Conversation,
        member: Membership,
        id: MessageId,
        content: Text,
        mentions: Mentions,
        asking: SessionId | None,
    ) -> Posted:
        body = encoded(content)
        entry = self._journal.new_entry(conversation, id, member.user, is_text=True)
        row = entry.row(conversation.key, member.key, TEXT, body)
        is_first = conversation.is_direct and not member.has_spoken
        people = mentioned(conversation, mentions)
        await self._journal.store(
            conversation, entry, store.insert_text, row, people, is_first, is_text=True
        )
        member.has_spoken = member.has_spoken or is_first
        self._has_posted(conversation, member, entry)
        self._delivery.show(conversation, (entry.event(body),), asking)
        return entry.posted()

    async def _change(
        self,
        conversation: Conversation,
        member: Membership,
        id: MessageId,
        content: Edit | Recall | React,
        asking: SessionId | None,
    ) -> Posted:
        if isinstance(content, Edit):
            entry = await self._changes.edit(conversation, member, id, content)
        elif isinstance(content, Recall):
            entry = await self._changes.recall(conversation, member, id, content)
        else:
            entry = await self._changes.react(conversation, member, id, content)
        self._has_posted(conversation, member, entry)
        self._delivery.show(conversation, (entry.event(encoded(content)),), asking)
        return entry.posted()

    def _has_posted(self, conversation: Conversation, member: Membership, entry: Entry) -> None:
        """Whoever posts has seen everything before it."""
        member.delivered = member.read = entry.seq
        member.read_ordinal = entry.ordinal
        self._rooms.cursors.add(conversation, member)

    async def _copy(self, caller: Caller, source: MessageId) -> Text:
        """A message that the caller can read, as it is forwarded. Raises RequestRefused(NOT_FOUND)."""
        found = await self._journal.find(source)
        if found is None:
            raise _no_message()
        id = await self._read(room_store.id_of, found.conversation)
        conversation = await self._rooms.load(id) if id is not None else None
        member = conversation.find(caller.user) if conversation is not None else None
        if conversation is None or member is None:
            raise _no_message()
        event = found.event
        if not member.first <= event.seq <= conversation.sight_of(member):
            raise _no_message()
        self._rules.check_is_message(found)
        content = decode_content(event.body)
        if not isinstance(content, Text):
            raise _no_message()
        return Text(
            text=content.text,
            spans=tuple(s for s in content.spans if s.kind not in _MENTIONS),
            attachments=content.attachments,
            forwarded=content.forwarded or Forwarded(event.sender, event.at_ms),
        )


def _no_message() -> RequestRefused:
    return RequestRefused(ErrorCode.NOT_FOUND, "There is no such message.")
