# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from the server enters the copy here: one transaction for each batch, and a record of what it changed."""

from collections.abc import Iterable, Sequence

import msgspec

from client.core import ranges
from client.core.store import conversations, events, meta, outbox, timeline
from client.core.store.database import Db
from client.core.store.events import Taken
from client.core.store.outbox import QueuedRow
from client.core.views import MessageView
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.chat import (
    Chat,
    ChatChanged,
    ChatsPage,
    Cursor,
    Event,
    Events,
    History,
    Posted,
    Receipts,
)
from protocol.messages.kinds import Push


class Arrival(msgspec.Struct, frozen=True):
    """New messages at the gapless end of a conversation."""

    conversation: ConversationId
    messages: tuple[MessageView, ...]


class Landing(msgspec.Struct):
    """What a batch changed."""

    chats: set[ConversationId] = msgspec.field(default_factory=set)
    arrivals: list[Arrival] = msgspec.field(default_factory=list)
    changed: dict[ConversationId, set[MessageId]] = msgspec.field(default_factory=dict)
    sent: list[tuple[ConversationId, MessageId, int]] = msgspec.field(default_factory=list)
    receipts: dict[ConversationId, set[UserId]] = msgspec.field(default_factory=dict)
    filled: list[tuple[ConversationId, int, int]] = msgspec.field(default_factory=list)
    unknown: set[ConversationId] = msgspec.field(default_factory=set)
    """Conversations of which the server has to be asked: not here, or with facts that may have changed in a gap."""
    has_gaps: bool = False

    def note(self, db: Db, me: UserId, taken: Taken) -> None:
        """Add what taking some events changed."""
        if taken.is_changed or taken.changed:
            self.chats.add(taken.conversation)
        if taken.changed:
            self.changed.setdefault(taken.conversation, set()).update(taken.changed)
        self.sent += ((taken.conversation, post, seq) for post, seq in taken.confirmed.items())
        self.has_gaps |= taken.has_gap
        if taken.seen_by:
            self.receipts.setdefault(taken.conversation, set()).update(taken.seen_by)
        if taken.arrived is not None:
            views = timeline.messages_between(db, me, taken.key, *taken.arrived)
            fresh = tuple(view for view in views if view.id not in taken.confirmed)
            if fresh:
                self.arrivals.append(Arrival(taken.conversation, fresh))


def land_pushes(db: Db, me: UserId, pushes: Sequence[Push]) -> Landing:
    """Take pushes in their order."""
    landing = Landing()
    run: list[Event] = []
    for push in pushes:
        if isinstance(push, Events):
            run += push.events
            continue
        _land_events(db, me, run, landing)
        run = []
        if isinstance(push, ChatChanged):
            _land_chat(db, me, push.chat, landing, is_first_sync=False)
        elif isinstance(push, Receipts):
            _land_receipts(db, push, landing)
    _land_events(db, me, run, landing)
    return landing


def land_page(db: Db, me: UserId, page: ChatsPage, *, is_first_sync: bool) -> Landing:
    """Take a page of synchronisation."""
    landing = Landing()
    for chat in page.chats:
        _land_chat(db, me, chat, landing, is_first_sync=is_first_sync)
    return landing


def land_chat(db: Db, me: UserId, chat: Chat) -> Landing:
    """Take one conversation that the server was asked about."""
    landing = Landing()
    _land_chat(db, me, chat, landing, is_first_sync=False)
    return landing


def land_history(db: Db, me: UserId, history: History, first: int, last: int) -> Landing:
    """Take a page of history that was asked for to fill first..last."""
    landing = Landing()
    row = conversations.find(db, history.conversation)
    if row is None:
        return landing
    row.first = history.first
    if history.events:
        as_of = history.events[-1].seq
        landing.note(db, me, events.take_events(db, me, row, history.events, as_of))
        landing.filled.append((row.id, history.events[0].seq, as_of))
    else:
        conversations.write(db, row)
    runs = conversations.held(db, row.key)
    bottom = max(first, history.first)
    landing.has_gaps = bool(ranges.missing(runs, bottom, min(last, row.head)))
    return landing


