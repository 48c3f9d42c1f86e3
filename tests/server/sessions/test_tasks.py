# SPDX-License-Identifier: GPL-3.0-or-later
"""Coroutines that nobody waits for."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from server.sessions.tasks import Tasks


@pytest.mark.expected_log("lanyard.sessions", "a task failed")
def test_failures_are_logged_and_forgotten() -> None:
    tasks = Tasks()

    async def fails() -> None:
        raise ZeroDivisionError

    async def waits_and_fails(gate: Deferred[None]) -> None:
        await gate
        raise ZeroDivisionError

    gate: Deferred[None] = Deferred()
    tasks.spawn(fails())
    tasks.spawn(waits_and_fails(gate))
    assert len(tasks) == 1
    gate.callback(None)
    assert len(tasks) == 0


def test_finish_waits_for_what_was_begun_and_what_that_begins() -> None:
    tasks = Tasks()
    gates: list[Deferred[None]] = [Deferred(), Deferred()]
    done: list[str] = []

    async def second() -> None:
        await gates[1]
        done.append("second")

    async def first() -> None:
        await gates[0]
        tasks.spawn(second())
        done.append("first")

    tasks.spawn(first())
    Deferred.fromCoroutine(tasks.finish()).addCallback(lambda _: done.append("finished"))
    gates[0].callback(None)
    assert done == ["first"]
    gates[1].callback(None)
    assert done == ["first", "second", "finished"]
