# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is stored goes through here: one thread, one transaction for all that waits, answers once it is durable.

Theory: work is stored in the order in which it was handed over. A batch is one transaction: whatever waits when the last one is
done, up to a bound. Each commit costs the same 0.25 ms of processor for one message or a hundred, so a writer that has
nothing to do waits a moment for company, longer the more came the last time. Consecutive rows go to the database in statements of
many rows: sqlite3 lets go of the interpreter for every statement, and takes it back from a busy reactor.

What fails alone fails alone: each job has a savepoint, and rows that can't be stored together are tried one by one. When the disk
fails, the batch and everything that waits behind it fail, in one step in the owner's thread, so that nothing is stored that was
built on a number of what was not. Then the writer goes on with what comes.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

import peewee
from twisted.internet.defer import Deferred

from server.store.database import CallFromThread, Checkpointer, Database
from server.store.errors import (
    DiskFull,
    StoreBroken,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreUnavailable,
    as_store_error,
)

log = logging.getLogger("lanyard.store")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_WAITING: Final = 20_000
"""Pieces of work; beyond: StoreBusy. One second of the highest load: who waits longer is better told so."""
MAX_WAITING_BYTES: Final = 64 << 20
"""The same in bytes, for when messages are large."""
MAX_BATCH: Final = 512
"""Pieces of work in one transaction: above some hundred, a larger one saves nothing more and only delays the first of it."""
MAX_BATCH_BYTES: Final = 4 << 20
"""The same in bytes: what a disk takes in some 50 ms."""
ENOUGH: Final = 128
"""With so many waiting, the writer does not wait for more."""
MIN_LINGER_S: Final = 0.001
"""How long a writer that was idle waits for company."""
MAX_LINGER_S: Final = 0.004
"""The same under load: with the commit itself the median stays below 5 ms."""
LINGER_S_PER_PIECE: Final = 0.000_06
"""More for each piece of the last batch: about 40 pieces in 3.5 ms at 10,000 messages a second."""
COMPLAIN_EVERY_S: Final = 30.0
"""Between two lines in the log while the disk goes on failing."""
_ROW_BYTES: Final = 300
"""What a row weighs besides its body."""
_JOB_BYTES: Final = 1_000
"""What a job is taken to weigh."""

Row: TypeAlias = tuple[Any, ...]
RowDone: TypeAlias = Callable[[BaseException | None], object]
InsertRows: TypeAlias = Callable[[peewee.Database, Sequence[Any]], object]


