# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values about the whole store: its epoch, versions, the policy."""

import secrets
from typing import Final

from peewee import Database

EPOCH_BYTES: Final = 16


def get(db: Database, key: str) -> bytes | None:
    """The value, or None."""
    row = db.execute_sql("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return bytes(row[0]) if row else None


def put(db: Database, key: str, value: bytes) -> None:
    """Set the value."""
    db.execute_sql(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def get_int(db: Database, key: str) -> int:
    """The value as a number; 0 when there is none."""
    return int(get(db, key) or 0)


def put_int(db: Database, key: str, value: int) -> None:
    """Set the value to a number."""
    put(db, key, b"%d" % value)


def epoch(db: Database) -> bytes:
    """The identity of this store's history; clients that knew another begin anew. Made when there is none yet."""
    found = get(db, "epoch")
    return found or renew_epoch(db)


def renew_epoch(db: Database) -> bytes:
    """Begin a new epoch, as after a restore."""
    fresh = secrets.token_bytes(EPOCH_BYTES)
    put(db, "epoch", fresh)
    return fresh


def size_bytes(db: Database) -> int:
    """How much the database takes on the disk, without its log."""
    (pages,) = db.execute_sql("PRAGMA page_count").fetchone()
    (page_bytes,) = db.execute_sql("PRAGMA page_size").fetchone()
    return int(pages) * int(page_bytes)
