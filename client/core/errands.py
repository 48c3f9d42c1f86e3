# SPDX-License-Identifier: GPL-3.0-or-later
"""Background jobs: each runs when woken, never twice at once, tries again when it should, and ends with its owner."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from client.core.backoff import Backoff
from client.core.errors import NotSignedIn, Offline, Refused, StoreFailed

LOG = logging.getLogger("lanyard.core")

FIRST_RETRY_S: Final = 0.5
"""Upper bound of the first wait after a refusal that may pass: a busy server has a breath."""
LONGEST_RETRY_S: Final = 30.0
"""Upper bound of every wait: what the user began is never far from its next attempt."""


class Errand:
    """One job. When the server is away it sleeps until it is woken; refused for a while, it comes back by itself."""

    def __init__(self, name: str, job: Callable[[], Awaitable[None]], backoff: Backoff) -> None:
        self._name = name
        self._job = job
        self._backoff = backoff
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._is_running = False

    def wake(self, after_s: float = 0.0) -> None:
        """Run soon, or after a while; once more when it is running just now. An earlier wake-up that is set stays."""
        if self._is_stopped:
            return
        loop = asyncio.get_running_loop()
        if after_s > 0:
            due_at = loop.time() + after_s
            if self._timer is None or self._timer.when() > due_at:
                self._cancel_timer()
                self._timer = loop.call_later(after_s, self.wake)
            return
        self._cancel_timer()
        self._due.set()
        if self._task is None:
            self._task = loop.create_task(self._run(), name=f"lanyard {self._name}")
            self._task.add_done_callback(self._ended)

    @property
    def is_idle(self) -> bool:
        """Nothing is running and nothing is due at once."""
        return not self._is_running and not self._due.is_set()

    async def stop(self) -> None:
        """End the job where it stands."""
        self._is_stopped = True
        self._cancel_timer()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            self._is_running = True
            try:
                await self._job()
            except (Offline, NotSignedIn) as reason:
                LOG.debug("%s waits for the server: %s", self._name, reason)
            except Refused as refusal:
                self._refused(refusal)
            except StoreFailed as error:
                LOG.warning("%s: %s", self._name, error)
                self.wake(self._backoff.next_s())
            else:
                self._backoff.reset()
            finally:
                self._is_running = False

    def _refused(self, refusal: Refused) -> None:
        if refusal.is_transient:
            delay_s = self._backoff.next_s(at_least_s=refusal.retry_after_ms / 1000)
            LOG.info("%s is tried again in %.1f s: %s", self._name, delay_s, refusal)
            self.wake(delay_s)
        else:
            LOG.warning("%s was refused: %s", self._name, refusal)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.critical("%s died of a fault of its own", self._name, exc_info=error)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Errands:
    """Makes errands and ends them all."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._errands: list[Errand] = []

    def new(self, name: str, job: Callable[[], Awaitable[None]]) -> Errand:
        """A job that sleeps until it is woken."""
        backoff = Backoff(self._random, first_s=FIRST_RETRY_S, longest_s=LONGEST_RETRY_S)
        errand = Errand(name, job, backoff)
        self._errands.append(errand)
        return errand

    @property
    def are_idle(self) -> bool:
        """Nothing is running or due at once."""
        return all(errand.is_idle for errand in self._errands)

    async def stop(self) -> None:
        """End them all where they stand."""
        for errand in self._errands:
            await errand.stop()