class Writer:
    """The only one who writes. Belongs to one thread; the answers come there, in the order of the work."""

    def __init__(
        self,
        database: Database,
        insert_rows: InsertRows,
        *,
        call_from_thread: CallFromThread | None = None,
    ) -> None:
        """``insert_rows`` stores what was appended, all or none. Without ``call_from_thread`` there is no thread: ``pump`` does
        the work."""
        self._db = database.for_writing
        self._insert_rows = insert_rows
        self._waiting: deque[_Piece] = deque()
        self._waiting_bytes = 0
        self._closed: Deferred[None] | None = None
        self._complain_at = 0.0
        self._has_work = threading.Event()
        self._may_go_on = threading.Event()
        self._thread: threading.Thread | None = None
        if call_from_thread is not None:
            self._thread = threading.Thread(
                target=self._run,
                args=(call_from_thread, Checkpointer(database)),
                name="writer",
                daemon=True,
            )
            self._thread.start()

    @property
    def waiting(self) -> int:
        """Pieces of work that no transaction has taken up yet."""
        return len(self._waiting)

    def append(self, row: Row, done: RowDone) -> None:
        """Store a row; then ``done(None)``, or ``done(error)`` when it was not stored. The last column is its body.

        Raises StoreBusy or StoreClosed, and then ``done`` is not called.
        """
        self._take((row, done, _ROW_BYTES + len(row[-1])))

    def run(self, function: Callable[[Any, *Ts], T], /, *args: *Ts) -> Deferred[T]:
        """Call ``function(db, *args)`` in its turn; its result comes once what it did is durable.

        Fails with what the function raises, and then nothing of it is stored; or with StoreUnavailable, StoreBusy, StoreClosed.
        """
        job = _Job(function, args)
        try:
            self._take((None, job, _JOB_BYTES))
        except StoreError as error:
            job.done.errback(error)
        return job.done

    def pump(self) -> int:
        """Without a thread: do one batch and tell everybody. Returns how many pieces of work it held."""
        batch = self._next_batch()
        if batch:
            try:
                refused = self._store(batch)
            except StoreUnavailable as error:
                self._fail(batch, error)
            else:
                self._complete(batch, refused)
        return len(batch)

    def close(self) -> Deferred[None]:
        """Take nothing more; the answer comes when everything that waits is stored and told."""
        if self._closed is None:
            self._closed = Deferred()
            if self._thread is None:
                while self.pump():
                    pass
                self._closed.callback(None)
            self._has_work.set()
        return self._closed

    # In the owner's thread

    def _take(self, piece: "_Piece") -> None:
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            raise StoreBusy("The disk does not keep up; try again in a moment.")
        if self._closed is not None:
            raise StoreClosed("The server is shutting down.")
        self._waiting_bytes += piece[2]
        waiting.append(piece)
        if not self._has_work.is_set():
            self._has_work.set()

    def _complete(self, batch: "list[_Piece]", refused: dict[int, BaseException]) -> None:
        """The batch is durable."""
        for position, (_, done, size_bytes) in enumerate(batch):
            self._waiting_bytes -= size_bytes
            try:
                done(refused.get(position) if refused else None)
            except Exception:
                log.exception("somebody failed on being told that something is stored")

    def _fail(self, batch: "list[_Piece]", error: StoreUnavailable) -> None:
        """Nothing of the batch is stored, and what waits behind it may be built on it."""
        lost = [*batch, *self._waiting]
        self._waiting.clear()
        self._waiting_bytes = 0
        now = time.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN_EVERY_S
            trace = None if isinstance(error, DiskFull) else error
            log.error("%d pieces of work were not stored: %s", len(lost), error, exc_info=trace)
        try:
            for _, done, _ in lost:
                try:
                    done(error)
                except Exception:
                    log.exception("somebody failed on being told that something is not stored")
        finally:
            self._may_go_on.set()

    # In the writer's thread

    def _run(self, call_from_thread: CallFromThread, checkpointer: Checkpointer) -> None:
        waiting = self._waiting
        last_count = 0
        while True:
            self._has_work.wait()
            if not waiting:
                if self._closed is not None:
                    break
                self._has_work.clear()
                if waiting or self._closed is not None:  # came in between
                    self._has_work.set()
                continue
            if len(waiting) < ENOUGH:
                time.sleep(min(MIN_LINGER_S + LINGER_S_PER_PIECE * last_count, MAX_LINGER_S))
            batch = self._next_batch()
            last_count = len(batch)
            try:
                refused = self._store(batch)
            except StoreUnavailable as error:
                call_from_thread(self._fail, batch, error)
                self._may_go_on.wait()
                self._may_go_on.clear()
            else:
                call_from_thread(self._complete, batch, refused)
                checkpointer.written(last_count)
        checkpointer.close()
        call_from_thread(self._closed.callback, None)

    def _next_batch(self) -> "list[_Piece]":
        waiting = self._waiting
        batch: list[_Piece] = []
        size_bytes = 0
        while waiting and len(batch) < MAX_BATCH and size_bytes < MAX_BATCH_BYTES:
            piece = waiting.popleft()
            size_bytes += piece[2]
            batch.append(piece)
        return batch

    def _store(self, batch: "list[_Piece]") -> dict[int, BaseException]:
        """Store a batch and make it durable. Returns what of it was refused, by position; raises StoreUnavailable."""
        refused: dict[int, BaseException] = {}
        try:
            with self._db.transaction("IMMEDIATE"):
                rows: list[Row] = []
                for position, (row, done, _) in enumerate(batch):
                    if row is not None:
                        rows.append(row)
                        continue
                    if rows:
                        self._insert(rows, position - len(rows), refused)
                        rows = []
                    if isinstance(done, _Job):
                        done.do(self._db)
                if rows:
                    self._insert(rows, len(batch) - len(rows), refused)
        except StoreUnavailable:
            raise
        except Exception as error:
            cause = as_store_error(error) or StoreBroken(f"A transaction failed: {error}.")
            raise cause from error
        return refused

    def _insert(self, rows: list[Row], first: int, refused: dict[int, BaseException]) -> None:
        """Insert rows; when they are refused together, by halves, until it is known which are."""
        try:
            with _whole(self._db):
                self._insert_rows(self._db, rows)
        except Exception as error:  # noqa: BLE001  whatever it is belongs to whoever appended the row
            _raise_if_unavailable(error)
            if len(rows) == 1:
                refused[first] = error
                return
            middle = len(rows) // 2
            self._insert(rows[:middle], first, refused)
            self._insert(rows[middle:], first + middle, refused)


class _Job:
    """A function that is to be run, and what came of it. Called, it tells so."""

    __slots__ = ("args", "done", "error", "function", "result")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.done: Deferred[Any] = Deferred()
        self.result: Any = None
        self.error: Exception | None = None

    def do(self, db: Any) -> None:
        """Run it, whole or not at all. Raises StoreUnavailable."""
        try:
            with _whole(db):
                self.result = self.function(db, *self.args)
        except Exception as error:  # noqa: BLE001  whatever it is belongs to the one who asked
            _raise_if_unavailable(error)
            self.error = error

    def __call__(self, error: BaseException | None) -> None:
        cause = error or self.error
        if cause is not None:
            self.done.errback(cause)
        else:
            self.done.callback(self.result)


_Piece: TypeAlias = tuple[Row, RowDone, int] | tuple[None, _Job, int]
"""A row or a job, whom to tell, and what it weighs in bytes."""


def _raise_if_unavailable(error: Exception) -> None:
    cause = as_store_error(error)
    if cause is not None:
        raise cause from error


@contextmanager
def _whole(db: Any) -> Iterator[None]:
    """All of what is done within is stored, or nothing. peewee's own has a new name, and so a new statement, each time."""
    db.execute_sql("SAVEPOINT piece")
    try:
        yield
    except BaseException:
        if (
            db.connection().in_transaction
        ):  # a full disk makes SQLite roll back everything by itself
            db.execute_sql("ROLLBACK TO piece")
            db.execute_sql("RELEASE piece")
        raise
    db.execute_sql("RELEASE piece")
