# SPDX-License-Identifier: GPL-3.0-or-later
"""Everybody who is connected to one server, on one epoll: they sign in, post at a pace or as fast as they are answered, and count.

*Closed loop*: so many posts are under way at any time, and each answer sends the next post, from whoever has been waiting longest.
*Offered*: posts fall due at a fixed rate from random people; latency counts from the moment that a post was due, so that a server
that stalls can't hide it by making the load stall, too.
"""

import random
import select
import ssl
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.failures import BenchFailed
from bench.frames import (
    COUNT_AT,
    EVENTS_AT,
    FIRST_NUMBER,
    LAST_NUMBER,
    NUMBER_AT,
    PING,
    PONG,
    POSTED_AT,
    Count,
    first_post,
    fresh_id,
    number_post,
)
from bench.line import Line, Wires
from bench.premises import Seat
from protocol.frames import HEADER_BYTES
from protocol.ids import UserId

HANDSHAKES_AT_ONCE: Final = 64
OPENED_AT_ONCE: Final = 64
EVENTS_PER_TURN: Final = 256
BURST: Final = 64
"""Posts that are overdue are sent so many at a time, with a look at the answers in between."""
STALL_S: Final = 30.0
"""Without any answer for so long nothing more will come."""
_LETTER_P: Final = ord("p")
_LETTER_E: Final = ord("e")
_NO_EVENTS: Final = 0x90
_MOST_EVENTS: Final = 0x9F


