# SPDX-License-Identifier: GPL-3.0-or-later
"""A line between a client's and a server's connection, in memory: split, cut, and timed at will."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

import msgspec

from protocol.client_connection import ClientConnection
from protocol.codec import encode_body
from protocol.connection import Connection
from protocol.events import ConnectionEvent
from protocol.frames import FrameReader, pack_frame
from protocol.messages.kinds import Message, Reply, ReplyT_co, Request
from protocol.messages.session import DeviceInfo, SignedIn, SignIn, Welcome
from protocol.server_connection import ServerConnection
from protocol.states import State

EventT = TypeVar("EventT")
Split: TypeAlias = Callable[[bytes], Iterable[bytes]]

DEVICE = DeviceInfo(id=bytes(range(16)), name="desk-07")
SIGN_IN = SignIn("li.wei", "correct horse battery staple", DEVICE)
SIGNED_IN = SignedIn(user=b"u" * 16, session=b"s" * 16, name="Li Wei", token=b"t" * 32)


def whole(data: bytes) -> Iterator[bytes]:
    """Everything in one piece."""
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """The worst that a transport may do."""
    for at in range(len(data)):
        yield data[at : at + 1]


def at_random(seed: int, longest: int = 64) -> Split:
    """Pieces of random lengths, the same for the same seed."""
    dice = random.Random(seed)

    def split(data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            size = dice.randint(1, longest)
            yield data[at : at + size]
            at += size

    return split


def welcome(version: int, capabilities: tuple[str, ...]) -> Welcome:
    """What the server of these tests says to everybody."""
    return Welcome(version, capabilities, organisation="Tonghe", organisation_id=b"o" * 32)


def frame(message: Message, number: int = 0) -> bytes:
    """A message as it travels."""
    return pack_frame(encode_body(number, message))


def kinds_in(data: bytes) -> list[str]:
    """The kinds of the messages in a stream of whole frames."""
    reader = FrameReader(max_body_bytes=1 << 24, max_inflated_bytes=1 << 24)
    return [str(msgspec.msgpack.decode(body)[1]["t"]) for body in reader.feed(data)]


class End:
    """One end of a line: a connection, and what happened at it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.events: list[ConnectionEvent] = []
        self.arrives_bytes: int | None = None
        """How many more bytes reach this end before the cable breaks; None: it is sound."""

    def take(self, kind: type[EventT]) -> list[EventT]:
        """The events of one kind that happened here since they were last taken, in order."""
        taken: list[EventT] = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return taken

    def one(self, kind: type[EventT]) -> EventT:
        """The same when there must be exactly one."""
        (event,) = self.take(kind)
        return event


class Line:
    """A client and a server, and what lies between them. Nothing moves until ``run`` or ``wait``."""

    def __init__(
        self,
        client: ClientConnection | None = None,
        server: ServerConnection | None = None,
        *,
        split: Split = whole,
    ) -> None:
        self.now = 0.0
        self.client = client or ClientConnection(0.0, software="test 1.0")
        self.server = server or ServerConnection(0.0, welcome)
        self.at_client = End(self.client)
        self.at_server = End(self.server)
        self._split = split

    def states(self) -> tuple[State, State]:
        """Where the client and the server stand."""
        return self.client.state, self.server.state

    def run(self) -> None:
        """Carry bytes both ways until nothing moves any more. Drivers close what has ended."""
        while self._carry(self.at_client, self.at_server) | self._carry(
            self.at_server, self.at_client
        ):
            pass
        for end, other in ((self.at_client, self.at_server), (self.at_server, self.at_client)):
            if end.connection.is_closed() and other.arrives_bytes is None:
                other.connection.lost()

    def wait(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due, in order, on both sides."""
        until = self.now + seconds
        self.run()
        while (at := self._next_timer()) is not None and at <= until:
            assert at >= self.now, "a timer asks to be called in the past"
            self.now = at
            for end in (self.at_client, self.at_server):
                due = end.connection.timer_at()
                if due is not None and due <= at:
                    end.events += end.connection.timer_fired(at)
                    again = end.connection.timer_at()
                    assert again is None or again > at, "a timer that fired is still due"
            self.run()
        self.now = until

    def cut(self, *, to_client: int | None = 0, to_server: int | None = 0) -> None:
        """Break the cable once so many more bytes have arrived; nobody is told."""
        self.at_client.arrives_bytes = to_client
        self.at_server.arrives_bytes = to_server

    def sign_in(self) -> None:
        """Greet and sign in, and forget the events of it."""
        self.run()
        number = self.client.request(SIGN_IN, self.now)
        self.run()
        self.server.reply(number, SIGNED_IN)
        self.run()
        self.at_client.events.clear()
        self.at_server.events.clear()

    def ask(self, request: Request[ReplyT_co]) -> int:
        """Have the client ask, and the question arrive."""
        number = self.client.request(request, self.now)
        self.run()
        return number

    def answer(self, number: int, reply: Reply) -> None:
        """Have the server answer, and the answer arrive."""
        self.server.reply(number, reply)
        self.run()

    def _next_timer(self) -> float | None:
        timers = (self.client.timer_at(), self.server.timer_at())
        return min((at for at in timers if at is not None), default=None)

    def _carry(self, source: End, target: End) -> bool:
        data = source.connection.data_to_send()
        if target.arrives_bytes is not None:
            data = data[: target.arrives_bytes]
            target.arrives_bytes -= len(data)
        for piece in self._split(data) if data else ():
            target.events += target.connection.receive(piece, self.now)
        return bool(data)


def signed_in(line: Line | None = None) -> Line:
    """A line on which the client has signed in."""
    line = line or Line()
    line.sign_in()
    return line