def land_posted(db: Db, me: UserId, queued: QueuedRow, posted: Posted) -> Landing:
    """Take the acknowledgement of a post of ours."""
    landing = Landing()
    taken = outbox.confirm(db, me, queued, posted)
    if taken is not None:
        taken.confirmed[queued.id] = posted.seq
        landing.note(db, me, taken)
        row = conversations.find_key(db, taken.key)
        if taken.has_gap or not row.is_known:
            landing.unknown.add(queued.conversation)
    return landing


def finish_sync(db: Db, stamp: int, *, is_first_sync: bool, told: Iterable[Cursor]) -> None:
    """Everything up to a stamp is accounted for, and the server knows the cursors that it was told before."""
    meta.save(db, meta.STAMP, stamp)
    conversations.cursors_stated(db, told)
    if is_first_sync:
        conversations.drop_unknown(db)


class Gap(msgspec.Struct, frozen=True):
    """Numbers that are to be fetched."""

    conversation: ConversationId
    first: int
    last: int


class Gaps(msgspec.Struct, frozen=True):
    """The most wanted gap and the size of all."""

    next: Gap | None
    missing: int


def wanted_gaps(
    db: Db, looked_at: Sequence[ConversationId], skipped: Iterable[ConversationId]
) -> Gaps:
    """What is to be fetched without being asked for: holes between held runs, and everything after our cursors.

    What is older than all that comes when somebody scrolls there.
    """
    places = {conversation: place for place, conversation in enumerate(looked_at)}
    skip = set(skipped)
    best: tuple[tuple[int, int], Gap] | None = None
    missing = 0
    rows = db.execute(
        "SELECT c.id, c.key, c.first, c.head, min(c.delivered, c.announced), c.stamp"
        " FROM conversation c WHERE c.is_known AND (c.delivered < c.head OR c.announced < c.head"
        " OR (SELECT count(*) FROM held h WHERE h.conversation = c.key) > 1)"
    ).fetchall()
    for conversation, key, first, head, cursor, stamp in rows:
        if conversation in skip:
            continue
        runs = conversations.held(db, key)
        floor = max(first, min(cursor + 1, runs[0][0] if runs else head))
        gaps = ranges.missing(runs, floor, head)
        if gaps:
            missing += sum(high - low + 1 for low, high in gaps)
            order = (places.get(conversation, len(places)), -stamp)
            if best is None or order < best[0]:
                best = order, Gap(conversation, *gaps[-1])
    return Gaps(best[1] if best is not None else None, missing)


def _land_events(db: Db, me: UserId, run: Sequence[Event], landing: Landing) -> None:
    by_conversation: dict[ConversationId, list[Event]] = {}
    for event in run:
        by_conversation.setdefault(event.conversation, []).append(event)
    for conversation, group in by_conversation.items():
        row = conversations.find(db, conversation)
        if row is None or not row.is_known:
            landing.unknown.add(conversation)
            continue
        # A server sends them in order; whatever came between must not turn that into a wrong end.
        group.sort(key=lambda event: event.seq)
        taken = events.take_events(db, me, row, group)
        if taken.has_gap:
            landing.unknown.add(conversation)
        landing.note(db, me, taken)


def _land_chat(db: Db, me: UserId, chat: Chat, landing: Landing, *, is_first_sync: bool) -> None:
    row = conversations.take_chat(db, chat, is_first_sync=is_first_sync)
    landing.chats.add(row.id)
    as_of = chat.events[-1].seq if chat.events else None
    taken = events.take_events(db, me, row, chat.events, as_of)
    landing.note(db, me, taken)
    if chat.receipts:
        landing.receipts.setdefault(row.id, set()).update(one.user for one in chat.receipts)
    landing.has_gaps |= row.delivered < row.head or row.announced < row.head


def _land_receipts(db: Db, push: Receipts, landing: Landing) -> None:
    for changed in push.changed:
        row = conversations.find(db, changed.conversation)
        if row is not None:
            conversations.move_receipts(db, row.key, changed.receipts)
            users = landing.receipts.setdefault(row.id, set())
            users.update(one.user for one in changed.receipts)
