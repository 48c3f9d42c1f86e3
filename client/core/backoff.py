# SPDX-License-Identifier: GPL-3.0-or-later
"""How long to wait before the next attempt: exponential, with full jitter, so that an office does not knock all at once."""

from random import Random
from typing import Final

FIRST_RETRY_S: Final = 1.0
"""Upper bound of the first wait: a server that restarts is back in about this time."""
LONGEST_RETRY_S: Final = 60.0
"""Upper bound of every wait: nobody should sit before a working server for longer than a minute."""


class Backoff:
    """Waits of a row of failures."""

    def __init__(
        self,
        random: Random,
        *,
        first_s: float = FIRST_RETRY_S,
        longest_s: float = LONGEST_RETRY_S,
    ) -> None:
        self._random = random
        self._first_s = first_s
        self._longest_s = longest_s
        self.failures = 0

    def next_s(self, *, at_least_s: float = 0.0) -> float:
        """The wait after one more failure. ``at_least_s``: what the server asked for; it spread that itself."""
        bound_s = min(self._longest_s, self._first_s * 2 ** min(self.failures, 16))
        self.failures += 1
        # A little above zero even then: a loop that never waits is a busy loop.
        return max(at_least_s, self._random.uniform(bound_s / 20, bound_s))

    def reset(self) -> None:
        """It worked."""
        self.failures = 0
