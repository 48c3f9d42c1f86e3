# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast one user may go, and that another pace holds from the moment it is set."""

from __future__ import annotations

import pytest

from protocol.errors import ErrorCode, RequestRefused
from server.services.pace import Pace, PaceKeeper

USER, OTHER = b"u" * 16, b"o" * 16


def test_who_has_used_up_the_burst_waits_for_the_refill() -> None:
    keeper = PaceKeeper(Pace(per_s=10.0, burst=2))
    keeper.take(USER, 0)
    keeper.take(USER, 0)
    with pytest.raises(RequestRefused) as refused:
        keeper.take(USER, 0)
    assert refused.value.code is ErrorCode.SLOW_DOWN
    assert refused.value.retry_after_ms == 101
    keeper.take(OTHER, 0)
    keeper.take(USER, refused.value.retry_after_ms)


def test_another_pace_holds_at_once() -> None:
    keeper = PaceKeeper(Pace(per_s=1.0, burst=1))
    keeper.take(USER, 0)
    keeper.use(Pace(per_s=1000.0, burst=100))
    for _ in range(100):
        keeper.take(USER, 100)
    keeper.use(Pace(per_s=1.0, burst=1))
    with pytest.raises(RequestRefused):
        keeper.take(USER, 101)
