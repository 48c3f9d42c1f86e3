# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs functions of the store in one thread, each in one transaction. Owns thread, connection, commit and translation of errors."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

from client.core.errors import ProfileUnusable, StoreFailed
from client.core.store.migrate import migrate, shipped_migrations

Args = ParamSpec("Args")
Result = TypeVar("Result")
Db: TypeAlias = sqlite3.Connection

_Job: TypeAlias = tuple[Callable[[], Any], Future[Any]]

LOG = logging.getLogger("lanyard.core.store")

BUSY_TIMEOUT_S: Final = 5.0
"""A backup program or a virus scanner may hold the file for a moment."""
CACHE_KIB: Final = 16 << 10
"""Pages kept in memory: the newest screens of all conversations of a busy user."""


class Database:
    """The store of one profile."""

    def __init__(self, path: Path, *, is_inline: bool = False) -> None:
        """``is_inline`` runs everything in the calling thread: for tests that decide about every step."""
        self._path = path
        self._is_inline = is_inline
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._db: Db | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Open the file and bring it to the newest schema. Raises ProfileUnusable."""
        if not self._is_inline:
            self._thread = threading.Thread(target=self._work, name="lanyard-store", daemon=True)
            self._thread.start()
        try:
            await self._submit(self._connect)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was submitted and close the file."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is None:
            self._disconnect()
            return
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    async def start_anew(self) -> None:
        """Erase the file and begin with an empty one. Raises ProfileUnusable."""
        await self._submit(self._recreate)

    async def run(
        self,
        function: Callable[Concatenate[Db, Args], Result],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> Result:
        """The result of ``function(db, ...)``, committed. Once submitted it is carried out, even when the wait is cancelled.

        Raises StoreFailed when the store can't be read or written; then nothing of it was kept.
        """

        def job() -> Result:
            return self._in_transaction(function, *args, **kwargs)

        return await self._submit(job)

    async def _submit(self, job: Callable[[], Result]) -> Result:
        if self._is_inline:
            await asyncio.sleep(0)  # as a thread would, let others run before and after
            result = job()
            await asyncio.sleep(0)
            return result
        if self._is_closed:
            raise StoreFailed("The local data are closed.")
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        self._jobs.put((job, future))
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)
        self._disconnect()

    def _connect(self) -> None:
        try:
            self._path.touch(mode=0o600)
            db = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=not self._is_inline,
                cached_statements=256,
            )
            self._db = db
            db.execute("PRAGMA journal_mode = WAL")
            # A post is durable before the call returns, also when the power goes.
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            db.execute("PRAGMA temp_store = MEMORY")
            migrate(db, self._path, shipped_migrations())
        except (sqlite3.Error, OSError) as error:
            raise ProfileUnusable(
                f"The local data in {self._path} can't be opened: {error}"
            ) from error

    def _recreate(self) -> None:
        self._disconnect()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()
        self._connect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _in_transaction(
        self,
        function: Callable[Concatenate[Db, Args], Result],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> Result:
        db = self._db
        if db is None:
            raise StoreFailed("The local data are closed.")
        try:
            db.execute("BEGIN")
            try:
                result = function(db, *args, **kwargs)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            LOG.warning("the store failed in %s: %s", function.__name__, error)
            raise StoreFailed(f"The local data can't be read or written: {error}.") from error
        return result
