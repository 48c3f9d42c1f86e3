# SPDX-License-Identifier: GPL-3.0-or-later
"""Cursors: what arrived on people's devices and what they have seen, collected for a moment before others are told."""

from collections.abc import Iterator
from typing import Final

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import UserId
from protocol.limits import MAX_CURSORS_PER_MESSAGE, MAX_RECEIPT_MEMBERS
from protocol.messages.chat import (
    Cursor,
    Cursors,
    GetReceipts,
    Receipt,
    ReceiptList,
    Receipts,
    ReceiptsChanged,
)
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.chat_rules import ChatRules
from server.services.chat_views import ChatViews
from server.services.clock import Cancel, Clock
from server.services.conversation import Conversation, Membership
from server.services.delivery import Delivery
from server.services.doors import Spawn, StoreDoor
from server.services.journal import Journal
from server.services.rooms import Rooms
from server.store import events as store

TICK_S: Final = 0.5
"""How long receipts are collected: a person reading a chat makes one push and not ten."""


class ReceiptBook:
    """Who has received and read how much."""

    def __init__(
        self,
        read: StoreDoor,
        journal: Journal,
        rooms: Rooms,
        rules: ChatRules,
        delivery: Delivery,
        views: ChatViews,
        audience: Audience,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self._read = read
        self._journal = journal
        self._rooms = rooms
        self._rules = rules
        self._delivery = delivery
        self._views = views
        self._audience = audience
        self._clock = clock
        self._spawn = spawn
        self._moved: dict[Conversation, dict[Membership, None]] = {}
        self._seen: dict[Membership, tuple[Conversation, Caller]] = {}
        self._tick: Cancel | None = None

    def close(self) -> None:
        """Tell nobody anything any more."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def take(self, caller: Caller, note: Cursors) -> None:
        """Move the caller's cursors. What can't be is passed over: a note has no answer."""
        later = []
        for cursor in note.cursors:
            conversation = self._rooms.loaded.get(cursor.conversation)
            if conversation is None or not self._move_now(caller, conversation, cursor):
                later.append(cursor)
        if later:
            self._spawn(self._move_later(caller, later))

    async def get_receipts(self, caller: Caller, request: GetReceipts) -> ReceiptList:
        """How far every other member has got, as far as the caller may know of them."""
        conversation, member = await self._rooms.membership(request.conversation, caller.user)
        if member.is_over:
            raise RequestRefused(
                ErrorCode.FORBIDDEN, "You are not a member of this conversation any more."
            )
        return ReceiptList(self._delivery.all_receipts(conversation, member))

    def _move_now(self, caller: Caller, conversation: Conversation, cursor: Cursor) -> bool:
        """Move one cursor; False when the store has to be asked how many messages lie before it."""
        member = conversation.find(caller.user)
        if member is None:
            return True
        # Never beyond what can be seen, never backwards.
        sight = conversation.sight_of(member)
        read = max(member.read, min(cursor.read, sight))
        delivered = max(member.delivered, read, min(cursor.delivered, sight))
        ordinal = member.read_ordinal
        if read > member.read:
            if read == member.last:
                ordinal = conversation.ordinal_for(member)
            elif read >= conversation.last_other:
                # From there to the head there are only texts.
                ordinal = conversation.ordinal - (conversation.seq - read)
            else:
                return False
        self._move(caller, conversation, member, delivered, read, ordinal)
        return True

    async def _move_later(self, caller: Caller, cursors: list[Cursor]) -> None:
        found = await self._rooms.load_all(cursor.conversation for cursor in cursors)
        for cursor in cursors:
            conversation = found.get(cursor.conversation)
            if conversation is None or self._move_now(caller, conversation, cursor):
                continue
            member = conversation.find(caller.user)
            if member is None:
                continue
            read = min(cursor.read, conversation.sight_of(member))
            ordinal = await self._read(store.ordinal_at, conversation.key, conversation.stamp, read)
            if read > member.read and conversation.find(caller.user) is member:
                delivered = max(member.delivered, read)
                self._move(caller, conversation, member, delivered, read, ordinal)

    def _move(
        self,
        caller: Caller,
        conversation: Conversation,
        member: Membership,
        delivered: int,
        read: int,
        ordinal: int,
    ) -> None:
        has_read, is_delivered = read > member.read, delivered > member.delivered
        if not has_read and not is_delivered:
            return
        stamp = self._journal.next_stamp()
        member.delivered, member.read, member.read_ordinal = delivered, read, ordinal
        if has_read:
            member.stamp = stamp
            self._seen[member] = (conversation, caller)
        if len(conversation.members) <= MAX_RECEIPT_MEMBERS and not member.is_over:
            conversation.touched = stamp
            self._rooms.cursors.touch(conversation)
            if is_delivered or self._rules.has_read_receipts:
                self._moved.setdefault(conversation, {})[member] = None
        self._rooms.cursors.add(conversation, member)
        if self._tick is None:
            self._tick = self._clock.call_later(TICK_S, self._tell)

    def _tell(self) -> None:
        self._tick = None
        moved, self._moved = self._moved, {}
        seen, self._seen = self._seen, {}
        told: dict[UserId, list[ReceiptsChanged]] = {}
        for conversation, members in moved.items():
            self._gather(conversation, list(members), told)
        for viewer, changed in told.items():
            for page in _pages(changed):
                self._audience.push((viewer,), Receipts(page))
        elsewhere = [
            (conversation, member, caller)
            for member, (conversation, caller) in seen.items()
            if self._delivery.has_other_sessions(caller)
        ]
        if elsewhere:
            self._spawn(self._tell_own_sessions(elsewhere))

    def _gather(
        self,
        conversation: Conversation,
        members: list[Membership],
        told: dict[UserId, list[ReceiptsChanged]],
    ) -> None:
        has_read = self._rules.has_read_receipts
        for viewer in conversation.members:
            if not self._audience.is_online(viewer):
                continue
            receipts = tuple(
                Receipt(member.user, member.delivered, member.read if has_read else 0)
                for member in members
                if member.user != viewer and self._rules.may_see(viewer, member.user)
            )
            if receipts:
                told.setdefault(viewer, []).append(ReceiptsChanged(conversation.id, receipts))

    async def _tell_own_sessions(
        self, moved: list[tuple[Conversation, Membership, Caller]]
    ) -> None:
        for conversation, member, caller in moved:
            chat = await self._views.chat(conversation, member)
            self._delivery.tell(chat, member, except_session=caller.session)


def _pages(changed: list[ReceiptsChanged]) -> Iterator[tuple[ReceiptsChanged, ...]]:
    """As many as fit one message at a time; those of one conversation stay together."""
    page: list[ReceiptsChanged] = []
    size = 0
    for one in changed:
        if page and size + len(one.receipts) > MAX_CURSORS_PER_MESSAGE:
            yield tuple(page)
            page, size = [], 0
        page.append(one)
        size += len(one.receipts)
    yield tuple(page)
