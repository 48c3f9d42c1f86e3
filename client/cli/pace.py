# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of turns: so many at once, so many a second in the long run. Whoever has none left waits, in order."""

import asyncio


class Pace:
    """Turns for one program."""

    def __init__(self, per_s: float, burst: int) -> None:
        """``per_s``: turns that come back each second; ``burst``: turns at most."""
        self._interval_s = 1.0 / per_s
        self._burst = burst
        self._next_free = 0.0
        """When the last turn that was given away will have come back; loop time."""

    async def wait(self) -> None:
        """Take a turn; wait for one when there is none."""
        now = asyncio.get_running_loop().time()
        self._next_free = max(self._next_free, now) + self._interval_s
        early_s = self._next_free - now - self._burst * self._interval_s
        if early_s > 0:
            await asyncio.sleep(early_s)
