# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting without a loop of one's own: one result for several coroutines, and taking turns in order of arrival.

Besides database.py the only place above the transport that knows what a Deferred is.
"""

from collections import deque
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from twisted.internet.defer import Deferred

T = TypeVar("T")


class Shared(Generic[T]):
    """The result of one coroutine, which starts at once; any number of others await it, and go on in the order in which they
    came."""

    def __init__(self, source: Coroutine[Any, Any, T]) -> None:
        self._waiting: list[Deferred[None]] = []
        self._result: T | None = None
        self._error: BaseException | None = None
        self.is_done = False
        Deferred.fromCoroutine(self._carry(source))

    async def _carry(self, source: Coroutine[Any, Any, T]) -> None:
        try:
            self._result = await source
        except GeneratorExit:  # thrown away, with everybody who waits
            raise
        except BaseException as error:  # noqa: BLE001 - raised again in everybody who waits
            self._error = error
        self.is_done = True
        for waiting in self._waiting:
            waiting.callback(None)

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.is_done:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            yield from waiting.__await__()
        if self._error is not None:
            raise self._error
        return cast(T, self._result)


class Turn:
    """An ``async with`` block into which one coroutine goes at a time, in order of arrival."""

    __slots__ = ("_is_passing_on", "_waiting", "is_taken")

    def __init__(self) -> None:
        self.is_taken = False
        self._is_passing_on = False
        self._waiting: deque[Deferred[None]] = deque()

    async def __aenter__(self) -> None:
        if not self.is_taken:
            self.is_taken = True
            return
        place: Deferred[None] = Deferred()
        self._waiting.append(place)
        try:
            await place
        except BaseException:
            if place in self._waiting:  # cancelled
                self._waiting.remove(place)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is GeneratorExit:  # thrown away, with everybody who waits
            return
        self.is_taken = False
        if self._waiting and not self._is_passing_on:
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next one in; in a loop, because it may be out again at once, and so may a thousand after it."""
        self._is_passing_on = True
        while self._waiting and not self.is_taken:
            self.is_taken = True
            self._waiting.popleft().callback(None)
        self._is_passing_on = False
