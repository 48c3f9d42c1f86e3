# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a store to the newest schema: numbered .sql files, each in one transaction, the old file copied aside first."""

import sqlite3
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from client.core.errors import ProfileUnusable


def shipped_migrations() -> dict[int, str]:
    """The migrations of this version by their number, without a gap from 1."""
    folder = resources.files("client.core.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {int(name.partition("_")[0]): (folder / name).read_text("utf-8") for name in names}


def migrate(db: sqlite3.Connection, path: Path, migrations: Mapping[int, str]) -> None:
    """Bring the store at ``path`` to the newest schema. Raises ProfileUnusable for one from the future."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    newest = max(migrations)
    if version > newest:
        raise ProfileUnusable(
            f"The local data were written by a newer version (format {version}, this program knows"
            f" {newest}). Update this program, or use another profile."
        )
    if 0 < version < newest:
        copy_aside(db, path.with_name(f"{path.name}.format-{version}"))
    for number in range(version + 1, newest + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(migrations[number]):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        except sqlite3.Error:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def copy_aside(db: sqlite3.Connection, target: Path) -> None:
    """A consistent copy of the whole store; an older copy of that name is replaced."""
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    copy = sqlite3.connect(target)
    try:
        db.backup(copy)
    finally:
        copy.close()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: executescript would commit between them."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending
