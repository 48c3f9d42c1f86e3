# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock on Twisted's fake reactor."""

from twisted.internet import task

from server.clock import ReactorClock
from server.services.clock import Clock


def test_calls_come_when_due_and_can_be_taken_back_at_any_time() -> None:
    hands = task.Clock()
    clock: Clock = ReactorClock(hands, seconds=hands.seconds, unix_ms=lambda: 7)
    came: list[str] = []
    first = clock.call_later(1.5, lambda: came.append("first"))
    second = clock.call_later(2, lambda: came.append("second"))
    hands.advance(1.5)
    second.cancel()
    second.cancel()
    first.cancel()
    hands.advance(10)
    assert came == ["first"]
    assert clock.now() == 11.5
    assert clock.now_ms() == 7


def test_the_system_has_two_clocks() -> None:
    clock = ReactorClock(task.Clock())
    assert clock.now() <= clock.now()
    assert clock.now_ms() > 1_700_000_000_000
