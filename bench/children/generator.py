# SPDX-License-Identifier: GPL-3.0-or-later
"""The load's own process: `python -m bench.children.generator`. Takes orders on standard input, answers on standard output, and in between
keeps the connections that it has."""

import gc
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bench.crowd import Crowd
from bench.failures import BenchFailed
from bench.orders import (
    Answer,
    Done,
    Failed,
    Join,
    OpenConversations,
    Order,
    RunHeld,
    RunLoop,
    RunOffered,
    SendAll,
    Window,
)
from bench.vitals import CoreClock, cpu_s

ARRIVAL_S: Final = 10.0
"""For deliveries that are still on their way when the last answer has come."""


class Post:
    """A crowd, and the server whose vitals belong to its windows."""

    def __init__(self, order: Join) -> None:
        self.crowd = Crowd(order.address, Path(order.authority))
        self.process = order.process
        self._core = CoreClock(order.core)

    def measured(self, work: Callable[[], int]) -> Window:
        """What happens while the work is done."""
        crowd, count = self.crowd, self.crowd.count
        crowd.latencies.clear()
        acks, events = count.acks, count.events
        server, own, core = cpu_s(self.process), time.process_time(), self._core.busy_s()
        began = time.perf_counter()
        signs = work()
        seconds = time.perf_counter() - began
        server, own = cpu_s(self.process) - server, time.process_time() - own
        busy = self._core.busy_s() - core
        return Window(
            seconds,
            count.acks - acks,
            count.events - events,
            _quantiles_ms(crowd.latencies),
            server,
            own,
            max(0.0, busy - server),
            signs,
        )


def _quantiles_ms(latencies: list[float]) -> dict[str, float]:
    if not latencies:
        return {}
    ordered = sorted(latencies)
    return {
        "p50": ordered[len(ordered) // 2] * 1e3,
        "p99": ordered[len(ordered) * 99 // 100] * 1e3,
        "max": ordered[-1] * 1e3,
    }


class Generator:
    """Carries out orders."""

    def __init__(self) -> None:
        self._posts: dict[str, Post] = {}

    def carry_out(self, order: Order) -> Answer:
        """Do what an order says. Raises BenchFailed."""
        if isinstance(order, Join):
            return self._join(order)
        post = self._posts[order.crowd]
        if isinstance(order, OpenConversations):
            post.crowd.open_conversations()
            post.crowd.run(0.2)
        elif isinstance(order, RunLoop):
            return self._run_loop(post, order)
        elif isinstance(order, RunOffered):
            return self._run_offered(post, order)
        elif isinstance(order, RunHeld):
            return post.measured(lambda: post.crowd.hold(order.every_s, order.seconds))
        elif isinstance(order, SendAll):
            post.crowd.send_all(order.counts)
        else:
            post.crowd.leave()
            del self._posts[order.crowd]
        self._check(post)
        return Done()

    def tend(self) -> None:
        """Between two orders: take what servers send unasked."""
        for post in self._posts.values():
            post.crowd.turn(0.0)

    def _join(self, order: Join) -> Done:
        post = Post(order)
        before = cpu_s(order.process)
        seconds = post.crowd.join(order.people)
        self._posts[order.crowd] = post
        gc.collect()
        gc.freeze()
        return Done(seconds, cpu_s(order.process) - before, len(post.crowd.lines))

    def _run_loop(self, post: Post, order: RunLoop) -> Window:
        crowd = post.crowd
        acks, events = crowd.count.acks, crowd.count.events

        def work() -> int:
            crowd.run(order.seconds)
            return 0

        crowd.begin_loop(order.in_flight)
        crowd.run(order.warm_s)
        window = post.measured(work)
        crowd.finish()
        self._check_delivered(post, acks, events)
        return window

    def _run_offered(self, post: Post, order: RunOffered) -> Window:
        crowd = post.crowd
        acks, events = crowd.count.acks, crowd.count.events
        began = time.perf_counter()
        sent = crowd.offer(order.rate, order.warm_s, 0, began)

        def work() -> int:
            crowd.offer(order.rate, order.seconds, sent, began)
            return 0

        window = post.measured(work)
        crowd.finish()
        self._check_delivered(post, acks, events)
        return window

    def _check_delivered(self, post: Post, acks: int, events: int) -> None:
        """Every acknowledged message must have reached its recipient's connection."""
        count = post.crowd.count
        until = time.perf_counter() + ARRIVAL_S
        while count.events - events < count.acks - acks and time.perf_counter() < until:
            post.crowd.turn(0.05)
        self._check(post)
        if count.events - events != count.acks - acks:
            raise BenchFailed(
                f"{count.acks - acks} messages were acknowledged, {count.events - events} delivered"
            )

    @staticmethod
    def _check(post: Post) -> None:
        count = post.crowd.count
        if count.refusals:
            raise BenchFailed(f"{count.refusals} posts were refused: {count.sentence}")


def _wait_for_order(generator: Generator) -> Failed | None:
    """Keep the connections meanwhile; why that can't be done any more."""
    while not select.select([sys.stdin.buffer], [], [], 0.02)[0]:
        try:
            generator.tend()
        except BenchFailed as error:
            return Failed(str(error))
    return None


def main() -> None:
    """Serve until standard input ends."""
    generator = Generator()
    decoder = msgspec.json.Decoder(Order)
    incoming = sys.stdin.buffer
    gc.disable()
    answer: Answer
    while True:
        trouble = _wait_for_order(generator)
        line = incoming.readline()
        if not line:
            break
        try:
            answer = trouble or generator.carry_out(decoder.decode(line))
        except BenchFailed as error:
            answer = Failed(str(error))
        os.write(sys.stdout.fileno(), msgspec.json.encode(answer) + b"\n")


if __name__ == "__main__":
    main()
