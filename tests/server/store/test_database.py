# SPDX-License-Identifier: GPL-3.0-or-later
"""The database: what it opens, what readers see and may do, and how the log is moved."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.store import database as room
from server.store.database import Checkpointer, Database, path_of
from server.store.errors import DatabaseUnusable, StoreClosed
from tests.support.reactors import ReactorThread


def count(db: Any) -> int:
    return int(db.execute_sql("SELECT count(*) FROM note").fetchone()[0])


def add(db: Any) -> None:
    db.execute_sql("INSERT INTO note DEFAULT VALUES")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        connection.execute("CREATE TABLE note (number INTEGER PRIMARY KEY)")
    return tmp_path / "test.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:{path}")
    yield opened
    opened.close()


def now(deferred: Any) -> Any:
    """What a Deferred holds already."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    (result,) = found
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


def test_a_file_is_named_in_two_ways() -> None:
    assert path_of("sqlite:lanyard.db") == Path("lanyard.db")
    assert path_of("sqlite:/srv/lanyard.db") == Path("/srv/lanyard.db")
    assert path_of("sqlite:///srv/lanyard.db") == Path("/srv/lanyard.db")


@pytest.mark.parametrize("url", ["postgresql://db/lanyard", "lanyard.db", "sqlite:", "sqlite://"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="sqlite: and the name of a file"):
        path_of(url)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_bytes(b"Dear all, " * 1000)
    with pytest.raises(DatabaseUnusable, match=r"letter\.db can't be used: file is not a database"):
        Database(f"sqlite:{tmp_path / 'letter.db'}")
    with pytest.raises(DatabaseUnusable, match="unable to open"):
        Database(f"sqlite:{tmp_path / 'nowhere' / 'test.db'}")


def test_what_is_acknowledged_is_durable(database: Database) -> None:
    def pragma(name: str) -> Any:
        return database.for_writing.execute_sql(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL: the log is on the disk when COMMIT returns
    assert pragma("foreign_keys") == 1


def test_a_reader_sees_what_was_committed(database: Database) -> None:
    add(database.for_writing)
    assert now(database.read(count)) == 1


def test_a_read_sees_one_state(database: Database) -> None:
    def count_twice(db: Any) -> tuple[int, int]:
        before = count(db)
        add(database.for_writing)
        return before, count(db)

    assert now(database.read(count_twice)) == (0, 0)
    assert now(database.read(count)) == 1


@pytest.mark.expected_log("lanyard.store", "a read failed: .*may not be written")
def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match="attempt to write a readonly database"):
        now(database.read(add))
    assert now(database.read(count)) == 0


def test_what_a_function_raises_comes_to_who_asked(database: Database) -> None:
    def lookup(db: Any, key: str) -> None:
        raise LookupError(key)

    with pytest.raises(LookupError, match="who"):
        now(database.read(lookup, "who"))
    assert now(database.read(count)) == 0


def test_a_closed_database_refuses(path: Path) -> None:
    database = Database(f"sqlite:{path}")
    database.close()
    database.close()
    with pytest.raises(StoreClosed):
        now(database.read(count))


def test_readers_work_side_by_side(path: Path) -> None:
    with ReactorThread() as thread:
        database = thread.call(
            lambda: Database(f"sqlite:{path}", call_from_thread=thread.reactor.callFromThread)
        )
        meeting = threading.Barrier(room.READER_THREADS, timeout=20)

        def meet(db: Any) -> tuple[str, int]:
            meeting.wait()
            return threading.current_thread().name, count(db)

        async def ask() -> list[tuple[str, int]]:
            asked = [database.read(meet) for _ in range(room.READER_THREADS)]
            return [await one for one in asked]

        answers = thread.wait(ask)
        assert {name for name, _ in answers} == {"reader-1", "reader-2"}
        assert {found for _, found in answers} == {0}
        thread.call(database.close)


def test_waiting_reads_are_answered_before_the_end(path: Path) -> None:
    with ReactorThread() as thread:
        database = thread.call(
            lambda: Database(f"sqlite:{path}", call_from_thread=thread.reactor.callFromThread)
        )

        async def ask_and_close() -> list[int]:
            asked = [database.read(count) for _ in range(50)]
            database.close()
            return [await one for one in asked]

        assert thread.wait(ask_and_close) == [0] * 50


def test_the_log_is_moved_in_the_background(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = threading.Event()
    original = Checkpointer._move

    def move(self: Checkpointer, database: Any) -> None:
        original(self, database)
        moved.set()

    monkeypatch.setattr(Checkpointer, "_move", move)
    database = Database(f"sqlite:{path}")
    checkpointer = Checkpointer(database)
    for _ in range(10):
        add(database.for_writing)
    checkpointer.written(room.CHECKPOINT_AFTER)
    assert moved.wait(20)
    checkpointer.close()
    # All of the log has been moved: the next write starts it over.
    state = database.for_writing.execute_sql("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert state[1] == state[2] > 0
    database.close()
