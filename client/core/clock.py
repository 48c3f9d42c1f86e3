# SPDX-License-Identifier: GPL-3.0-or-later
"""This computer's clock beside the server's. Used for what is shown; order and catch-up never ask here."""

import time
from collections.abc import Callable


class Clock:
    """Estimates the server's time from what it last stated and from a clock that only goes forward."""

    def __init__(
        self,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wall_ms = wall_ms
        """Unix milliseconds as this computer believes."""
        self.monotonic_s = monotonic_s
        self._server_ms: int | None = None
        self._stated_at_s = 0.0

    def server_stated(self, server_ms: int) -> None:
        """The server just said what time it is; 0 means that it did not say."""
        if server_ms:
            self._server_ms = server_ms
            self._stated_at_s = self.monotonic_s()

    def server_now_ms(self) -> int:
        """The server's time as far as it is known, else this computer's."""
        if self._server_ms is None:
            return self.wall_ms()
        return self._server_ms + int((self.monotonic_s() - self._stated_at_s) * 1000)

    def ahead_s(self) -> float:
        """By how much this computer's clock is ahead of the server's; 0 when that is not known."""
        if self._server_ms is None:
            return 0.0
        return (self.wall_ms() - self.server_now_ms()) / 1000
