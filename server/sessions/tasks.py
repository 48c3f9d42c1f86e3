# SPDX-License-Identifier: GPL-3.0-or-later
"""The coroutines that run for sessions and services: each is known until it ends, and none fails unseen."""

import logging
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

log = logging.getLogger("lanyard.sessions")


class Tasks:
    """Runs coroutines for which nobody waits; they are never cancelled, for what they began may be half stored."""

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None], /) -> None:
        """Run a coroutine; what it raises is logged."""
        task: Deferred[None] = Deferred.fromCoroutine(coroutine)
        if task.called:
            task.addErrback(_log_failure)
            return
        self._running.add(task)
        task.addErrback(_log_failure)
        task.addBoth(self._ended, task)

    def __len__(self) -> int:
        return len(self._running)

    async def finish(self) -> None:
        """Wait until everything that runs now, and what that begins, has ended."""
        while self._running:
            await DeferredList([_after(task) for task in self._running])

    def _ended(self, _: None, task: Deferred[None]) -> None:
        self._running.discard(task)


def _after(task: Deferred[None]) -> Deferred[None]:
    """Fires when the task has ended, without standing in its chain."""
    ended: Deferred[None] = Deferred()

    def pass_on(result: None) -> None:
        ended.callback(None)
        return result

    task.addBoth(pass_on)
    return ended


def _log_failure(failure: Failure) -> None:
    error = failure.value
    if error is not None:
        log.error("a task failed", exc_info=(type(error), error, failure.getTracebackObject()))
