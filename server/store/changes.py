# SPDX-License-Identifier: GPL-3.0-or-later
"""What later events do to earlier ones: texts edited and recalled, with the old kept for audit; reactions; mentions."""

from collections.abc import Iterable, Sequence
from typing import Final

from peewee import Database

from server.store.events import RECALLED, TEXT, EventRow, insert_events
from server.store.rooms import mark_spoken

EVERYBODY: Final = 0
"""In place of a person in a mention."""


def insert_text(db: Database, event: EventRow, people: Iterable[int], is_first: bool) -> None:
    """Append a text that mentions people, or EVERYBODY. With ``is_first`` it is the sender's first in a direct conversation:
    from now on the other may answer."""
    insert_events(db, [event])
    _mention(db, event[2], event[3], people)
    if is_first:
        mark_spoken(db, event[2], event[5])


def edit(db: Database, event: EventRow, target: int, body: bytes, people: Sequence[int]) -> None:
    """Append an edit and put ``body`` in place of what the message with the stamp ``target`` holds; its mentions become
    ``people``."""
    insert_events(db, [event])
    conversation, seq, old = db.execute_sql(
        "SELECT conversation, seq, body FROM event WHERE stamp = ?", (target,)
    ).fetchone()
    _replace(db, target, event[0], TEXT, old, body)
    _forget_mentions(db, conversation, seq)
    _mention(db, conversation, seq, people)


def recall(db: Database, event: EventRow, target: int, recalled: bytes) -> None:
    """Append a recall and put ``recalled`` in place of the message and of all its edits."""
    insert_events(db, [event])
    conversation, seq = db.execute_sql(
        "SELECT conversation, seq FROM event WHERE stamp = ?", (target,)
    ).fetchone()
    edits = db.execute_sql("SELECT change FROM revision WHERE event = ?", (target,)).fetchall()
    for stamp in (target, *(change for (change,) in edits)):
        (old,) = db.execute_sql("SELECT body FROM event WHERE stamp = ?", (stamp,)).fetchone()
        _replace(db, stamp, event[0], RECALLED, old, recalled)
    _forget_mentions(db, conversation, seq)
    db.execute_sql("DELETE FROM reaction WHERE event = ?", (target,))


def react(db: Database, event: EventRow, target: int, emoji: str, is_on: bool) -> None:
    """Append a reaction that is put on a message or taken off."""
    insert_events(db, [event])
    if is_on:
        db.execute_sql(
            "INSERT INTO reaction (event, emoji, user) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (target, emoji, event[5]),
        )
    else:
        db.execute_sql(
            "DELETE FROM reaction WHERE event = ? AND emoji = ? AND user = ?",
            (target, emoji, event[5]),
        )


def reactions_on(db: Database, target: int) -> set[str]:
    """The different reactions on a message."""
    rows = db.execute_sql("SELECT DISTINCT emoji FROM reaction WHERE event = ?", (target,))
    return {str(emoji) for (emoji,) in rows.fetchall()}


def revisions_of(db: Database, target: int) -> list[bytes]:
    """Earlier bodies of an event, oldest first: for audit alone."""
    rows = db.execute_sql("SELECT body FROM revision WHERE event = ? ORDER BY change", (target,))
    return [bytes(body) for (body,) in rows.fetchall()]


def _replace(db: Database, target: int, change: int, kind: int, old: bytes, new: bytes) -> None:
    db.execute_sql(
        "INSERT INTO revision (event, change, body) VALUES (?, ?, ?)", (target, change, old)
    )
    db.execute_sql("UPDATE event SET kind = ?, body = ? WHERE stamp = ?", (kind, new, target))


def _mention(db: Database, conversation: int, seq: int, people: Iterable[int]) -> None:
    db.cursor().executemany(
        "INSERT INTO mention (conversation, seq, user) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(conversation, seq, person) for person in people],
    )


def _forget_mentions(db: Database, conversation: int, seq: int) -> None:
    db.execute_sql("DELETE FROM mention WHERE conversation = ? AND seq = ?", (conversation, seq))
