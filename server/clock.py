# SPDX-License-Identifier: GPL-3.0-or-later
"""The services' clock on a Twisted reactor; in tests on a task.Clock, which then turns all hands."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.error import AlreadyCalled, AlreadyCancelled


class _Calls(Protocol):
    """The part of IReactorTime that is used here, for the type checker."""

    def callLater(self, delay: float, callable: Callable[..., Any], /) -> Any: ...  # noqa: A002


def unix_ms() -> int:
    """The time of day, Unix milliseconds."""
    return time.time_ns() // 1_000_000


class _Call:
    """A call that is due later; taking it back is harmless at any time."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> None:
        try:
            self._call.cancel()
        except (AlreadyCalled, AlreadyCancelled):
            pass


class ReactorClock:
    """Time from the system, later calls from a reactor; on a task.Clock, give it ``seconds`` and ``unix_ms`` to go with it."""

    def __init__(
        self,
        reactor: _Calls,
        *,
        seconds: Callable[[], float] = time.monotonic,
        unix_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self.now = seconds
        self.now_ms = unix_ms
        self._reactor = reactor

    def call_later(self, delay_s: float, function: Callable[[], object], /) -> _Call:
        """Call the function once, in the reactor's thread, after the delay."""
        return _Call(self._reactor.callLater(delay_s, function))
