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
    __slots__ = ("at", "left")

    def __init__(self, left: float, at: float) -> None:
        self.left = left
        self.at = at


class PaceKeeper:
    """Who may go on, and who must wait how long."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._buckets: dict[UserId, _Bucket] = {}

    def take(self, user: UserId, now: float) -> None:
        """Count one. Raises RequestRefused(SLOW_DOWN) with the time after which there is room."""
        bucket = self._buckets.get(user)
        pace = self._pace
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._forget(now)
            bucket = self._buckets[user] = _Bucket(pace.burst, now)
        elif bucket.left < pace.burst:
            bucket.left = min(pace.burst, bucket.left + (now - bucket.at) * pace.per_s)
        bucket.at = now
        if bucket.left < 1.0:
            wait_ms = int((1.0 - bucket.left) / pace.per_s * 1000) + 1
            raise RequestRefused(
                ErrorCode.SLOW_DOWN, "That is too fast; wait a moment.", retry_after_ms=wait_ms
            )
        bucket.left -= 1.0

    def _forget(self, now: float) -> None:
        """Drop those whose buckets are full again; when nobody's is, the half that was quiet longest."""
        full_after_s = self._pace.burst / self._pace.per_s
        kept = {u: b for u, b in self._buckets.items() if now - b.at < full_after_s}
        if len(kept) >= MAX_BUCKETS:
            latest = sorted(kept.items(), key=lambda item: item[1].at)[len(kept) // 2 :]
            kept = dict(latest)
        self._buckets = kept
