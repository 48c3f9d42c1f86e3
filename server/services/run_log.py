# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes drafts of the directory durable as runs, so that messages go on meanwhile: written down, decided, carried out, and only then
known to the rest of the server."""

import gc
import logging
from collections.abc import Callable
from typing import Final

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import RunId, format_id
from server.services.audience import Audience, end_sessions_of_closed
from server.services.clock import Clock
from server.services.directory_changes import Draft
from server.services.directory_store import still_referred
from server.services.doors import Sleep, Spawn, StoreDoor
from server.services.people import Directory
from server.services.run_records import find_released, records_of, removed_keys
from server.store import sync_runs as store
from server.store.directory import StaleVersion, StillReferred
from server.store.errors import StoreError
from server.store.sync_runs import Facts, Record, Released

log = logging.getLogger("lanyard.services")

PORTION: Final = 150
"""Records in one job of the writer: about 10 ms in which no message is stored."""
KEPT_RUNS: Final = 50
"""Runs of each source that can be undone; of older ones only the facts are kept."""
LARGE: Final = 5_000
"""People from whom on a run weighs in the collector's eyes."""
SLICE_S: Final = 0.005
"""How long a run may keep the reactor from everything else at a time."""
RETRY_S: Final = 5.0
"""After the disk failed while a decided run was carried out."""
PHOTOS_PER_JOB: Final = 50
"""That many are deleted at a time."""


class RunLog:
    """Commits runs. Whoever uses it holds the turn to change the directory."""

    def __init__(
        self,
        directory: Directory,
        audience: Audience,
        clock: Clock,
        read: StoreDoor,
        run: StoreDoor,
        sleep: Sleep,
        spawn: Spawn,
    ) -> None:
        self._directory = directory
        self._audience = audience
        self._clock = clock
        self._read = read
        self._run = run
        self._sleep = sleep
        self._spawn = spawn
        self._is_closed = False

    async def recover(self) -> None:
        """Before the directory is read: carry out what was decided, sweep away what was not. Raises StoreError."""
        for number, state, version in await self._read(store.unfinished):
            if state == store.DECIDED:
                log.info("a run that was interrupted is carried out")
                await self._carry_out(number, version)
            else:
                await self._forget(number)
        await self._sweep_photos()

    def close(self) -> None:
        """Give up waiting for a disk that fails; what is decided is carried out at the next start."""
        self._is_closed = True

    async def commit(self, draft: Draft, id: RunId, source: str, facts: Facts) -> int:
        """Make a draft durable and let it count; how many sessions it ended. Raises RequestRefused, StoreError: then nothing has
        changed, unless the sentence says that the run is decided."""
        if len(draft.people) >= LARGE:
            # The collector would look through all of it and stop everybody for a fifth of a second; there are no circles in it.
            gc.freeze()
        number = await self._run(store.begin, id, source, facts)
        try:
            await self._write_down(draft, number)
            released = Released([], [], [])
            pause = Pause(self._clock.now, self._sleep)
            for _ in find_released(draft, released):
                await pause.when_due()
            await self._run(store.decide, number, source, facts, released, removed_keys(draft))
        except BaseException as error:
            await self._forget_after(error, number)
            if isinstance(error, StaleVersion):
                raise RequestRefused(
                    ErrorCode.CONFLICT, "The directory was changed by another program meanwhile."
                ) from error
            if isinstance(error, StillReferred):
                raise still_referred() from error
            raise
        await self._carry_out_patiently(number, facts.version_after)
        self._directory.take(draft.tree, draft.change())
        log.info("run %s of %s: directory version %d", format_id(id), source, facts.version_after)
        self._spawn(self._sweep(source))
        return end_sessions_of_closed(self._audience, draft.disabled) if draft.disabled else 0

    async def _write_down(self, draft: Draft, number: int) -> None:
        pause = Pause(self._clock.now, self._sleep)
        portion: list[Record] = []
        first = 0
        for record in records_of(draft):
            portion.append(record)
            if len(portion) >= PORTION:
                await self._run(store.write_down, number, first, portion)
                first += len(portion)
                portion = []
            await pause.when_due()
        await self._run(store.write_down, number, first, portion)

    async def _carry_out_patiently(self, number: int, version: int) -> None:
        while True:
            try:
                await self._carry_out(number, version)
                return
            except StoreError as error:
                log.warning("a run that is decided waits for the store: %s", error)
                if self._is_closed:
                    raise RequestRefused(
                        ErrorCode.UNAVAILABLE,
                        "The run is decided, but could not be carried out; the server will do so at its next start.",
                    ) from error
            await self._sleep(RETRY_S)

    async def _carry_out(self, number: int, version: int) -> None:
        first = 0
        while await self._run(store.carry_out, number, version, first, PORTION):
            first += PORTION
        await self._run(store.finish, number)

    async def _forget_after(self, error: BaseException, number: int) -> None:
        if isinstance(error, GeneratorExit):
            return
        try:
            await self._forget(number)
        except StoreError as failure:
            log.warning("a run that was not committed is swept away at the next start: %s", failure)

    async def _forget(self, number: int) -> None:
        while await self._run(store.forget_records, number, PORTION):
            pass
        await self._run(store.forget_run, number)

    async def _sweep(self, source: str) -> None:
        """Let the records of old runs go."""
        try:
            for number in await self._read(store.outdated, source, KEPT_RUNS):
                while await self._run(store.forget_records, number, PORTION):
                    pass
        except StoreError as error:
            log.warning("old runs are swept away later: %s", error)

    async def _sweep_photos(self) -> None:
        """While no run is under way: one may have brought photos to which nothing refers yet."""
        unused = await self._read(store.unused_portraits)
        for start in range(0, len(unused), PHOTOS_PER_JOB):
            await self._run(store.forget_portraits, unused[start : start + PHOTOS_PER_JOB])


class Pause:
    """Lets others have a turn every few milliseconds."""

    def __init__(self, now: Callable[[], float], sleep: Sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._begun = now()

    async def when_due(self) -> None:
        """Come back later when the slice is used up."""
        if self._now() - self._begun > SLICE_S:
            await self._sleep(0)
            self._begun = self._now()
