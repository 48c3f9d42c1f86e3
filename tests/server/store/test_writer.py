# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer: order, what fails alone and what fails together, bounds, and the thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from server.store import writer as room
from server.store.database import Database
from server.store.errors import (
    DiskFull,
    StoreBroken,
    StoreBusy,
    StoreClosed,
    as_store_error,
)
from server.store.writer import Writer
from tests.support.reactors import ReactorThread

SCHEMA = """
CREATE TABLE letter (number INTEGER PRIMARY KEY, previous INTEGER REFERENCES letter (number), body BLOB NOT NULL);
CREATE TABLE box (name TEXT PRIMARY KEY);
"""


def insert_letters(db: Any, rows: Sequence[Any]) -> None:
    for row in rows:
        db.execute_sql("INSERT INTO letter VALUES (?, ?, ?)", row)


def letters(db: Any) -> list[int]:
    return [number for (number,) in db.execute_sql("SELECT number FROM letter ORDER BY number")]


def add_box(db: Any, name: str) -> str:
    db.execute_sql("INSERT INTO box VALUES (?)", (name,))
    return name


def boxes(db: Any) -> list[str]:
    return [name for (name,) in db.execute_sql("SELECT name FROM box ORDER BY name")]


class Post:
    """A writer without a thread, and a list of everything that it told."""

    def __init__(self, database: Database) -> None:
        self.told: list[Any] = []
        self.database = database
        self.writer = Writer(database, insert_letters)

    def append(self, number: int, previous: int | None = None, body: bytes = b"text") -> None:
        self.writer.append((number, previous, body), self.teller(number))

    def run(self, function: Callable[..., Any], *args: Any) -> None:
        def failed(failure: Any) -> None:
            self.told.append(failure.value)

        self.writer.run(function, *args).addCallbacks(self.told.append, failed)

    def teller(self, number: int) -> Callable[[BaseException | None], None]:
        return lambda error: self.told.append(number if error is None else error)

    def stored(self) -> list[int]:
        with closing(sqlite3.connect(self.database.path)) as other:
            return [row[0] for row in other.execute("SELECT number FROM letter ORDER BY number")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        connection.executescript(SCHEMA)
    return tmp_path / "test.db"


@pytest.fixture
def post(path: Path) -> Iterator[Post]:
    database = Database(f"sqlite:{path}")
    yield Post(database)
    database.close()


FULL = pytest.mark.expected_log("lanyard.store", "not stored: The disk is full")


def fill_the_disk(post: Post) -> None:
    """From here on the database may not grow: SQLite says of it what it says of a full disk."""
    pages = post.database.for_writing.execute_sql("PRAGMA page_count").fetchone()[0]
    post.database.for_writing.execute_sql(f"PRAGMA max_page_count = {pages}")


def make_room(post: Post) -> None:
    post.database.for_writing.execute_sql("PRAGMA max_page_count = 1000000")


def test_nobody_is_told_before_it_is_durable(post: Post) -> None:
    post.append(1)
    assert post.told == []
    assert post.stored() == []
    assert post.writer.pump() == 1
    assert post.told == [1]
    assert post.stored() == [1]
    assert post.writer.pump() == 0


def test_answers_come_in_the_order_of_the_work(post: Post) -> None:
    post.append(1)
    post.append(2)
    post.run(add_box, "in")
    post.run(letters)
    post.append(3)
    post.run(letters)
    assert post.writer.pump() == 6
    assert post.told == [1, 2, "in", [1, 2], 3, [1, 2, 3]]


def test_a_job_that_fails_leaves_no_trace_and_harms_nobody(post: Post) -> None:
    def half_done(db: Any) -> None:
        add_box(db, "half")
        raise LookupError("lost the rest")

    post.append(1)
    post.run(half_done)
    post.run(boxes)
    post.append(2)
    post.writer.pump()
    first, error, found, second = post.told
    assert (first, found, second) == (1, [], 2)
    assert isinstance(error, LookupError)
    assert post.stored() == [1, 2]


def test_a_job_may_have_transactions_of_its_own(post: Post) -> None:
    def nested(db: Any) -> list[str]:
        with db.atomic():
            add_box(db, "kept")
        try:
            with db.atomic():
                add_box(db, "dropped")
                raise LookupError
        except LookupError:
            pass
        return boxes(db)

    post.run(nested)
    post.writer.pump()
    assert post.told == [["kept"]]


def test_a_row_that_is_refused_takes_only_its_successors_with_it(post: Post) -> None:
    post.append(5)
    post.writer.pump()
    for number, previous in [(1, None), (2, 1), (5, 2), (6, 4), (7, 2), (8, 6)]:
        post.append(number, previous)
    post.writer.pump()
    told = [one if isinstance(one, int) else str(one) for one in post.told]
    refused = "FOREIGN KEY constraint failed"
    assert told == [5, 1, 2, "UNIQUE constraint failed: letter.number", refused, 7, refused]
    assert post.stored() == [1, 2, 5, 7]


def test_many_batches_lose_nothing(post: Post) -> None:
    numbers = list(range(1, 2 * room.MAX_BATCH + 10))
    for number in numbers:
        post.append(number)
    assert [post.writer.pump() for _ in range(4)] == [room.MAX_BATCH, room.MAX_BATCH, 9, 0]
    assert post.told == post.stored() == numbers


def test_a_batch_is_bounded_in_bytes(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BATCH_BYTES", 10_000)
    for number in (1, 2, 3):
        post.append(number, body=bytes(6_000))
    assert [post.writer.pump() for _ in range(3)] == [2, 1, 0]


@FULL
def test_a_full_disk_fails_everything_that_waits(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_BATCH", 2)
    post.append(1)
    post.writer.pump()
    fill_the_disk(post)
    post.append(2)
    post.append(3, body=bytes(100_000))
    post.append(4)
    post.run(boxes)
    post.writer.pump()
    assert post.told[0] == 1
    # Each whose work is lost, also behind the batch.
    assert [type(one) for one in post.told[1:]] == [DiskFull] * 4
    assert "disk is full" in str(post.told[1])
    assert post.stored() == [1]
    assert post.writer.pump() == 0


@FULL
def test_service_resumes_when_there_is_room_again(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    fill_the_disk(post)
    for _ in range(3):
        post.append(1, body=bytes(100_000))
        post.writer.pump()
    assert len(caplog.records) == 1  # a line in a while, not one for each batch
    make_room(post)
    post.told.clear()
    post.append(1, body=bytes(100_000))
    post.writer.pump()
    assert post.told == [1]


@FULL
def test_a_job_that_fills_the_disk_fails_its_batch(post: Post) -> None:
    def write_much(db: Any) -> None:
        insert_letters(db, [(9, None, bytes(100_000))])

    fill_the_disk(post)
    post.append(1)
    post.run(write_much)
    post.writer.pump()
    assert [type(one) for one in post.told] == [DiskFull] * 2
    assert post.stored() == []


@FULL
def test_what_is_asked_for_on_failure_is_done(post: Post) -> None:
    def again(error: BaseException | None) -> None:
        make_room(post)
        post.append(2)

    fill_the_disk(post)
    post.writer.append((1, None, bytes(100_000)), again)
    post.writer.pump()
    post.writer.pump()
    assert post.told == [2]


@pytest.mark.expected_log("lanyard.store", "failed on being told")
def test_whoever_fails_on_being_told_harms_nobody(post: Post) -> None:
    def fail(error: BaseException | None) -> None:
        raise LookupError("not at home")

    post.writer.append((1, None, b"text"), fail)
    post.append(2)
    post.writer.pump()
    assert post.told == [2]


def test_too_much_work_is_refused_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_WAITING", 3)
    for number in (1, 2, 3):
        post.append(number)
    with pytest.raises(StoreBusy):
        post.append(4)
    post.run(boxes)
    assert isinstance(post.told.pop(), StoreBusy)
    post.writer.pump()
    assert post.told == [1, 2, 3]
    post.append(4)
    post.writer.pump()
    assert post.stored() == [1, 2, 3, 4]


def test_too_many_bytes_are_refused_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_WAITING_BYTES", 10_000)
    post.append(1, body=bytes(10_000))
    with pytest.raises(StoreBusy):
        post.append(2)
    post.writer.pump()
    post.append(2)
    post.writer.pump()
    assert post.told == [1, 2]


def test_closing_stores_what_waits(post: Post) -> None:
    post.append(1)
    post.run(boxes)
    post.writer.close().addCallback(lambda _: post.told.append("closed"))
    assert post.told == [1, [], "closed"]
    with pytest.raises(StoreClosed):
        post.append(2)
    post.run(boxes)
    assert isinstance(post.told[-1], StoreClosed)


def test_errors_are_told_apart(tmp_path: Path) -> None:
    assert as_store_error(LookupError("who")) is None
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        with pytest.raises(sqlite3.OperationalError) as wrong:
            connection.execute("SELECT nothing FROM nowhere")
        assert as_store_error(wrong.value) is None
        (tmp_path / "other.db").write_bytes(b"no database" * 100)
        connection.execute("ATTACH ? AS other", (str(tmp_path / "test.db"),))
        with (
            closing(sqlite3.connect(tmp_path / "other.db")) as other,
            pytest.raises(sqlite3.DatabaseError) as broken,
        ):
            other.execute("SELECT * FROM sqlite_schema")
    cause = as_store_error(broken.value)
    assert isinstance(cause, StoreBroken)
    assert "restore a backup" in str(cause)


class Server:
    """A database and a writer with threads."""

    def __init__(self, path: Path, thread: ReactorThread) -> None:
        self.told: list[Any] = []
        call_from_thread = thread.reactor.callFromThread
        self.database = Database(f"sqlite:{path}", call_from_thread=call_from_thread)
        self.writer = Writer(
            self.database,
            insert_letters,
            call_from_thread=call_from_thread,
        )

    async def close(self) -> None:
        await self.writer.close()
        self.database.close()


def test_the_thread_stores_in_order_and_drains_at_the_end(path: Path) -> None:
    with ReactorThread() as thread:
        server = thread.call(Server, path, thread)
        told = server.told

        def tell(number: int, error: BaseException | None) -> None:
            told.append(error or number)

        async def work() -> tuple[list[int], list[int]]:
            for number in range(1, 1001):
                server.writer.append((number, None, b"text"), partial(tell, number))
            seen = await server.writer.run(letters)
            read = await server.database.read(letters)
            server.writer.append((1001, None, b"text"), partial(tell, 1001))
            await server.close()
            return seen, read

        seen, read = thread.wait(work)
    assert seen == read == list(range(1, 1001))
    assert told == list(range(1, 1002))


@FULL
def test_the_thread_goes_on_after_a_full_disk(path: Path) -> None:
    def fill(db: Any) -> None:
        pages = db.execute_sql("PRAGMA page_count").fetchone()[0]
        db.execute_sql(f"PRAGMA max_page_count = {pages}")

    def empty(db: Any) -> None:
        db.execute_sql("PRAGMA max_page_count = 1000000")

    with ReactorThread() as thread:
        server = thread.call(Server, path, thread)

        async def work() -> list[int]:
            await server.writer.run(fill)
            for number in (1, 2):
                server.writer.append((number, None, bytes(100_000)), server.told.append)
            with pytest.raises(DiskFull):
                await server.writer.run(letters)
            await server.writer.run(empty)
            server.writer.append((3, None, bytes(100_000)), server.told.append)
            found = await server.writer.run(letters)
            await server.close()
            return found

        assert thread.wait(work) == [3]
    assert [type(one) for one in server.told] == [DiskFull, DiskFull, type(None)]
