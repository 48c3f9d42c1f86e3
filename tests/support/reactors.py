# SPDX-License-Identifier: GPL-3.0-or-later
"""A Twisted reactor of one's own in a thread: a server in the same process, asked from a test that may block."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

T = TypeVar("T")

TIMEOUT_S = 30.0


class ReactorThread:
    """Runs a reactor from ``with`` to the end of it."""

    def __init__(self) -> None:
        self.reactor: Any = EPollReactor()
        self._thread = threading.Thread(target=self._run, name="reactor of a test")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reactor.callFromThread(self.reactor.stop)
        self._thread.join(TIMEOUT_S)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function that is called in the reactor's thread."""
        future: Future[T] = Future()

        def run() -> None:
            maybeDeferred(function, *arguments).addCallbacks(future.set_result, failed)

        def failed(failure: Failure) -> None:
            future.set_exception(failure.value)

        self.reactor.callFromThread(run)
        return future.result(TIMEOUT_S)

    def wait(self, make: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """The result of a coroutine that runs in the reactor's thread."""
        future: Future[T] = Future()

        async def run() -> None:
            future.set_result(await make(*arguments))

        def start() -> None:
            work: Coroutine[Deferred[Any], Any, None] = run()
            Deferred.fromCoroutine(work).addErrback(failed)

        def failed(failure: Failure) -> None:
            future.set_exception(failure.value)

        self.reactor.callFromThread(start)
        return future.result(TIMEOUT_S)

    def _run(self) -> None:
        self.reactor.run(installSignalHandlers=False)
