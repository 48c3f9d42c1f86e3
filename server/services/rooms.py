# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversations in memory: loaded by one read, kept within a bound, changed by one coroutine at a time."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, UserId
from server.services.clock import Clock
from server.services.conversation import Conversation, Membership
from server.services.cursors import MovedCursors
from server.services.doors import StoreDoor
from server.services.journal import Journal
from server.store import events, rooms
from server.store.waiting import Shared

MAX_MEMBERSHIPS: Final = 200_000
"""Memberships kept in memory, over all conversations: about 60 MB."""
IDLE_S: Final = 60.0
"""A conversation stays in memory at least this long after it was used: longer than any read of the store takes."""


class Rooms:
    """All conversations; those that were used lately are in ``loaded``."""

    def __init__(
        self,
        read: StoreDoor,
        journal: Journal,
        clock: Clock,
        *,
        max_memberships: int = MAX_MEMBERSHIPS,
    ) -> None:
        self.loaded: dict[ConversationId, Conversation] = {}
        self.cursors = MovedCursors()
        self._read = read
        self._journal = journal
        self._now_ms = clock.now_ms
        self._max_memberships = max_memberships
        self._loading: dict[ConversationId, Shared[None]] = {}

    async def load(self, id: ConversationId) -> Conversation | None:
        """The conversation, from memory or by one read; None when there is none."""
        if id not in self.loaded:
            await (self._loading.get(id) or self._begin([id]))
        conversation = self.loaded.get(id)
        if conversation is not None:
            conversation.used_ms = self._now_ms()
        return conversation

    async def load_all(self, ids: Iterable[ConversationId]) -> dict[ConversationId, Conversation]:
        """Those of the conversations that exist; the missing ones come by one read."""
        wanted = dict.fromkeys(ids)
        missing = [id for id in wanted if id not in self.loaded and id not in self._loading]
        if missing:
            await self._begin(missing)
        for id in wanted:
            if id in self._loading:
                await self._loading[id]
        found = {id: self.loaded[id] for id in wanted if id in self.loaded}
        now_ms = self._now_ms()
        for conversation in found.values():
            conversation.used_ms = now_ms
        return found

    async def membership(self, id: ConversationId, user: UserId) -> tuple[Conversation, Membership]:
        """A conversation that the user belongs or has belonged to. Raises RequestRefused(NOT_FOUND)."""
        conversation = await self.load(id)
        member = conversation.find(user) if conversation is not None else None
        if conversation is None or member is None:
            raise no_conversation()
        return conversation, member

    @asynccontextmanager
    async def turn(self, id: ConversationId) -> AsyncIterator[Conversation]:
        """Change a conversation while nobody else does. Raises RequestRefused(NOT_FOUND) when there is none."""
        while True:
            conversation = await self.load(id)
            if conversation is None:
                raise no_conversation()
            async with conversation.turn:
                if not conversation.is_loaded:
                    continue
                if conversation.is_broken:
                    await self._mend(conversation)
                yield conversation
                return

    def add(self, conversation: Conversation) -> None:
        """A conversation was created."""
        conversation.used_ms = self._now_ms()
        self.loaded[conversation.id] = conversation

    def forget_idle(self) -> None:
        """Let conversations go, the longest unused first, until the rest is within the bound."""
        held = sum(len(c.members) + len(c.former) for c in self.loaded.values())
        if held <= self._max_memberships:
            return
        needed = self.cursors.conversations()
        idle_since = self._now_ms() - int(IDLE_S * 1000)
        for conversation in sorted(self.loaded.values(), key=lambda c: c.used_ms):
            if held <= self._max_memberships or conversation.used_ms > idle_since:
                return
            if conversation.id not in needed and self._is_at_rest(conversation):
                conversation.is_loaded = False
                del self.loaded[conversation.id]
                held -= len(conversation.members) + len(conversation.former)

    def _is_at_rest(self, conversation: Conversation) -> bool:
        return not (
            conversation.pending
            or conversation.turn.is_taken
            or conversation.is_broken
            or conversation.head_stamp > self._journal.settled
        )

    def _begin(self, ids: list[ConversationId]) -> Shared[None]:
        """Load conversations that nobody else is loading; who asks for them meanwhile waits for this."""
        loading = Shared(self._fetch(ids))
        if not loading.is_done:
            for id in ids:
                self._loading[id] = loading
        return loading

    async def _fetch(self, ids: list[ConversationId]) -> None:
        try:
            found = await self._read(rooms.load_all, ids)
        finally:
            for id in ids:
                self._loading.pop(id, None)
        for id, loaded in found.items():
            if id not in self.loaded:  # whoever created it meanwhile knows better
                self.add(Conversation(loaded))

    async def _mend(self, conversation: Conversation) -> None:
        """Read the head again after an event could not be stored."""
        await self._journal.everything_before()
        head = await self._read(events.head_of, conversation.key)
        conversation.seq, conversation.ordinal, conversation.stamp = head
        conversation.head_seq, conversation.head_ordinal, conversation.head_stamp = head
        conversation.is_broken = False


def no_conversation() -> RequestRefused:
    """What somebody is told who asks for a conversation that is not there for them."""
    return RequestRefused(ErrorCode.NOT_FOUND, "There is no such conversation.")
