# SPDX-License-Identifier: GPL-3.0-or-later
"""The organisation opened by a command while no server runs: the same services without a port, driven from a blocking caller."""

import secrets
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.threads import blockingCallFromThread

from protocol.ids import ID_BYTES
from protocol.messages.kinds import Reply, ReplyT_co, Request
from server.app import App
from server.config import Config
from server.organisation import FolderLock, Organisation
from server.services.caller import OPERATOR, Caller

T = TypeVar("T")

STOP_TIMEOUT_S: Final = 30.0
"""For flushing what is left; a disk that takes longer is broken."""


class IdleServer:
    """Everything but the port, from ``with`` to the end of it. Holds the folder's lock meanwhile."""

    def __init__(self, organisation: Organisation, config: Config) -> None:
        self._lock = FolderLock(organisation)
        self._reactor: Any = EPollReactor()
        self._app = App(organisation, config, self._reactor)
        self._thread = threading.Thread(target=self._run, name="reactor", daemon=True)
        self._caller = Caller(
            OPERATOR, secrets.token_bytes(ID_BYTES), secrets.token_bytes(ID_BYTES)
        )

    def __enter__(self) -> Self:
        """Raises Failure when somebody has the folder, or the organisation can't be opened."""
        self._lock.acquire()
        self._thread.start()
        try:
            self._wait(self._app.open)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer of the services. Raises RequestRefused."""
        reply = self._wait(lambda: self._app.answer(self._caller, cast(Request[Reply], request)))
        return cast(ReplyT_co, reply)

    def _wait(self, make: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await make()

        def start() -> Any:  # what comes of the Deferred; Twisted's types don't follow
            work: Coroutine[Deferred[Any], Any, T] = run()
            return Deferred.fromCoroutine(work)

        result: T = blockingCallFromThread(self._reactor, start)
        return result

    def _close(self) -> None:
        try:
            self._wait(self._app.close)
        finally:
            self._end()

    def _end(self) -> None:
        self._reactor.callFromThread(self._reactor.stop)
        self._thread.join(STOP_TIMEOUT_S)
        self._lock.release()

    def _run(self) -> None:
        self._reactor.run(installSignalHandlers=False)
