# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done about once a second, and at the end: cursors to the disk, events settled, idle conversations let go."""

import logging
from typing import Final

from server.services.clock import Cancel, Clock
from server.services.doors import Spawn
from server.services.journal import Journal
from server.services.rooms import Rooms
from server.store import cursors as store
from server.store.errors import StoreError

log = logging.getLogger("lanyard.services")

EVERY_S: Final = 1.0
CURSORS_PER_JOB: Final = 1_000
"""About 10 ms in which no message is stored."""


class Upkeep:
    """Keeps the store in step with the memory."""

    def __init__(
        self,
        journal: Journal,
        rooms: Rooms,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self._journal = journal
        self._rooms = rooms
        self._clock = clock
        self._spawn = spawn
        self._next: Cancel | None = None
        self._is_failing = False
        self._is_closed = False

    def start(self) -> None:
        """Begin; from now on by itself."""
        self._next = self._clock.call_later(EVERY_S, self._begin)

    async def close(self) -> None:
        """Write what is left, and stop."""
        self._is_closed = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        await self.flush()

    async def flush(self) -> None:
        """Write the cursors that moved and settle what is durable."""
        # Whoever posted up to here has cursors that are written below; after a crash the rest is repaired.
        up_to = self._journal.durable
        taken = self._rooms.cursors.take()
        try:
            rows, touched = taken.rows(), taken.touched_rows()
            for start in range(0, max(len(rows), len(touched)), CURSORS_PER_JOB):
                portion = slice(start, start + CURSORS_PER_JOB)
                await self._journal.run(store.save_cursors, rows[portion], touched[portion])
            await self._journal.settle(up_to)
        except BaseException:
            self._rooms.cursors.give_back(taken)
            raise

    def _begin(self) -> None:
        self._next = None
        self._spawn(self._turn())

    async def _turn(self) -> None:
        try:
            await self.flush()
            self._is_failing = False
        except StoreError as error:
            if not self._is_failing:
                log.warning("cursors wait for the store: %s", error)
            self._is_failing = True
        self._rooms.forget_idle()
        if not self._is_closed:
            self.start()
