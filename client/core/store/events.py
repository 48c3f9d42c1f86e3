# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the server's events into the copy, in any order and any number of times, with the same result.

Theory: the truth is the set of held events by (conversation, number). A message's content accounts for all changes up to its
``revision``; an edit or recall with a higher number is folded into it, whichever of the two comes first. What a page of
history serves accounts for every change up to the page's last number. Counters follow from the events and our cursors.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from client.core import ranges
from client.core.ranges import Runs
from client.core.store import conversations, meta
from client.core.store.conversations import Conversation
from client.core.store.database import Db
from protocol.codec import decode_content, encode_content
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.chat import Event, Receipt
from protocol.messages.content import (
    Edit,
    EventContent,
    GroupChanged,
    MembersChanged,
    React,
    Recall,
    Recalled,
    SpanKind,
    Text,
)

UNKNOWN_KIND: Final = "unknown"
_INSERT: Final = (
    "INSERT OR IGNORE INTO event (stamp, conversation, seq, id, sender, at_ms, ordinal, kind,"
    " target, revision, is_message, mentions_me, is_unindexed, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Taken(msgspec.Struct):
    """What taking some events of one conversation has changed."""

    key: int
    conversation: ConversationId
    is_changed: bool = False
    """Something is here that was not."""
    changed: set[MessageId] = msgspec.field(default_factory=set)
    """Messages that were here before and differ now."""
    confirmed: dict[MessageId, int] = msgspec.field(default_factory=dict)
    """Queued posts of ours that turned up at the server, with their numbers."""
    arrived: tuple[int, int] | None = None
    """Numbers that became the gapless end of what was published so far."""
    has_gap: bool = False
    """Numbers are missing just below what came."""
    seen_by: set[UserId] = msgspec.field(default_factory=set)
    """Others whose cursors moved, because they wrote."""


class _Read(msgspec.Struct):
    """An event with its content decoded once."""

    event: Event
    content: EventContent | None
    is_message: bool = False

    @property
    def target(self) -> MessageId | None:
        content = self.content
        return content.target if isinstance(content, Edit | Recall | React) else None


def take_events(
    db: Db, me: UserId, row: Conversation, events: Sequence[Event], as_of: int | None = None
) -> Taken:
    """Take events of one conversation, ascending. ``as_of``: their contents account for changes up to this number
    (None: each up to its own). The row is changed and written."""
    taken = Taken(row.key, row.id)
    before = runs = conversations.held(db, row.key)
    fresh: list[_Read] = []
    for event in events:
        if ranges.covers(runs, event.seq, event.seq):
            if as_of is not None:
                _refresh(db, me, row, event, as_of, taken)
            continue
        runs = ranges.add(runs, event.seq, event.seq)
        fresh.append(_Read(event, decode_content(event.content)))
    if fresh:
        taken.is_changed = True
        taken.has_gap = _is_gap_below(row, before, fresh)
        _insert(db, me, row, fresh, as_of)
        conversations.keep_held(db, row.key, before, runs)
        _apply_changes(db, me, row, fresh, as_of, taken)
        _confirm_posts(db, me, fresh, taken)
        _follow(db, me, row, fresh)
        taken.seen_by = _follow_senders(db, me, row, fresh)
    settle_cursors(db, me, row, runs, taken)
    conversations.write(db, row)
    return taken


def settle_cursors(
    db: Db, me: UserId, row: Conversation, runs: Runs, taken: Taken | None = None
) -> None:
    """Bring what follows from held events and cursors up to date: delivered, announced, mentions. Does not write the row."""
    end = ranges.end_of_run(runs, row.delivered + 1)
    if end is not None:
        row.delivered = end
    end = ranges.end_of_run(runs, row.announced + 1)
    if end is not None:
        if taken is not None:
            taken.arrived = (row.announced + 1, end)
        row.announced = end
    if row.is_over:
        row.mentions = 0  # nobody is called any more
    elif ranges.covers(runs, row.read + 1, row.head):
        row.mentions = _mentions_after(db, me, row.key, row.read)


def read_up_to(db: Db, me: UserId, row: Conversation, upto: int) -> bool:
    """Move our read cursor forward and write the row; whether it moved."""
    upto = min(upto, row.head)
    if upto <= row.read:
        return False
    seen = db.execute(
        "SELECT count(*) FROM event WHERE conversation = ? AND mentions_me AND seq > ? AND seq <= ?"
        " AND sender != ?",
        (row.key, row.read, upto, me),
    ).fetchone()[0]
    at = db.execute(
        "SELECT ordinal FROM event WHERE conversation = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
        (row.key, upto),
    ).fetchone()
    row.mentions = max(0, row.mentions - seen)
    row.read = upto
    if upto == row.head:
        row.read_ordinal = row.ordinal
        row.mentions = 0
    elif at is not None:
        row.read_ordinal = max(row.read_ordinal, at[0])
    settle_cursors(db, me, row, conversations.held(db, row.key))
    conversations.write(db, row)
    return True


def mentions(content: EventContent | None, me: UserId) -> bool:
    """Whether a text mentions me, by name or with everybody."""
    if not isinstance(content, Text):
        return False
    return any(
        (span.kind == SpanKind.MENTION.value and span.user == me)
        or span.kind == SpanKind.MENTION_ALL.value
        for span in content.spans
    )


def _is_gap_below(row: Conversation, before: Runs, fresh: Sequence[_Read]) -> bool:
    lowest = fresh[0].event.seq
    return bool(before) and lowest > before[-1][1] + 1


def _insert(
    db: Db, me: UserId, row: Conversation, fresh: Sequence[_Read], as_of: int | None
) -> None:
    rows = []
    earlier: _Read | None = None
    for read in fresh:
        event, content = read.event, read.content
        read.is_message = _is_message(db, row.key, read, earlier)
        earlier = read
        kind = content.__struct_config__.tag if content is not None else UNKNOWN_KIND
        rows.append(
            (
                event.stamp,
                row.key,
                event.seq,
                event.id,
                event.sender,
                event.at_ms,
                event.ordinal,
                kind,
                read.target,
                max(event.seq, as_of or 0),
                read.is_message,
                mentions(content, me),
                isinstance(content, Text),
                bytes(event.content),
            )
        )
    db.executemany(_INSERT, rows)
    _recheck_next(db, row.key, fresh[-1].event)


def _is_message(db: Db, key: int, read: _Read, earlier: _Read | None) -> bool:
    """Texts are; what was recalled, or is of unknown kind, is one when it raised the count of messages."""
    content, event = read.content, read.event
    if isinstance(content, Text):
        return True
    if content is not None and not isinstance(content, Recalled):
        return False
    if event.seq == 1 or event.ordinal == 0:
        return event.ordinal > 0
    if earlier is not None and earlier.event.seq == event.seq - 1:
        return event.ordinal > earlier.event.ordinal
    found = db.execute(
        "SELECT ordinal FROM event WHERE conversation = ? AND seq = ?", (key, event.seq - 1)
    ).fetchone()
    return found is None or event.ordinal > found[0]


def _recheck_next(db: Db, key: int, last: Event) -> None:
    """The event after these could not be told a message from a recalled edit before its predecessor came."""
    db.execute(
        "UPDATE event SET is_message = ordinal > ? WHERE conversation = ? AND seq = ?"
        " AND kind IN ('recalled', ?)",
        (last.ordinal, key, last.seq + 1, UNKNOWN_KIND),
    )


def _refresh(db: Db, me: UserId, row: Conversation, event: Event, as_of: int, taken: Taken) -> None:
    """An event that is here already was served again: keep the later content."""
    found = db.execute(
        "SELECT revision, content FROM event WHERE conversation = ? AND seq = ?",
        (row.key, event.seq),
    ).fetchone()
    if found is None or found[0] >= as_of:
        return
    if found[1] == bytes(event.content):
        db.execute("UPDATE event SET revision = ? WHERE stamp = ?", (as_of, event.stamp))
        return
    content = decode_content(event.content)
    _replace(db, me, event.stamp, content, bytes(event.content), as_of)
    taken.changed.add(event.id)


def _replace(
    db: Db, me: UserId, stamp: int, content: EventContent | None, encoded: bytes, revision: int
) -> None:
    kind = content.__struct_config__.tag if content is not None else UNKNOWN_KIND
    db.execute(
        "UPDATE event SET content = ?, kind = ?, revision = ?, mentions_me = ?, is_unindexed = 1"
        " WHERE stamp = ?",
        (encoded, kind, revision, mentions(content, me), stamp),
    )


def _apply_changes(
    db: Db,
    me: UserId,
    row: Conversation,
    fresh: Sequence[_Read],
    as_of: int | None,
    taken: Taken,
) -> None:
    """Fold what came into what was here, and what was here into what came."""
    for read in fresh:
        event, content = read.event, read.content
        if isinstance(content, Edit | Recall):
            _fold(db, me, row.key, content, event.seq, event.sender, event.at_ms, taken)
        elif isinstance(content, React):
            db.execute(
                "INSERT INTO reaction (target, emoji, user, seq, is_on) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET seq = excluded.seq, is_on = excluded.is_on"
                " WHERE excluded.seq > seq",
                (content.target, content.emoji, event.sender, event.seq, content.is_on),
            )
            taken.changed.add(content.target)
        elif read.is_message and event.seq < row.head:
            later = db.execute(
                "SELECT seq, sender, at_ms, content FROM event"
                " WHERE target = ? AND conversation = ? AND seq > ? ORDER BY seq",
                (event.id, row.key, max(event.seq, as_of or 0)),
            ).fetchall()
            for seq, sender, at_ms, encoded in later:
                change = decode_content(encoded)
                if isinstance(change, Edit | Recall):
                    _fold(db, me, row.key, change, seq, sender, at_ms, taken)
    taken.changed.difference_update(read.event.id for read in fresh if read.is_message)


def _fold(
    db: Db,
    me: UserId,
    key: int,
    change: Edit | Recall,
    seq: int,
    sender: UserId,
    at_ms: int,
    taken: Taken,
) -> None:
    found = db.execute(
        "SELECT stamp, revision, content FROM event WHERE id = ? AND conversation = ?",
        (change.target, key),
    ).fetchone()
    if found is None or found[1] >= seq:
        return
    stamp, _, encoded = found
    old = decode_content(encoded)
    if not isinstance(old, Text):
        return
    if isinstance(change, Recall):
        gone = bytes(encode_content(Recalled(sender, at_ms)))
        _replace(db, me, stamp, Recalled(sender, at_ms), gone, seq)
        db.execute(
            "UPDATE event SET content = ?, kind = 'recalled' WHERE target = ? AND kind = 'edit'",
            (gone, change.target),
        )
    elif old.edited_ms > at_ms:
        return  # served with a later edit in it, whose own event is still to come
    else:
        new = msgspec.structs.replace(old, text=change.text, spans=change.spans, edited_ms=at_ms)
        _replace(db, me, stamp, new, bytes(encode_content(new)), seq)
    taken.changed.add(change.target)


def _confirm_posts(db: Db, me: UserId, fresh: Sequence[_Read], taken: Taken) -> None:
    """A post that is among the events has arrived, whether or not its acknowledgement did."""
    for read in fresh:
        event = read.event
        if event.sender == me:
            done = db.execute("DELETE FROM outbox WHERE id = ?", (event.id,)).rowcount
            if done:
                taken.confirmed[event.id] = event.seq


def _follow(db: Db, me: UserId, row: Conversation, fresh: Sequence[_Read]) -> None:
    """Bring the row to its newest event. Facts of the group are taken from what is new at the end only."""
    for read in fresh:
        event, content = read.event, read.content
        if event.seq > row.head:
            if isinstance(content, MembersChanged):
                _follow_members(db, me, row, content)
            elif isinstance(content, GroupChanged):
                row.title = content.title
                row.is_readers_only = content.is_readers_only
            if event.sender != me and event.seq > row.read and mentions(content, me):
                row.mentions += 1
            row.head = event.seq
            row.ordinal = event.ordinal
        if event.seq == row.head:
            row.stamp = event.stamp
            row.at_ms = event.at_ms
        if event.sender == me and event.seq > row.read and _moves_cursors(content):
            row.read = event.seq
            row.read_ordinal = event.ordinal
            row.mentions = 0 if row.read == row.head else row.mentions


def _follow_senders(db: Db, me: UserId, row: Conversation, fresh: Sequence[_Read]) -> set[UserId]:
    """Whoever writes has everything before it: no receipts are pushed for that. Returns whose cursors moved."""
    wrote = {
        read.event.sender: read.event.seq
        for read in fresh
        if read.event.sender != me and _moves_cursors(read.content)
    }
    if not wrote:
        return set()
    account = meta.load(db, meta.ACCOUNT)
    has_read = account is None or account.policy.has_read_receipts
    return conversations.advance_receipts(
        db, row.key, [Receipt(user, seq, seq if has_read else 0) for user, seq in wrote.items()]
    )


def _moves_cursors(content: EventContent | None) -> bool:
    return isinstance(content, Text | Edit | Recall | React | Recalled)


def _follow_members(db: Db, me: UserId, row: Conversation, content: MembersChanged) -> None:
    gone = (*content.removed, *content.left)
    row.member_count = max(0, row.member_count + len(content.added) - len(gone))
    conversations.remove_receipts(db, row.key, gone)
    others = (user for user in content.added if user != me)
    conversations.move_receipts(db, row.key, (Receipt(user) for user in others))
    if me in content.changed and content.role:
        row.role = content.role
    if me in gone:
        row.is_over = True


def _mentions_after(db: Db, me: UserId, key: int, read: int) -> int:
    count: int = db.execute(
        "SELECT count(*) FROM event WHERE conversation = ? AND mentions_me AND seq > ?"
        " AND sender != ?",
        (key, read, me),
    ).fetchone()[0]
    return count
