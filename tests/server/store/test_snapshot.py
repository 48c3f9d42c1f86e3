# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the database while it is written to; damage that is found."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from server.store.snapshot import SnapshotFailed, copy_database, damages


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE pair (one INTEGER, other INTEGER)")
        made.executemany("INSERT INTO pair VALUES (?, ?)", [(n, n) for n in range(5000)])
        made.commit()
    return path


def test_a_copy_is_of_one_moment_while_others_write(database: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO pair VALUES (1, 2)")  # not committed
        copy_database(database, tmp_path / "copy.db")
        writer.commit()
    assert damages(tmp_path / "copy.db") == []
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copied:
        assert copied.execute("SELECT count(*), sum(one - other) FROM pair").fetchone() == (5000, 0)
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_a_damaged_database_is_found_out(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[8192:12288] = bytes(4096)
    database.write_bytes(data)
    assert damages(database)


@pytest.mark.parametrize("content", [None, b"no database at all, but long enough to be read"])
def test_what_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "y.db"
    if content is not None:
        path.write_bytes(content)
    assert damages(path)
    with pytest.raises(SnapshotFailed, match="can't be copied"):
        copy_database(path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists() or not (tmp_path / "copy.db").stat().st_size
    assert path.exists() == (content is not None)


def test_a_row_that_points_to_nothing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "z.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.executescript(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
            "CREATE TABLE child (parent INTEGER REFERENCES parent(id));"
            "INSERT INTO child VALUES (7);"
        )
    assert damages(path) == ["row 1 of child points to nothing in parent"]
