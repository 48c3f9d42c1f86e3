# SPDX-License-Identifier: GPL-3.0-or-later
"""Publishes events to subscribers in order. A slow subscriber costs a bounded queue and is told that it lost track."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from client.core.events import Event, TrackLost

SUBSCRIBER_CAPACITY: Final = 10_000
"""Events that wait for one subscriber: a long pause of a busy window, some megabytes."""


class Subscription:
    """The events from its beginning on; an async iterator that ends when it is closed."""

    def __init__(self, capacity: int, leave: Callable[["Subscription"], None]) -> None:
        self._capacity = capacity
        self._leave = leave
        self._waiting: deque[Event] = deque()
        self._missed = 0
        self._is_closed = False
        self._wake = asyncio.Event()

    def publish(self, event: Event) -> None:
        """Queue an event, or count it as missed."""
        if self._missed or len(self._waiting) >= self._capacity:
            # What waits is of no use any more: the subscriber has to read everything again.
            self._missed += len(self._waiting) + 1
            self._waiting.clear()
        else:
            self._waiting.append(event)
        self._wake.set()

    def close(self) -> None:
        """No more events."""
        if not self._is_closed:
            self._is_closed = True
            self._leave(self)
            self._wake.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._is_closed:
            if self._missed:
                missed, self._missed = self._missed, 0
                return TrackLost(missed)
            if self._waiting:
                return self._waiting.popleft()
            self._wake.clear()
            await self._wake.wait()
        raise StopAsyncIteration


class Feed:
    """Hands each event to everybody who listens."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._callbacks: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        """Hand out an event. Callbacks run in the next turn of the loop, so that nothing calls back into a step half done."""
        for subscription in self._subscriptions:
            subscription.publish(event)
        if self._callbacks:
            loop = asyncio.get_running_loop()
            for callback in self._callbacks:
                loop.call_soon(callback, event)

    def subscribe(self, capacity: int = SUBSCRIBER_CAPACITY) -> Subscription:
        """Begin to collect events."""
        subscription = Subscription(capacity, self._subscriptions.remove)
        self._subscriptions.append(subscription)
        return subscription

    def on_event(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call back with each event; returns what ends it."""
        self._callbacks.append(callback)

        def leave() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return leave

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in tuple(self._subscriptions):
            subscription.close()
        self._callbacks.clear()
