# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast one user may go: a token bucket each, with a bounded memory."""

from typing import Final

from msgspec import Struct

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import UserId

MAX_BUCKETS: Final = 20_000
"""Users remembered; whoever was quiet long enough to have a full bucket again is forgotten first."""


class Pace(Struct, frozen=True):
    """A bucket of ``burst`` goes, refilled with ``per_s`` a second."""

    per_s: float = 20.0
    burst: int = 300
    """What a person's outbox may hold after a day without network."""


class _Bucket:
    __slots__ = ("at_ms", "left")

    def __init__(self, left: float, at_ms: int) -> None:
        self.left = left
        self.at_ms = at_ms


class PaceKeeper:
    """Who may go on, and who must wait how long. Times are Unix milliseconds; a clock that is set back gives nobody anything."""

    def __init__(self, pace: Pace) -> None:
        self._buckets: dict[UserId, _Bucket] = {}
        self.use(pace)

    def use(self, pace: Pace) -> None:
        """Go over to another pace; whoever had used up theirs waits for the new one to fill."""
        self._per_ms = pace.per_s / 1000
        self._burst = pace.burst

    def take(self, user: UserId, now_ms: int) -> None:
        """Count one. Raises RequestRefused(SLOW_DOWN) with the time after which there is room."""
        bucket = self._buckets.get(user)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._forget(now_ms)
            bucket = self._buckets[user] = _Bucket(self._burst, now_ms)
        elif now_ms > bucket.at_ms:
            left = bucket.left + (now_ms - bucket.at_ms) * self._per_ms
            bucket.left = min(self._burst, left)
        bucket.at_ms = now_ms
        if bucket.left < 1.0:
            wait_ms = int((1.0 - bucket.left) / self._per_ms) + 1
            raise RequestRefused(
                ErrorCode.SLOW_DOWN, "That is too fast; wait a moment.", retry_after_ms=wait_ms
            )
        bucket.left -= 1.0

    def _forget(self, now_ms: int) -> None:
        """Drop those whose buckets are full again; when nobody's is, the half that was quiet longest."""
        full_after_ms = self._burst / self._per_ms
        kept = {u: b for u, b in self._buckets.items() if now_ms - b.at_ms < full_after_ms}
        if len(kept) >= MAX_BUCKETS:
            latest = sorted(kept.items(), key=lambda item: item[1].at_ms)[len(kept) // 2 :]
            kept = dict(latest)
        self._buckets = kept
