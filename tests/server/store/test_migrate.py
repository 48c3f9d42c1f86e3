# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations: new databases, old ones, ones from the future, and steps that fail."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from server.store.migrate import (
    FromTheFuture,
    MigrationError,
    MigrationFailed,
    Step,
    known_steps,
    migrate,
    schema_version,
)

FIRST = Step(
    1,
    "first",
    "-- A comment; with a semicolon.\nCREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB);\n"
    "CREATE TABLE note (text TEXT);\nINSERT INTO note VALUES ('one; two');\n",
)
SECOND = Step(2, "second", "ALTER TABLE note ADD COLUMN colour TEXT DEFAULT 'red';")
BROKEN = Step(2, "broken", "INSERT INTO note VALUES ('lost');\nINSERT INTO nowhere VALUES (1);")


def rows(path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM note").fetchall()


def test_a_new_database_gets_all_steps_and_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "lanyard.db"
    assert schema_version(path) == 0
    done = migrate(path, [FIRST, SECOND])
    assert (done.before, done.after, done.copy) == (0, 2, None)
    assert rows(path) == [("one; two", "red")]
    assert schema_version(path) == 2
    assert migrate(path, [FIRST, SECOND]).before == 2
    assert [file.name for file in tmp_path.iterdir()] == ["lanyard.db"]


def test_an_old_database_is_copied_aside_first(tmp_path: Path) -> None:
    path = tmp_path / "lanyard.db"
    migrate(path, [FIRST])
    done = migrate(path, [FIRST, SECOND])
    assert done.copy == tmp_path / "lanyard.db.schema-1"
    assert rows(done.copy) == [("one; two",)]
    assert schema_version(done.copy) == 1
    assert done.copy.stat().st_mode & 0o077 == 0


def test_what_is_still_in_the_log_is_copied_too(tmp_path: Path) -> None:
    path = tmp_path / "lanyard.db"
    migrate(path, [FIRST])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute("INSERT INTO note VALUES ('three')")
        copy = migrate(path, [FIRST, SECOND]).copy
    assert copy is not None
    assert rows(copy) == [("one; two",), ("three",)]


def test_a_copy_that_is_there_already_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "lanyard.db"
    migrate(path, [FIRST])
    (tmp_path / "lanyard.db.schema-1").write_text("older")
    assert migrate(path, [FIRST, SECOND]).copy == tmp_path / "lanyard.db.schema-1.2"
    assert (tmp_path / "lanyard.db.schema-1").read_text() == "older"


def test_a_failed_step_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "lanyard.db"
    migrate(path, [FIRST])
    with pytest.raises(MigrationFailed, match=r"schema 2 \(broken\).*nowhere.*schema-1"):
        migrate(path, [FIRST, BROKEN])
    assert rows(path) == [("one; two",)]
    assert schema_version(path) == 1
    assert migrate(path, [FIRST, SECOND]).after == 2


def test_a_database_from_the_future_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "lanyard.db"
    migrate(path, [FIRST, SECOND])
    before = path.read_bytes()
    with pytest.raises(FromTheFuture, match="newer version"):
        migrate(path, [FIRST])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["lanyard.db"]


def test_no_copy_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lanyard.db"
    migrate(path, [FIRST])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MigrationError, match=r"No space left.*Nothing was changed"):
        migrate(path, [FIRST, SECOND])
    assert schema_version(path) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["lanyard.db"]


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None])
def test_what_is_no_database_of_ours_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "lanyard.db"
    if content is None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE strangers (name TEXT)")
    else:
        path.write_bytes(content)
    with pytest.raises(MigrationError):
        migrate(path, [FIRST])


def test_the_steps_of_this_version_apply_in_order(tmp_path: Path) -> None:
    steps = known_steps()
    assert steps[0].name == "people"
    path = tmp_path / "lanyard.db"
    assert migrate(path).after == len(steps)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
