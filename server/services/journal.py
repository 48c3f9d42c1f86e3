# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of everything that is stored: numbers and stamps for events, what is durable, which ids were used already.

Theory: an event gets its number and stamp when it is handed to the writer, which stores in that order. Should one fail, every
later one of its conversation fails with it (each names the one before it), the conversation is marked broken, and its head is
read again before the next. An id is new when neither the memory of recent ids nor the settled ones know it; the writer looks
there before it stores a batch.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Raw, Struct

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, MessageId, UserId, uuid7
from protocol.messages.chat import Event, Posted
from server.services.clock import Clock
from server.services.conversation import Conversation
from server.services.doors import StoreDoor
from server.store import events as store
from server.store.cursors import mend
from server.store.events import EventRow, FoundEvent

T = TypeVar("T")

Append: TypeAlias = Callable[[EventRow, Callable[[BaseException | None], object]], object]
"""Hands one event to the writer, which calls back when it is durable (None) or can't be."""

FRESH_MS: Final = 60_000
"""An id whose own time is this near to the server's is taken for new when the memory does not know it; any other is looked up
first. That is for speed alone: an id that is not new after all is found out by the writer."""
MAX_RECENT: Final = 1 << 16
"""Ids in one generation of the memory of recent ids; two are kept: about 30 MB."""
SETTLE_STAMPS: Final = 2_048
"""Stamps that one job settles: about 10 ms in which no message is stored."""


class Entry(Struct, gc=False):
    """An event that is being stored, or was stored lately."""

    conversation: ConversationId
    id: MessageId
    sender: UserId
    seq: int
    ordinal: int
    previous: int
    """The stamp of the event before it in its conversation; 0: it is the first."""
    stamp: int
    at_ms: int
    is_stored: bool = False

    def posted(self) -> Posted:
        """The answer to whoever sent it."""
        return Posted(self.conversation, self.seq, self.stamp, self.at_ms, self.ordinal)

    def row(self, conversation: int, sender: int, kind: int, body: bytes) -> EventRow:
        """The event as it is stored; conversation and sender by their keys."""
        return (
            self.stamp,
            self.previous or None,
            conversation,
            self.seq,
            self.id,
            sender,
            self.at_ms,
            kind,
            self.ordinal,
            body,
        )

    def event(self, content: bytes) -> Event:
        """The event as it is shown."""
        return Event(
            self.conversation,
            self.seq,
            self.stamp,
            self.id,
            self.sender,
            self.at_ms,
            self.ordinal,
            Raw(content),
        )


class Journal:
    """Gives out numbers and stamps, and keeps account of them."""

    def __init__(
        self,
        read: StoreDoor,
        run: StoreDoor,
        append: Append,
        clock: Clock,
    ) -> None:
        self.run = run
        self.append = append
        self._read = read
        self._now_ms = clock.now_ms
        self.last = 0
        """The last stamp given out."""
        self.durable = 0
        """Everything up to this stamp is stored, or never will be."""
        self.settled = 0
        self.event_count = 0
        """Events stored since the beginning."""
        self._started_ms = clock.now_ms()
        self._young: dict[MessageId, Entry] = {}
        self._old: dict[MessageId, Entry] = {}

    async def open(self) -> None:
        """Mend what a crash left, and go on after the last stamp."""
        self.last, self.event_count = await self.run(mend)
        self.durable = self.settled = self.last
        self._started_ms = self._now_ms()

    # Numbers

    def next_stamp(self) -> int:
        """A stamp for a change that is no event."""
        self.last += 1
        return self.last

    def new_entry(
        self,
        conversation: Conversation,
        id: MessageId,
        sender: UserId,
        *,
        at_ms: int = 0,
        is_text: bool = False,
    ) -> Entry:
        """Number an event of this moment. From here to the writer nothing may wait, or the order would be another."""
        self.last = stamp = self.last + 1
        conversation.head_seq = seq = conversation.head_seq + 1
        conversation.head_ordinal = ordinal = conversation.head_ordinal + is_text
        entry = Entry(
            conversation.id,
            id,
            sender,
            seq,
            ordinal,
            conversation.head_stamp,
            stamp,
            at_ms or self._now_ms(),
        )
        conversation.head_stamp = stamp
        conversation.pending += 1
        self._young[id] = entry
        if len(self._young) >= MAX_RECENT:
            self._turn_over()
        return entry

    def finish(self, conversation: Conversation, entry: Entry, *, is_text: bool) -> None:
        """An event became durable: it may be shown."""
        conversation.pending -= 1
        self.event_count += 1
        conversation.seq = entry.seq
        conversation.ordinal = entry.ordinal
        conversation.stamp = self.durable = entry.stamp
        if not is_text:
            conversation.last_other = entry.seq
        entry.is_stored = True

    def fail(self, conversation: Conversation, entry: Entry) -> None:
        """An event could not be stored; nobody was shown anything of it."""
        conversation.pending -= 1
        conversation.is_broken = True
        self._young.pop(entry.id, None)
        self._old.pop(entry.id, None)

    async def store(
        self,
        conversation: Conversation,
        entry: Entry,
        job: Callable[..., T],
        *args: Any,
        is_text: bool = False,
    ) -> T:
        """Run a job of the writer that stores the event with this entry; then it may be shown.

        The first thing that this does is to hand the job over. Raises what the writer raises.
        """
        try:
            result = await self.run(job, *args)
        except BaseException:
            self.fail(conversation, entry)
            raise
        self.finish(conversation, entry, is_text=is_text)
        return result

    def everything_before(self) -> Awaitable[None]:
        """Wait until all that was handed to the writer is decided."""
        return self.run(store.nothing)

    # Ids

    def new_id(self) -> MessageId:
        """An id for an event that the server makes."""
        return uuid7(self._now_ms(), secrets.token_bytes(10))

    def recall(self, id: MessageId) -> Entry | None:
        """The event with this id, when it is being stored or was stored lately."""
        return self._young.get(id) or self._old.get(id)

    def is_fresh(self, id: MessageId, now_ms: int) -> bool:
        """Whether an id that the memory does not know may be taken for new without looking it up."""
        id_ms = int.from_bytes(id[:6], "big")
        return id_ms >= self._started_ms and -FRESH_MS < id_ms - now_ms < FRESH_MS

    async def find(self, id: MessageId) -> FoundEvent | None:
        """The event with this id, wherever it is. One that is being stored is waited for."""
        entry = self.recall(id)
        if entry is None:
            return await self._read(store.find_by_id, id)
        if not entry.is_stored:
            await self.everything_before()
        return await self._read(store.find_by_stamp, entry.stamp)

    async def posted_before(
        self, conversation: Conversation, id: MessageId, user: UserId
    ) -> Posted | None:
        """The answer to a request that was carried out already. Raises RequestRefused(CONFLICT) when the id is another's."""
        entry = self.recall(id)
        if entry is not None:
            if entry.sender != user or entry.conversation != conversation.id:
                raise _id_in_use()
            if not entry.is_stored:
                await self.everything_before()
            return entry.posted() if entry.is_stored else None
        found = await self.find(id)
        if found is None:
            return None
        event = found.event
        if event.sender != user or found.conversation != conversation.key:
            raise _id_in_use()
        return Posted(conversation.id, event.seq, event.stamp, event.at_ms, event.ordinal)

    # Settling

    async def settle(self, up_to: int) -> None:
        """Index what is durable up to a stamp, in portions between which messages are stored."""
        while self.settled < up_to:
            portion = min(up_to, self.settled + SETTLE_STAMPS)
            await self.run(store.settle, portion)
            self.settled = portion

    def _turn_over(self) -> None:
        """Forget the older generation, as long as the settled ids know them."""
        oldest_kept = next(iter(self._young.values()))
        if not self._old or self.settled >= oldest_kept.stamp:
            self._old, self._young = self._young, {}


def _id_in_use() -> RequestRefused:
    """What somebody is told whose id belongs to another event."""
    return RequestRefused(ErrorCode.CONFLICT, "Another event has this id; make a new one.")
