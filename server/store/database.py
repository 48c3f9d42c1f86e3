# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the database, and reads from it: one connection for the writer, one for each thread of readers. Knows no tables.

Functions of this room take a peewee database first and run their queries on it; models are bound to none. What they are given
belongs to the calling thread: readers can't write, and see what was committed when they began.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

import peewee
from twisted.internet.defer import Deferred

from server.store.errors import DatabaseUnusable, StoreBusy, StoreClosed, as_store_error

log = logging.getLogger("lanyard.store")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CallFromThread: TypeAlias = Callable[..., Any]
"""Calls a function with arguments in the thread of the owner, from any thread: the reactor's callFromThread."""

READER_THREADS: Final = 2
"""Reads that run at the same time: SQLite releases the interpreter while it looks, and one long page of history must not keep
everybody else waiting."""
MAX_WAITING_READS: Final = 20_000
"""Beyond: StoreBusy. Two for each of 10,000 users who sign in at once."""
BUSY_TIMEOUT_S: Final = 10.0
"""For other programs (a backup, an administrator's shell) to let go of the file."""
PAGE_CACHE_KIB: Final = 64 << 10
"""Of the writer: the pages that messages touch, with room for the indexes of some 10 million of them."""
READER_CACHE_KIB: Final = 8 << 10
"""Of each reader; the kernel's cache stands behind it."""
CHECKPOINT_PAGES: Final = 16_000
"""Pages in the log (64 MiB) at which a commit itself moves them to the database. That takes 0.1 s and more, so the checkpoint
thread does it long before; this only bounds the log should that thread not keep up."""
CHECKPOINT_AFTER: Final = 10_000
"""Pieces of work after which the checkpoint thread moves the log: about 4,000 pages, 20 to 60 ms."""
CHECKPOINT_EVERY_S: Final = 5.0
"""The same when there was less: so that the log is short when the server starts again."""
CHECKPOINT_TRIES: Final = 3
"""A log can only start over when all of it was moved; what was written during a try is left for the next, each shorter."""


