# SPDX-License-Identifier: GPL-3.0-or-later
"""The database as a file: copied while it is in use, and looked over without changing it."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from peewee import DatabaseError, SqliteDatabase

from server.store import meta

MAX_FINDINGS: Final = 20
"""Damages named at once; the first says what to do."""
_BUSY_TIMEOUT_S: Final = 30.0


class SnapshotFailed(Exception):
    """The database can't be copied; the message says why."""


def copy_database(source: Path, target: Path) -> None:
    """Write a consistent copy of a database that others may be writing to. Raises SnapshotFailed, OSError.

    ``target`` must not exist. Readers and the writer go on; the copy is of one moment.
    """
    try:
        with (
            contextlib.closing(_open(source)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            # All pages in one step: a step-wise backup starts over whenever another process writes.
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        raise SnapshotFailed(f"{source} can't be copied: {error}.") from error


def damages(path: Path) -> list[str]:
    """What is wrong with the file, in SQLite's words; empty when it is sound. Reads all of it."""
    try:
        with contextlib.closing(_open(path)) as reading:
            rows = reading.execute(f"PRAGMA integrity_check({MAX_FINDINGS:d})").fetchall()
            found = [str(row[0]) for row in rows if row[0] != "ok"]
            broken = reading.execute("PRAGMA foreign_key_check").fetchmany(MAX_FINDINGS)
            found += [f"row {row[1]} of {row[0]} points to nothing in {row[2]}" for row in broken]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return found


def renew_epoch_of(path: Path) -> None:
    """Begin a new epoch in a database that nobody uses. Raises SnapshotFailed."""
    database = SqliteDatabase(str(path))
    try:
        with database.atomic():
            meta.renew_epoch(database)
    except DatabaseError as error:
        raise SnapshotFailed(f"{path} can't be changed: {error}.") from error
    finally:
        database.close()


def _open(path: Path) -> sqlite3.Connection:
    """Open for reading only. Raises sqlite3.DatabaseError, also when the file is not there."""
    opened = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S
    )
    try:
        opened.execute("PRAGMA query_only = ON")
        opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError:
        opened.close()
        raise
    return opened
