# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of the directory after the other: each is built on what the one before left."""

from types import TracebackType
from typing import Final

from protocol.errors import ErrorCode, RequestRefused
from server.services.doors import Sleep

TURN_S: Final = 0.01
"""How often a request looks whether the change before it is done."""
MAX_WAITING: Final = 16
"""Changes that wait for their turn; each may hold thousands of records."""


class DirectoryTurn:
    """An ``async with`` block in which nobody else changes the directory. Raises RequestRefused when too many wait."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._is_taken = False
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise RequestRefused(
                ErrorCode.UNAVAILABLE,
                "Too many changes of the directory wait to be carried out; try again in a moment.",
                retry_after_ms=1_000,
            )
        self._waiting += 1
        try:
            while self._is_taken:
                await self._sleep(TURN_S)
        finally:
            self._waiting -= 1
        self._is_taken = True

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_taken = False
