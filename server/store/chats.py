# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations as one person sees them: which there are, what is new, and what is theirs alone."""

from collections.abc import Sequence
from typing import NamedTuple

from peewee import Database

from protocol.ids import ConversationId
from server.store.cursors import count_mentions
from server.store.events import StoredEvent, newest, stamp_of


class ChatStamps(NamedTuple):
    """When one of a person's conversations last changed, as far as that is settled."""

    conversation: ConversationId
    member: int
    """Membership, settings, own read cursor."""
    head: int
    """The last event."""
    touched: int
    """Anybody's cursors."""
    is_over: bool
    """The person belongs to it no more: only ``member`` matters."""


class Window(NamedTuple):
    """What of one conversation is wanted for one person."""

    conversation: int
    head: int
    """Stamp of the last event that the person may see."""
    first: int
    read: int
    last: int
    """Number of the last event that the person may see."""
    is_over: bool
    """There are events behind the last one that the person may see."""


class Seen(NamedTuple):
    """What the store knows of a conversation that is one person's alone, and its newest events."""

    events: list[StoredEvent]
    mentions: int
    draft: bytes | None


def chats_of(db: Database, person: int) -> list[ChatStamps]:
    """All conversations of a person, also those that are over for them."""
    rows = db.execute_sql(
        "SELECT c.id, m.stamp, COALESCE(h.stamp, 0), COALESCE(h.touched, 0), m.last IS NOT NULL FROM member m "
        "JOIN conversation c ON c.key = m.conversation "
        "LEFT JOIN head h ON h.conversation = m.conversation WHERE m.user = ?",
        (person,),
    ).fetchall()
    return [ChatStamps(*row) for row in rows]


def see(
    db: Database, person: int, windows: Sequence[Window], count: int, since: int, max_bytes: int
) -> list[Seen]:
    """Look through each window: up to ``count`` events with stamps above ``since``, not more than ``max_bytes`` of them, but
    at least one."""
    return [
        Seen(
            _events(db, window, count, since, max_bytes) if count else [],
            _mentions(db, window, person),
            _draft(db, window.conversation, person),
        )
        for window in windows
    ]


def set_draft(
    db: Database, conversation: int, person: int, draft: bytes | None, stamp: int
) -> None:
    """Keep a draft, or none."""
    db.execute_sql(
        "UPDATE member SET draft = ?, stamp = ? WHERE conversation = ? AND user = ?",
        (draft, stamp, conversation, person),
    )


def set_flags(
    db: Database, conversation: int, person: int, is_muted: bool, is_pinned: bool, stamp: int
) -> None:
    """Keep a person's settings of a conversation."""
    db.execute_sql(
        "UPDATE member SET is_muted = ?, is_pinned = ?, stamp = ? WHERE conversation = ? AND user = ?",
        (is_muted, is_pinned, stamp, conversation, person),
    )


def _events(
    db: Database, window: Window, count: int, since: int, max_bytes: int
) -> list[StoredEvent]:
    start = window.head
    if window.is_over:
        start = stamp_of(db, window.conversation, start, window.last)
    return newest(db, start, window.first, count, max_bytes, since)


def _mentions(db: Database, window: Window, person: int) -> int:
    if window.is_over or window.read >= window.last:
        return 0
    return count_mentions(db, window.conversation, person, window.read, window.last)


def _draft(db: Database, conversation: int, person: int) -> bytes | None:
    row = db.execute_sql(
        "SELECT draft FROM member WHERE conversation = ? AND user = ?", (conversation, person)
    ).fetchone()
    return bytes(row[0]) if row and row[0] is not None else None