class Database:
    """The organisation's database. Belongs to one thread, but for what it hands to functions."""

    def __init__(
        self,
        url: str,
        *,
        call_from_thread: CallFromThread | None = None,
        reader_threads: int = READER_THREADS,
    ) -> None:
        """Open ``sqlite:FILE``. Without ``call_from_thread`` there are no threads and reads happen at once, for tests and tools.
        Raises DatabaseUnusable."""
        self.path = path_of(url)
        self._call_from_thread = call_from_thread
        self._is_closed = False
        self.for_writing = self._opened(
            {
                "journal_mode": "wal",
                "synchronous": "full",
                "foreign_keys": 1,
                "cache_size": -PAGE_CACHE_KIB,
                "wal_autocheckpoint": CHECKPOINT_PAGES,
            },
            # The writer's thread takes it over after it was opened and tried here.
            check_same_thread=False,
            thread_safe=False,
        )
        self._for_reading = self._opened({"query_only": 1, "cache_size": -READER_CACHE_KIB})
        self._jobs: queue.SimpleQueue[_Read | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        if call_from_thread is not None:
            self._for_reading.close()
            self._threads = [
                threading.Thread(
                    target=self._serve,
                    args=(call_from_thread,),
                    name=f"reader-{number}",
                    daemon=True,
                )
                for number in range(1, reader_threads + 1)
            ]
        for thread in self._threads:
            thread.start()

    def read(self, function: Callable[[Any, *Ts], T], /, *args: *Ts) -> Deferred[T]:
        """Call ``function(db, *args)`` on one state of the database, in which everything is that was acknowledged before.

        Fails with what the function raises, StoreUnavailable, StoreBusy or StoreClosed.
        """
        done: Deferred[Any] = Deferred()
        job = _Read(function, args, done)
        if self._is_closed:
            done.errback(StoreClosed("The database is closed."))
        elif not self._threads:
            self._answer(job, *self._outcome(job))
        elif self._jobs.qsize() >= MAX_WAITING_READS:
            done.errback(StoreBusy(f"{MAX_WAITING_READS} reads wait already."))
        else:
            self._jobs.put(job)
        return done

    def close(self) -> None:
        """Finish the reads that wait and close every connection; the writer must be closed before."""
        if self._is_closed:
            return
        self._is_closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._for_reading.close()
        self.for_writing.close()

    def _opened(self, pragmas: dict[str, Any], **options: Any) -> Any:
        database: Any = peewee.SqliteDatabase(
            str(self.path), pragmas=pragmas, timeout=BUSY_TIMEOUT_S, **options
        )
        try:
            database.connect()
            database.execute_sql("SELECT count(*) FROM sqlite_schema").fetchone()
        except peewee.DatabaseError as error:
            database.close()
            raise DatabaseUnusable(f"The database {self.path} can't be used: {error}.") from error
        return database

    def _serve(self, call_from_thread: CallFromThread) -> None:
        """Thread of a reader."""
        while (job := self._jobs.get()) is not None:
            call_from_thread(self._answer, job, *self._outcome(job))
        self._for_reading.close()

    def _outcome(self, job: "_Read") -> tuple[Any, Exception | None]:
        """Do a job in this thread: its result, or what it raised."""
        database = self._for_reading
        try:
            database.connect(reuse_if_open=True)
            with database.transaction():
                return job.function(database, *job.args), None
        except Exception as error:  # noqa: BLE001  whatever it is belongs to the one who asked
            cause = as_store_error(error)
            if cause is None:
                return None, error
            log.warning("a read failed: %s", cause)
            cause.__cause__ = error
            return None, cause

    def _answer(self, job: "_Read", result: Any, error: Exception | None) -> None:
        if error is None:
            job.done.callback(result)
        else:
            job.done.errback(error)


class _Read:
    """Something to be read."""

    __slots__ = ("args", "done", "function")

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], done: Deferred[Any]
    ) -> None:
        self.function = function
        self.args = args
        self.done = done


class Checkpointer:
    """Moves the log into the database in a thread of its own, so that no commit has to wait for it."""

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._written = 0
        self._wanted = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def written(self, count: int) -> None:
        """So many pieces of work were committed; called by the writer's thread."""
        self._written += count
        if self._written >= CHECKPOINT_AFTER and not self._wanted.is_set():
            self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._is_ending = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        database: Any = peewee.SqliteDatabase(
            str(self._path), timeout=BUSY_TIMEOUT_S, pragmas={"synchronous": "full"}
        )
        while not self._is_ending:
            self._wanted.wait(CHECKPOINT_EVERY_S)
            self._wanted.clear()
            if not self._written:
                continue
            self._written = 0
            try:
                database.connect(reuse_if_open=True)
                self._move(database)
            except peewee.DatabaseError as error:  # the writer finds out as well, and says so
                log.warning("the log could not be moved into the database: %s", error)
        database.close()

    def _move(self, database: Any) -> None:
        for _ in range(CHECKPOINT_TRIES):
            began = time.monotonic()
            _, pages, moved = database.execute_sql("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            taken_ms = (time.monotonic() - began) * 1e3
            log.debug("moved %d of %d pages of the log in %.0f ms", moved, pages, taken_ms)
            if moved >= pages:
                break


def path_of(url: str) -> Path:
    """The file that ``sqlite:FILE`` or ``sqlite:///FILE`` names. Raises DatabaseUnusable for any other address."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme != "sqlite":
        raise DatabaseUnusable(
            f"{url!r} is not a database of this version; write sqlite: and the name of a file."
        )
    name = rest.removeprefix("//")
    if not name or name in ("/", ":memory:"):
        raise DatabaseUnusable(f"{url!r} names no file; write sqlite: and the name of a file.")
    return Path(name)
