# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's conversations: synchronisation after any gap, one conversation, drafts and settings.

Theory: the stamp that a synchronisation ends with is taken before anything is read, so that whatever is newer comes as a push. Which
conversations changed is found by the store for those at rest and by the memory for the others.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, SessionId
from protocol.limits import MAX_HISTORY_BYTES
from protocol.messages.chat import (
    Chat,
    ChatReply,
    ChatsPage,
    GetChat,
    SetChat,
    SetDraft,
    Sync,
)
from protocol.messages.kinds import Done
from server.services.caller import Caller
from server.services.chat_rules import ChatRules
from server.services.chat_views import ChatViews
from server.services.clock import Clock
from server.services.conversation import Conversation, Membership
from server.services.delivery import Delivery
from server.services.doors import StoreDoor
from server.services.journal import Journal
from server.services.rooms import IDLE_S, Rooms
from server.services.texts import check_spans
from server.store import chats as store
from server.store.chats import ChatStamps

BATCH_CHATS: Final = 25
"""Conversations that are read at a time: a page ends when it is large enough."""
_CURSOR_BYTES: Final = 8

_encode: Final = msgspec.msgpack.Encoder().encode


class _Walk:
    """A synchronisation under way: what is still to come, for one session."""

    __slots__ = ("rest", "since", "stamp", "step")

    def __init__(self, rest: list[ConversationId], since: int, stamp: int) -> None:
        self.rest = rest
        """The next one last."""
        self.since = since
        self.stamp = stamp
        self.step = 0


class Chats:
    """What is one person's own."""

    def __init__(
        self,
        read: StoreDoor,
        journal: Journal,
        rooms: Rooms,
        rules: ChatRules,
        delivery: Delivery,
        views: ChatViews,
        clock: Clock,
    ) -> None:
        self._read = read
        self._journal = journal
        self._rooms = rooms
        self._rules = rules
        self._delivery = delivery
        self._views = views
        self._clock = clock
        self._walks: dict[SessionId, _Walk] = {}

    async def sync(self, caller: Caller, request: Sync) -> ChatsPage:
        """A page of the conversations in which anything changed since a stamp."""
        if request.cursor:
            walk = self._walks.get(caller.session)
            if walk is None or walk.step.to_bytes(_CURSOR_BYTES, "big") != request.cursor:
                raise RequestRefused(
                    ErrorCode.CONFLICT,
                    "This synchronisation is not under way any more; begin anew.",
                )
        else:
            stamp = self._journal.durable
            rest = await self._changed(caller, request.since)
            walk = self._walks[caller.session] = _Walk(rest, request.since, stamp)
        walk.step += 1
        chats = await self._page(caller, walk, request)
        if walk.rest:
            return ChatsPage(chats, 0, walk.step.to_bytes(_CURSOR_BYTES, "big"))
        self.session_ended(caller.session)
        return ChatsPage(chats, walk.stamp)

    def session_ended(self, session: SessionId) -> None:
        """Forget the synchronisation that the session did not finish."""
        self._walks.pop(session, None)

    async def get_chat(self, caller: Caller, request: GetChat) -> ChatReply:
        """One of the caller's conversations."""
        conversation, member = await self._rooms.membership(request.conversation, caller.user)
        return ChatReply(await self._views.chat(conversation, member))

    async def set_draft(self, caller: Caller, request: SetDraft) -> Done:
        """Keep a draft; an empty one removes it."""
        draft = request.draft
        check_spans(draft.text, draft.spans)
        if draft.text:
            stored = _encode(msgspec.structs.replace(draft, at_ms=self._clock.now_ms()))
        else:
            stored = None
        async with self._rooms.turn(request.conversation) as conversation:
            member = self._rules.member(conversation, caller.user)
            stamp = self._journal.next_stamp()
            await self._journal.run(store.set_draft, conversation.key, member.key, stored, stamp)
            member.stamp = stamp
        await self._tell_others(caller, conversation, member)
        return Done()

    async def set_chat(self, caller: Caller, request: SetChat) -> Done:
        """Mute or pin, for the caller alone."""
        async with self._rooms.turn(request.conversation) as conversation:
            member = self._rules.member(conversation, caller.user)
            is_muted = member.is_muted if request.is_muted is None else request.is_muted
            is_pinned = member.is_pinned if request.is_pinned is None else request.is_pinned
            stamp = self._journal.next_stamp()
            await self._journal.run(
                store.set_flags, conversation.key, member.key, is_muted, is_pinned, stamp
            )
            member.is_muted, member.is_pinned, member.stamp = is_muted, is_pinned, stamp
        await self._tell_others(caller, conversation, member)
        return Done()

    async def _tell_others(
        self, caller: Caller, conversation: Conversation, member: Membership
    ) -> None:
        if self._delivery.has_other_sessions(caller):
            chat = await self._views.chat(conversation, member)
            self._delivery.tell(chat, member, except_session=caller.session)

    async def _changed(self, caller: Caller, since: int) -> list[ConversationId]:
        """The caller's conversations that changed since a stamp, the one to be sent first last."""
        person = self._rules.key_of(caller.user)
        while True:
            began = self._clock.now()
            rows = await self._read(store.chats_of, person)
            if self._clock.now() - began < IDLE_S / 2:
                break
            # What left the memory meanwhile may be newer than what was read.
        loaded = self._rooms.loaded
        found: list[tuple[int, ConversationId]] = []
        for row in rows:
            conversation = loaded.get(row.conversation)
            head, newest = _stamps(row, conversation, caller)
            if newest > since:
                found.append((head, row.conversation))
        found.sort()
        return [id for _, id in found]

    async def _page(self, caller: Caller, walk: _Walk, request: Sync) -> tuple[Chat, ...]:
        chats: list[Chat] = []
        size = 0
        while walk.rest and len(chats) < request.limit and size < MAX_HISTORY_BYTES:
            count = min(BATCH_CHATS, request.limit - len(chats))
            ids = walk.rest[: -count - 1 : -1]
            del walk.rest[-count:]
            parts = await self._parts(caller, ids)
            for chat in await self._views.chats(parts, request.events, walk.since):
                size += sum(len(memoryview(event.content)) for event in chat.events)
                chats.append(chat)
        return tuple(chats)

    async def _parts(
        self, caller: Caller, ids: Sequence[ConversationId]
    ) -> list[tuple[Conversation, Membership]]:
        found = await self._rooms.load_all(ids)
        parts = []
        for id in ids:
            member = found[id].find(caller.user) if id in found else None
            if member is not None:
                parts.append((found[id], member))
        return parts


def _stamps(row: ChatStamps, conversation: Conversation | None, caller: Caller) -> tuple[int, int]:
    """The stamp of a conversation's last event, and of whatever changed in it last for the caller."""
    member = conversation.find(caller.user) if conversation is not None else None
    if conversation is None or member is None:
        head, touched, mine, is_over = row.head, row.touched, row.member, row.is_over
    else:
        head, touched = conversation.stamp, conversation.touched
        mine, is_over = member.stamp, member.is_over
    if is_over:
        return mine, mine
    return head, max(head, touched, mine)
