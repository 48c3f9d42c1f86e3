# SPDX-License-Identifier: GPL-3.0-or-later
"""One result for several, and taking turns in the order of arrival."""

from __future__ import annotations

import gc

from twisted.internet.defer import CancelledError, Deferred

from server.store.waiting import Shared, Turn


def test_all_get_the_result_in_the_order_in_which_they_came() -> None:
    source: Deferred[int] = Deferred()
    order: list[tuple[str, int]] = []

    async def produce() -> int:
        return await source

    async def consume(name: str) -> None:
        order.append((name, await shared))

    shared = Shared(produce())
    for name in "abc":
        Deferred.fromCoroutine(consume(name))
    assert order == []
    source.callback(7)
    Deferred.fromCoroutine(consume("late"))
    assert order == [("a", 7), ("b", 7), ("c", 7), ("late", 7)]


def test_all_get_the_failure() -> None:
    async def produce() -> int:
        raise ZeroDivisionError

    async def consume() -> str:
        try:
            await shared
        except ZeroDivisionError:
            return "failed"
        return "not"

    shared = Shared(produce())
    results: list[str] = []
    for _ in range(2):
        Deferred.fromCoroutine(consume()).addCallback(results.append)
    assert results == ["failed", "failed"]


class TestTurn:
    def test_one_at_a_time_in_order(self) -> None:
        turn = Turn()
        gates: list[Deferred[None]] = [Deferred() for _ in range(3)]
        order: list[str] = []

        async def work(index: int) -> None:
            async with turn:
                order.append(f"{index} in")
                await gates[index]
                order.append(f"{index} out")

        for index in range(3):
            Deferred.fromCoroutine(work(index))
        for gate in gates:
            gate.callback(None)
        assert order == ["0 in", "0 out", "1 in", "1 out", "2 in", "2 out"]
        assert not turn.is_taken

    def test_a_thousand_who_are_quick_do_not_pile_up_on_the_stack(self) -> None:
        turn = Turn()
        gate: Deferred[None] = Deferred()
        done: list[int] = []

        async def first() -> None:
            async with turn:
                await gate

        async def quick(index: int) -> None:
            async with turn:
                done.append(index)

        Deferred.fromCoroutine(first())
        for index in range(3000):
            Deferred.fromCoroutine(quick(index))
        gate.callback(None)
        assert done == list(range(3000))

    def test_an_error_passes_the_turn_on(self) -> None:
        turn = Turn()

        async def fails() -> None:
            async with turn:
                raise ZeroDivisionError

        failed = Deferred.fromCoroutine(fails())
        failed.addErrback(lambda failure: failure.trap(ZeroDivisionError))
        assert not turn.is_taken

    def test_who_is_cancelled_leaves_the_queue(self) -> None:
        turn = Turn()
        gate: Deferred[None] = Deferred()
        done: list[str] = []

        async def first() -> None:
            async with turn:
                await gate

        async def other(name: str) -> None:
            async with turn:
                done.append(name)

        Deferred.fromCoroutine(first())
        cancelled = Deferred.fromCoroutine(other("cancelled"))
        Deferred.fromCoroutine(other("patient"))
        cancelled.cancel()
        cancelled.addErrback(lambda failure: failure.trap(CancelledError))
        gate.callback(None)
        assert done == ["patient"]

    def test_what_is_thrown_away_wakes_nobody(self) -> None:
        turn = Turn()
        done: list[str] = []

        async def first() -> None:
            async with turn:
                await Deferred()

        async def second() -> None:
            async with turn:
                done.append("second")

        one, other = first(), second()
        one.send(None)
        other.send(None)
        one.close()
        other.close()
        gc.collect()
        assert done == []
