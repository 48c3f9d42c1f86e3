# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations and their members: loaded whole, made, and changed together with the event that tells of it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from peewee import Database

from protocol.ids import ConversationId, DepartmentId, UserId
from server.store.events import EventRow, insert_events


class MemberRow(NamedTuple):
    """One person's part in a conversation; ``last`` is None while they belong to it."""

    key: int
    user: UserId
    role: str
    first: int
    last: int | None
    last_ordinal: int | None
    delivered: int
    read: int
    read_ordinal: int
    has_spoken: bool
    is_muted: bool
    is_pinned: bool
    stamp: int


class ConversationRow(NamedTuple):
    """A conversation without its members and events."""

    key: int
    id: ConversationId
    kind: str
    title: str
    department: DepartmentId | None
    is_readers_only: bool


class Head(NamedTuple):
    """The last event of a conversation, and the stamp of the last change of a member's cursors."""

    seq: int
    ordinal: int
    stamp: int
    touched: int = 0


class Loaded(NamedTuple):
    """Everything about a conversation but its events."""

    conversation: ConversationRow
    head: Head
    members: list[MemberRow]


class NewMember(NamedTuple):
    """Someone who belongs to a conversation from an event on."""

    key: int
    role: str
    first: int
    """The number of that event."""
    ordinal: int
    """The ordinal of that event."""
    has_spoken: bool = False


class MemberChanges(NamedTuple):
    """What one event changes in the membership of a conversation."""

    joined: Sequence[NewMember] = ()
    gone: Sequence[int] = ()
    roles: Sequence[tuple[int, str]] = ()
    """Person and new role."""


_MEMBERS = """
SELECT m.user, p.id, m.role, m.first, m.last, m.last_ordinal, m.delivered, m.read, m.read_ordinal, m.has_spoken, m.is_muted, m.is_pinned, m.stamp
FROM member m JOIN person p ON p.key = m.user WHERE m.conversation = ? ORDER BY m.first, m.user
"""


def load(db: Database, id: ConversationId) -> Loaded | None:
    """A conversation whose events are all settled."""
    row = db.execute_sql(
        "SELECT c.key, c.id, c.kind, c.title, c.department, c.is_readers_only, h.seq, h.ordinal, h.stamp, h.touched "
        "FROM conversation c JOIN head h ON h.conversation = c.key WHERE c.id = ?",
        (id,),
    ).fetchone()
    if row is None:
        return None
    conversation = ConversationRow(*row[:6])
    members = [
        MemberRow(*member) for member in db.execute_sql(_MEMBERS, (conversation.key,)).fetchall()
    ]
    return Loaded(conversation, Head(*row[6:]), members)


def load_all(db: Database, ids: Iterable[ConversationId]) -> dict[ConversationId, Loaded]:
    """Those of the conversations that exist."""
    found = {id: load(db, id) for id in ids}
    return {id: loaded for id, loaded in found.items() if loaded is not None}


def id_of(db: Database, key: int) -> ConversationId | None:
    """The id of the conversation with this key."""
    row = db.execute_sql("SELECT id FROM conversation WHERE key = ?", (key,)).fetchone()
    return bytes(row[0]) if row else None


def create(
    db: Database,
    conversation: ConversationRow,
    at_ms: int,
    members: Sequence[NewMember],
    events: Sequence[EventRow],
) -> int:
    """Make a conversation with its first events; the keys in the rows are replaced by the new one, which is returned."""
    cursor = db.execute_sql(
        "INSERT INTO conversation (id, kind, title, department, is_readers_only, created_ms) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (*conversation[1:], at_ms),
    )
    key = int(cursor.lastrowid)
    insert_events(db, [(*row[:2], key, *row[3:]) for row in events])
    _join(db, key, members, events[0][0])
    return key


def change_members(db: Database, event: EventRow, changes: MemberChanges) -> None:
    """Store an event with what it changes in the membership."""
    insert_events(db, [event])
    stamp, _, conversation, seq = event[:4]
    _join(db, conversation, changes.joined, stamp)
    for person in changes.gone:
        db.execute_sql(
            "UPDATE member SET last = ?, last_ordinal = ?, stamp = ?, is_pinned = 0, draft = NULL "
            "WHERE conversation = ? AND user = ?",
            (seq, event[8], stamp, conversation, person),
        )
    for person, role in changes.roles:
        db.execute_sql(
            "UPDATE member SET role = ?, stamp = ? WHERE conversation = ? AND user = ?",
            (role, stamp, conversation, person),
        )


def change_group(db: Database, event: EventRow, title: str, is_readers_only: bool) -> None:
    """Store an event with the group's new title and rules."""
    insert_events(db, [event])
    db.execute_sql(
        "UPDATE conversation SET title = ?, is_readers_only = ? WHERE key = ?",
        (title, is_readers_only, event[2]),
    )


def mark_spoken(db: Database, conversation: int, person: int) -> None:
    """Someone opened a direct conversation or wrote in it: the other may answer."""
    db.execute_sql(
        "UPDATE member SET has_spoken = 1 WHERE conversation = ? AND user = ?",
        (conversation, person),
    )


def department_members(db: Database) -> Iterable[tuple[DepartmentId, int]]:
    """Who belongs to which department's conversation now; a conversation without members has person 0."""
    return db.execute_sql(  # type: ignore[no-any-return]
        "SELECT c.department, COALESCE(m.user, 0) FROM conversation c "
        "LEFT JOIN member m ON m.conversation = c.key AND m.last IS NULL WHERE c.kind = 'department'"
    ).fetchall()


def _join(db: Database, conversation: int, members: Sequence[NewMember], stamp: int) -> None:
    """Let people in; who comes back starts anew and sees nothing of what was before."""
    db.cursor().executemany(
        "INSERT INTO member (conversation, user, role, first, has_spoken, delivered, read, read_ordinal, stamp) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (conversation, user) DO UPDATE SET role = excluded.role, first = excluded.first, last = NULL, last_ordinal = NULL, "
        "delivered = excluded.delivered, read = excluded.read, read_ordinal = excluded.read_ordinal, "
        "has_spoken = excluded.has_spoken, is_muted = 0, is_pinned = 0, draft = NULL, stamp = excluded.stamp",
        [
            (conversation, new.key, new.role, new.first, new.has_spoken, *_cursors(new), stamp)
            for new in members
        ],
    )


def _cursors(new: NewMember) -> tuple[int, int, int]:
    """Delivered, read, ordinal there: right before the event with which they came."""
    return new.first - 1, new.first - 1, new.ordinal
