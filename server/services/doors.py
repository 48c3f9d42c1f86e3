# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors through which a service leaves the reactor's thread: to the store, and to a thread for heavy work."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class StoreDoor(Protocol):
    """``Database.read`` or ``Writer.run``: calls a function of server/store with the database and these arguments.

    What the writer runs is durable when the answer comes; it is whole or not at all.
    """

    def __call__(
        self, function: Callable[[Any, Unpack[Ts]], T], /, *arguments: *Ts
    ) -> Awaitable[T]: ...


class ThreadDoor(Protocol):
    """Calls a function in a thread of a pool."""

    def __call__(self, function: Callable[[Unpack[Ts]], T], /, *arguments: *Ts) -> Awaitable[T]: ...


class Sleep(Protocol):
    """Comes back after so many seconds; with 0, after whatever else waits in the reactor has had its turn."""

    def __call__(self, delay_s: float, /) -> Awaitable[object]: ...


class Spawn(Protocol):
    """Runs a coroutine for which nobody waits; what it raises is logged."""

    def __call__(self, coroutine: Coroutine[Any, Any, None], /) -> object: ...