class Crowd:
    """Connections of many people to one server."""

    def __init__(self, address: tuple[str, int], authority: Path) -> None:
        self.count = Count()
        self.in_flight = 0
        """Posts that wait for their answer."""
        self.latencies: list[float] = []
        """Seconds, of each answer since somebody looked last."""
        self.lines: list[Line] = []
        self._address = address
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._wires = Wires()
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Line] = {}
        self._number = FIRST_NUMBER
        self._random = random.Random(1)
        self._answered: Callable[[Line], None] = _go_home

    # Coming and going

    def join(self, people: list[tuple[Seat, UserId]]) -> float:
        """Connect and sign in people, each with the one to whom they will post; how many seconds it took. Raises BenchFailed."""
        began = time.perf_counter()
        waiting = 0
        arrivals = iter(enumerate(people))
        is_more = True
        while is_more or waiting:
            while is_more and waiting < HANDSHAKES_AT_ONCE:
                arrival = next(arrivals, None)
                if arrival is None:
                    is_more = False
                    break
                place, (seat, peer) = arrival
                line = Line(self._wires, self._context, self._address, seat, peer, place)
                self._by_descriptor[line.descriptor] = line
                self._epoll.register(line.descriptor, select.EPOLLOUT)
                waiting += 1
            found = self._epoll.poll(STALL_S, EVENTS_PER_TURN)
            if waiting and not found:
                raise BenchFailed(f"{waiting} connections wait in vain to be signed in")
            waiting -= self._greet(found)
        return time.perf_counter() - began

    def _greet(self, found: list[tuple[int, int]]) -> int:
        done = 0
        for descriptor, mask in found:
            line = self._by_descriptor[descriptor]
            if mask & select.EPOLLOUT:
                self._epoll.modify(descriptor, select.EPOLLIN)
            if not line.is_signed_in and line.greet():
                self.lines.append(line)
                done += 1
        return done

    def open_conversations(self) -> None:
        """Everybody posts, which makes the conversation if there is none, and once more: the server then knows that they may.
        Raises BenchFailed."""
        self._each_once(self._post_first)
        self._each_once(self._post)

    def _each_once(self, post: Callable[[Line, float], None]) -> None:
        waiting = deque(self.lines)

        def answered(line: Line) -> None:
            if waiting:
                post(waiting.popleft(), time.perf_counter())

        self._answered = answered
        for line in self.lines[:OPENED_AT_ONCE]:
            answered(line)
        self.drain()

    def leave(self) -> None:
        """Hang up, all of them."""
        for line in self._by_descriptor.values():
            line.close()
        self._by_descriptor.clear()
        self.lines.clear()
        self._epoll.close()

    # Load

    def begin_loop(self, in_flight: int) -> None:
        """Keep so many posts under way, the same people or by turns, from now until ``finish``; more than there are people: several
        of each."""
        idle = deque(self.lines * -(-in_flight // len(self.lines)))
        self._random.shuffle(idle)
        post = self._post

        def answered(line: Line) -> None:
            idle.append(line)
            post(idle.popleft(), time.perf_counter())

        self._answered = answered
        for _ in range(in_flight):
            post(idle.popleft(), time.perf_counter())

    def run(self, seconds: float) -> None:
        """Go on for some time."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self.turn(0.05)

    def offer(self, rate: float, seconds: float, sent: int, began: float) -> int:
        """Post at a rate that was begun at some moment with so many sent since; how many are sent now."""
        lines, pick = self.lines, self._random.random
        count = len(lines)
        until = time.perf_counter() + seconds
        while (now := time.perf_counter()) < until:
            overdue = int((now - began) * rate) - sent
            for _ in range(min(overdue, BURST)):
                self._post(lines[int(pick() * count)], began + sent / rate)
                sent += 1
            wait_s = began + sent / rate - time.perf_counter()
            self.turn(max(0.0, min(wait_s, 0.01)))
        return sent

    def hold(self, every_s: float, seconds: float) -> int:
        """Keep everybody connected: each says so once in a while. Returns how many did."""
        lines = self.lines
        rate = len(lines) / every_s
        began, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) < began + seconds:
            due = int((now - began) * rate)
            while sent < due:
                lines[sent % len(lines)].send(PING)
                sent += 1
            self.turn(0.002)
        return sent

    def send_all(self, counts: list[int]) -> None:
        """Each person posts so many messages, one after the other. Raises BenchFailed."""
        left = dict(zip((line.descriptor for line in self.lines), counts, strict=True))

        def answered(line: Line) -> None:
            if left[line.descriptor]:
                left[line.descriptor] -= 1
                self._post(line, time.perf_counter())

        self._answered = answered
        for line in self.lines:
            answered(line)
        self.drain()

    def finish(self) -> None:
        """Send nothing more, and wait for the answers that are due. Raises BenchFailed when one does not come."""
        self._answered = _go_home
        self.drain()

    def drain(self) -> None:
        """Wait until nothing is under way any more. Raises BenchFailed when the server stops answering."""
        heard_at, before = time.perf_counter(), self.in_flight
        while self.in_flight:
            self.turn(0.05)
            now = time.perf_counter()
            if self.in_flight != before:
                heard_at, before = now, self.in_flight
            elif now - heard_at > STALL_S:
                raise BenchFailed(f"{self.in_flight} posts get no answer")

    # One turn

    def turn(self, wait_s: float) -> None:
        """Take what has arrived; answers may send the next posts. Raises BenchFailed when a connection ends."""
        by_descriptor = self._by_descriptor
        for descriptor, _ in self._epoll.poll(wait_s, EVENTS_PER_TURN):
            line = by_descriptor[descriptor]
            data = line.read()
            if data is None:
                raise BenchFailed(f"the server closed a connection of {line.seat.login}")
            if data:
                answers = self._take(line, line.rest + data if line.rest else data)
                if answers:
                    self._note_answers(line, answers)

    def _take(self, line: Line, data: bytes) -> int:
        """Count the frames that are whole and keep the rest; how many were answers."""
        count = self.count
        at, end, answers = 0, len(data), 0
        while end - at >= HEADER_BYTES:
            next_at = at + HEADER_BYTES + int.from_bytes(data[at : at + HEADER_BYTES], "big")
            if next_at > end:
                break
            if data[at + NUMBER_AT] and data[at + POSTED_AT] == _LETTER_P:
                count.acks += 1
                answers += 1
            elif (
                next_at - at > COUNT_AT
                and data[at + EVENTS_AT] == _LETTER_E
                and _NO_EVENTS < data[at + COUNT_AT] <= _MOST_EVENTS
            ):
                count.events += data[at + COUNT_AT] - _NO_EVENTS
            else:
                pings = count.pings
                answers += count.take_unusual(data[at:next_at])
                if count.pings > pings:
                    line.send(PONG)
            at = next_at
        line.rest = data[at:]
        return answers

    def _note_answers(self, line: Line, answers: int) -> None:
        now, due = time.perf_counter(), line.due
        for _ in range(answers):
            self.latencies.append(now - due.popleft())
        self.in_flight -= answers
        for _ in range(answers):
            self._answered(line)

    def _post_first(self, line: Line, due: float) -> None:
        number = self._next_number()
        now_ms = time.time_ns() // 1_000_000
        line.due.append(due)
        self.in_flight += 1
        line.send(first_post(line.conversation, line.peer, number, fresh_id(number, now_ms)))

    def _post(self, line: Line, due: float) -> None:
        number_post(line.post, self._next_number(), time.time_ns() // 1_000_000)
        line.due.append(due)
        self.in_flight += 1
        line.send(line.post)

    def _next_number(self) -> int:
        self._number = self._number + 1 if self._number < LAST_NUMBER else FIRST_NUMBER
        return self._number


def _go_home(line: Line) -> None:
    """Nothing follows an answer."""
