# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that have to be brought in step, one after the other, and again later when the store can't take it just now."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Generic, TypeVar

from server.services.clock import Cancel, Clock
from server.services.doors import Spawn
from server.store.errors import StoreError

log = logging.getLogger("lanyard.services")

RETRY_S: Final = 30.0
"""After the store could not take a change."""

K = TypeVar("K")


class Worklist(Generic[K]):
    """What is due, each once; whatever fails stays due."""

    def __init__(
        self, what: str, bring_in_step: Callable[[K], Awaitable[None]], clock: Clock, spawn: Spawn
    ) -> None:
        """``what`` waits for the store, says the log."""
        self._what = what
        self._bring_in_step = bring_in_step
        self._clock = clock
        self._spawn = spawn
        self._due: set[K] = set()
        self._is_running = False
        self._is_closed = False
        self._retry: Cancel | None = None

    def add(self, keys: Iterable[K]) -> None:
        """These are due; begin if nothing is under way."""
        self._due.update(keys)
        if self._due and not self._is_running and not self._is_closed:
            self._spawn(self._run())

    async def finish(self, keys: Iterable[K]) -> None:
        """These are due; come back when all are in step, or wait for the store."""
        self._due.update(keys)
        await self._run()

    def close(self) -> None:
        """Begin nothing any more."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._is_closed = True

    async def _run(self) -> None:
        if self._is_running or self._is_closed:
            return
        self._is_running = True
        try:
            while self._due and not self._is_closed:
                key = self._due.pop()
                try:
                    await self._bring_in_step(key)
                except BaseException:
                    self._due.add(key)
                    raise
        except StoreError as error:
            log.warning("%s wait for the store: %s", self._what, error)
            self._retry = self._clock.call_later(RETRY_S, self._try_again)
        finally:
            self._is_running = False

    def _try_again(self) -> None:
        self._retry = None
        self._spawn(self._run())
