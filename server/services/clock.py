# SPDX-License-Identifier: GPL-3.0-or-later
"""Time as the services know it: a protocol class, so that tests turn the hands themselves."""

from collections.abc import Callable
from typing import Protocol


class Cancel(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Take the call back. Only while it is still due: an owner forgets it once it has come."""


class Clock(Protocol):
    """Where the services get the time from, and how they come back later."""

    def now(self) -> float:
        """Monotonic seconds, for measuring spans."""

    def now_ms(self) -> int:
        """Unix milliseconds, for what is stored or told to people."""

    def call_later(self, delay_s: float, function: Callable[[], object], /) -> Cancel:
        """Call ``function`` once, in the reactor's thread, after the delay."""
