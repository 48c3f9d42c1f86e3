# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema, step by step: numbered files in migrations/, applied when the server starts, each in one transaction.

Before an existing database is touched it is copied aside. A database from a newer version is refused.
"""

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from msgspec import Struct

log = logging.getLogger("lanyard.store")

_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_BUSY_TIMEOUT_S: Final = 30.0
"""How long to wait for someone who still writes: a backup that is being taken ends sooner."""


class MigrationError(Exception):
    """Base class; the sentence is for the administrator."""


class FromTheFuture(MigrationError):
    """The database was written by a newer version of the program."""


class MigrationFailed(MigrationError):
    """A step could not be applied; the database is as it was before the step."""


class Step(Struct, frozen=True):
    """One numbered change of the schema."""

    number: int
    name: str
    sql: str


class Migrated(Struct, frozen=True):
    """What was done."""

    before: int
    after: int
    copy: Path | None = None
    """Where the old database lies; None when nothing was changed, or nothing was there."""


def known_steps() -> tuple[Step, ...]:
    """The steps of this version, in order. Raises MigrationError when a number is missing or doubled."""
    files = resources.files("server.store").joinpath("migrations").iterdir()
    steps = [
        Step(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in files
        if (match := _NAME.fullmatch(file.name))
    ]
    steps.sort(key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        names = ", ".join(f"{step.number:04}_{step.name}" for step in steps)
        raise MigrationError(f"The program is incomplete: its migrations are {names}.")
    return tuple(steps)


def schema_version(path: Path) -> int:
    """The number of the last step applied to the database; 0 when there is none yet. Raises MigrationError when it can't be read."""
    if not path.exists():
        return 0
    with _opened(path) as connection:
        return _version_of(connection)


def migrate(path: Path, steps: Sequence[Step] | None = None) -> Migrated:
    """Bring the database up to date, or make it. Nobody else may use it meanwhile.

    Raises FromTheFuture, MigrationFailed, MigrationError.
    """
    steps = known_steps() if steps is None else steps
    newest = steps[-1].number
    with _opened(path) as connection:
        before = _version_of(connection)
        if before > newest:
            raise FromTheFuture(
                f"{path} has schema {before}, this program knows {newest}: it was written by a newer version of "
                "Lanyard. Install that version again, or restore a backup that was made before it."
            )
        if before == newest:
            return Migrated(before, newest)
        copy = _copied_aside(connection, path, before) if before else None
        for step in steps[before:]:
            _apply(connection, step, path, copy)
    log.info("database %s: schema %d -> %d", path, before, newest)
    return Migrated(before, newest, copy)


def _apply(connection: sqlite3.Connection, step: Step, path: Path, copy: Path | None) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _statements(step.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO meta (key, value) VALUES ('schema', ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (b"%d" % step.number,),
        )
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        aside = f" A copy of the database as it was lies in {copy}." if copy else ""
        raise MigrationFailed(
            f"{path} could not be brought to schema {step.number} ({step.name}): {error}. It was left at "
            f"schema {step.number - 1}.{aside}"
        ) from error


def _statements(sql: str) -> Iterator[str]:
    """The statements one by one: sqlite3's executescript would commit before each."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _version_of(connection: sqlite3.Connection) -> int:
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return 0
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.Error as error:
        raise MigrationError(f"The database can't be read: {error}.") from error
    if row is None:
        raise MigrationError("The database is not one of Lanyard's.")
    return int(row[0])


def _copied_aside(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A durable copy beside the database, named for its schema; one that is there already is older and stays."""
    copy = path.with_name(f"{path.name}.schema-{version}")
    number = 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.schema-{version}.{number}")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(unfinished)) as target:
            connection.backup(target)
        _fsync(unfinished, os.O_RDWR)
        unfinished.rename(copy)
        _fsync(copy.parent, os.O_RDONLY)
    except (OSError, sqlite3.Error) as error:
        unfinished.unlink(missing_ok=True)
        raise MigrationError(
            f"{path} has schema {version} and must be changed, but no copy of it could be made: {error}. "
            "Nothing was changed."
        ) from error
    return copy


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise MigrationError(f"{path} can't be opened: {error}.") from error
    with contextlib.closing(connection):
        yield connection
