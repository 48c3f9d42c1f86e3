# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each member has got: written in bulk about once a second, repaired from the events after a crash."""

from collections.abc import Sequence
from typing import NamedTuple

from peewee import Database

from server.store.changes import EVERYBODY
from server.store.events import RECALLED, last_stamp, settle


class CursorRow(NamedTuple):
    """The cursors of one member as they are now."""

    delivered: int
    read: int
    read_ordinal: int
    stamp: int
    conversation: int
    user: int


def save_cursors(
    db: Database, cursors: Sequence[CursorRow], touched: Sequence[tuple[int, int]]
) -> None:
    """Write the cursors of members, and when (as a stamp) those of a conversation last changed."""
    db.cursor().executemany(
        "UPDATE member SET delivered = ?, read = ?, read_ordinal = ?, stamp = ? WHERE conversation = ? AND user = ?",
        cursors,
    )
    # A conversation that is not settled yet has no head; its numbers come with the settling.
    db.cursor().executemany(
        "INSERT INTO head (touched, conversation, seq, ordinal, stamp) VALUES (?, ?, 0, 0, 0) "
        "ON CONFLICT (conversation) DO UPDATE SET touched = excluded.touched",
        touched,
    )


def mend(db: Database) -> tuple[int, int]:
    """Put right what a crash left between two flushes. The highest stamp in use, and how many events there are."""
    _repair_cursors(db)
    last = last_stamp(db)
    settle(db, last)
    (count,) = db.execute_sql("SELECT COALESCE(sum(seq), 0) FROM head").fetchone()
    return last, int(count)


def count_mentions(db: Database, conversation: int, person: int, after: int, up_to: int) -> int:
    """How many messages with the numbers after+1 to up_to mention the person or everybody."""
    (count,) = db.execute_sql(
        "SELECT count(DISTINCT seq) FROM mention WHERE conversation = ? AND seq > ? AND seq <= ? AND user IN (?, ?)",
        (conversation, after, up_to, person, EVERYBODY),
    ).fetchone()
    return int(count)


def _repair_cursors(db: Database) -> None:
    """Whoever posted something has seen everything up to it."""
    db.execute_sql(
        "UPDATE member SET delivered = max(delivered, e.seq), read = max(read, e.seq), "
        "read_ordinal = max(read_ordinal, e.ordinal) FROM ("
        "SELECT conversation, sender, max(seq) AS seq, ordinal FROM event "
        "WHERE stamp > (SELECT stamp FROM settled) AND kind <= ? GROUP BY conversation, sender) AS e "
        "WHERE member.conversation = e.conversation AND member.user = e.sender AND e.seq >= member.first",
        (RECALLED,),
    )
