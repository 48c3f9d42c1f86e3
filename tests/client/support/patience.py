# SPDX-License-Identifier: GPL-3.0-or-later
"""An event loop whose time passes only when everybody waits: an hour of back-off takes no time, and always the same."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

LONGEST_TEST_S = 30 * 24 * 3600.0
"""A test that waits for longer than a month waits for something that does not come."""


class _Jump(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.now > LONGEST_TEST_S:
            raise RuntimeError("everybody waits for something that will not come")
        self.now += timeout
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """Real but for its time."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run_patiently(story: Coroutine[Any, Any, Result]) -> Result:
    """Run a test in a loop of that kind."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(story)
