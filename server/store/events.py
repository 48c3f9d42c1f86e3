# SPDX-License-Identifier: GPL-3.0-or-later
"""Events: appended in batches, found again by walking from one to the one before, settled in bulk.

Theory: see migrations/0002_chat.sql. Whoever asks for a run of events names the stamp of one at or above it: the head of the
conversation, or every 64th event, which is indexed.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from peewee import Database, IntegrityError

from protocol.ids import MessageId, UserId

INDEXED_EVERY: Final = 64
"""Each so-manieth event of a conversation has an index entry; a walk skips at most one less."""

TEXT, EDIT, RECALL, REACT, RECALLED, CREATED, MEMBERS_CHANGED, GROUP_CHANGED = range(1, 9)
"""The kinds of content as they are stored; append-only. Up to RECALLED they are what people post."""

EventRow: TypeAlias = tuple[int, int | None, int, int, MessageId, int, int, int, int, bytes]
"""stamp, previous, conversation, seq, id, sender, at_ms, kind, ordinal, body."""

_COLUMNS: Final = "stamp, previous, conversation, seq, id, sender, at_ms, kind, ordinal, body"
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERTS: Final = tuple(
    (count, f"INSERT INTO event ({_COLUMNS}) VALUES " + ", ".join([_ROW] * count))  # noqa: S608 - constants
    for count in (64, 16, 4, 1)
)
"""Several rows in one statement cost half of what executemany does."""
_MAX_VARIABLES: Final = 500

_FIELDS: Final = (
    "c.stamp, c.seq, c.id, COALESCE(p.id, zeroblob(16)), c.at_ms, c.kind, c.ordinal, c.body"
)
_WALK: Final = f"""
WITH RECURSIVE c (stamp, previous, seq, id, sender, at_ms, kind, ordinal, body) AS (
    SELECT stamp, previous, seq, id, sender, at_ms, kind, ordinal, body FROM event WHERE stamp = ?
    UNION ALL
    SELECT e.stamp, e.previous, e.seq, e.id, e.sender, e.at_ms, e.kind, e.ordinal, e.body
    FROM c CROSS JOIN event e ON e.stamp = c.previous WHERE c.seq > ?
)
SELECT {_FIELDS} FROM c LEFT JOIN person p ON p.key = c.sender
"""  # noqa: S608 - constants
_STEPS: Final = """
WITH RECURSIVE c (stamp, previous, seq, size) AS (
    SELECT stamp, previous, seq, length(body) FROM event WHERE stamp = ?
    UNION ALL
    SELECT e.stamp, e.previous, e.seq, length(e.body)
    FROM c CROSS JOIN event e ON e.stamp = c.previous WHERE c.seq > ?
)
SELECT seq, stamp, size FROM c
"""


class BatchRefused(Exception):
    """An event of the batch is stored already, or follows one that could not be stored. Nothing of the batch was stored."""


class StoredEvent(NamedTuple):
    """One event as it is served now."""

    stamp: int
    seq: int
    id: MessageId
    sender: UserId
    at_ms: int
    kind: int
    ordinal: int
    body: bytes


class FoundEvent(NamedTuple):
    """One event found by its id, with the key of its conversation."""

    event: StoredEvent
    conversation: int


def insert_events(db: Database, rows: Sequence[EventRow]) -> None:
    """Append events, all or none. Raises BatchRefused."""
    for start in range(0, len(rows), _MAX_VARIABLES):
        ids = [row[4] for row in rows[start : start + _MAX_VARIABLES]]
        marks = ", ".join("?" * len(ids))
        known = f"SELECT 1 FROM sent WHERE id IN ({marks}) LIMIT 1"  # noqa: S608 - question marks
        if db.execute_sql(known, ids).fetchone():
            raise BatchRefused("an event of the batch is stored already")
    done = 0
    try:
        for count, statement in _INSERTS:
            while len(rows) - done >= count:
                db.execute_sql(statement, tuple(chain.from_iterable(rows[done : done + count])))
                done += count
    except IntegrityError as error:
        raise BatchRefused("an event of the batch follows one that is not stored") from error


def newest(
    db: Database, head: int, low: int, count: int, max_bytes: int, since: int = 0
) -> list[StoredEvent]:
    """The last ``count`` events up to the one with the stamp ``head``, none below the number ``low`` and none with a stamp
    up to ``since``; fewer when their bodies are larger than ``max_bytes``, but never none for that."""
    found: list[StoredEvent] = []
    size = 0
    for row in db.execute_sql(_WALK, (head, low)):
        event = StoredEvent(*row)
        size += len(event.body)
        if event.stamp <= since or len(found) == count or (found and size > max_bytes):
            break
        found.append(event)
    found.reverse()
    return found


def before(
    db: Database, conversation: int, head: int, low: int, high: int, max_bytes: int
) -> list[StoredEvent]:
    """The events with the numbers low to high, ascending; from the front as many are left out as exceed ``max_bytes``."""
    if low > high:
        return []
    start = stamp_of(db, conversation, head, high)
    return newest(db, start, low, high - low + 1, max_bytes)


def after(
    db: Database, conversation: int, head: int, low: int, high: int, max_bytes: int
) -> list[StoredEvent]:
    """The events with the numbers low to high, ascending; from the end as many are left out as exceed ``max_bytes``."""
    if low > high:
        return []
    anchor = _anchor(db, conversation, head, high)
    size = 0
    start = 0
    steps = db.execute_sql(_STEPS, (anchor, low)).fetchall()
    for seq, stamp, length in reversed(steps):
        size += length
        if seq > high or (start and size > max_bytes):
            break
        start = stamp
    return newest(db, start, low, high - low + 1, 2 * max_bytes)


def stamp_of(db: Database, conversation: int, head: int, seq: int) -> int:
    """The stamp of the event with this number; ``head`` is the stamp of one at or above it."""
    anchor = _anchor(db, conversation, head, seq)
    for number, stamp, _ in db.execute_sql(_STEPS, (anchor, seq)):
        if number == seq:
            return int(stamp)
    return anchor


def ordinal_at(db: Database, conversation: int, head: int, seq: int) -> int:
    """The ordinal of the event with this number."""
    stamp = stamp_of(db, conversation, head, seq)
    (ordinal,) = db.execute_sql("SELECT ordinal FROM event WHERE stamp = ?", (stamp,)).fetchone()
    return int(ordinal)


def find_by_id(db: Database, id: MessageId) -> FoundEvent | None:
    """A settled event."""
    row = db.execute_sql("SELECT stamp FROM sent WHERE id = ?", (id,)).fetchone()
    return find_by_stamp(db, row[0]) if row else None


def find_by_stamp(db: Database, stamp: int) -> FoundEvent | None:
    """A durable event."""
    row = db.execute_sql(
        f"SELECT {_FIELDS}, c.conversation FROM event c LEFT JOIN person p ON p.key = c.sender WHERE c.stamp = ?",  # noqa: S608
        (stamp,),
    ).fetchone()
    return FoundEvent(StoredEvent(*row[:-1]), row[-1]) if row else None


def head_of(db: Database, conversation: int) -> tuple[int, int, int]:
    """Number, ordinal and stamp of the last durable event of a conversation, settled or not."""
    row = db.execute_sql(
        "SELECT seq, ordinal, stamp FROM event WHERE conversation = ? AND stamp > (SELECT stamp FROM settled) "
        "ORDER BY stamp DESC LIMIT 1",
        (conversation,),
    ).fetchone()
    row = (
        row
        or db.execute_sql(
            "SELECT seq, ordinal, stamp FROM head WHERE conversation = ?", (conversation,)
        ).fetchone()
    )
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


def settled_stamp(db: Database) -> int:
    """Up to where events are settled."""
    (stamp,) = db.execute_sql("SELECT stamp FROM settled").fetchone()
    return int(stamp)


def settle(db: Database, up_to: int) -> None:
    """Index the ids and heads of events that are not settled yet, up to a stamp."""
    span = (settled_stamp(db), up_to)
    # Ids made by clocks that go right come nearly sorted; sorted, they touch each page once.
    db.execute_sql(
        "INSERT INTO sent (id, stamp) SELECT id, stamp FROM event WHERE stamp > ? AND stamp <= ? ORDER BY id ON CONFLICT DO NOTHING",
        span,
    )
    db.execute_sql(
        "INSERT INTO head (conversation, seq, ordinal, stamp) "
        "SELECT conversation, max(seq), ordinal, stamp FROM event WHERE stamp > ? AND stamp <= ? "
        "GROUP BY conversation ORDER BY conversation "
        "ON CONFLICT (conversation) DO UPDATE SET seq = excluded.seq, ordinal = excluded.ordinal, stamp = excluded.stamp",
        span,
    )
    db.execute_sql("UPDATE settled SET stamp = max(stamp, ?)", (up_to,))


def last_stamp(db: Database) -> int:
    """The highest stamp in use."""
    (of_events,) = db.execute_sql("SELECT COALESCE(max(stamp), 0) FROM event").fetchone()
    (of_members,) = db.execute_sql("SELECT COALESCE(max(stamp), 0) FROM member").fetchone()
    (of_heads,) = db.execute_sql("SELECT COALESCE(max(touched), 0) FROM head").fetchone()
    return int(max(of_events, of_members, of_heads))


def nothing(db: Database) -> None:
    """Takes its place in the writer's order: when it is done, everything before it is."""


def _anchor(db: Database, conversation: int, head: int, seq: int) -> int:
    """The stamp of an event at or little above a number, from which to walk down."""
    indexed = -(-seq // INDEXED_EVERY) * INDEXED_EVERY
    row = db.execute_sql(
        "SELECT stamp FROM event WHERE conversation = ? AND seq = ? AND seq % 64 = 0",
        (conversation, indexed),
    ).fetchone()
    return int(row[0]) if row else head
