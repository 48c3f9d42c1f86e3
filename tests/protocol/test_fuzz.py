# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever arrives, a connection reports events or closes; it raises nothing and stays small."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, limits
from protocol.connection import Connection
from protocol.errors import ErrorCode
from protocol.events import ConnectionEvent, ConnectionFailed, GoodbyeReceived, RequestReceived
from protocol.frames import pack_frame
from protocol.messages import people
from protocol.messages.kinds import Message, Request
from protocol.server_connection import ServerConnection
from tests.support import strategies
from tests.support.pipes import Line, at_random

Stage = Callable[[str], Connection]


def _connected(side: str) -> Connection:
    line = Line()
    line.client.data_to_send()
    return line.client if side == "client" else line.server


def _greeted(side: str) -> Connection:
    line = Line()
    line.run()
    return line.client if side == "client" else line.server


def _signed_in(side: str) -> Connection:
    line = Line()
    line.sign_in()
    return line.client if side == "client" else line.server


STAGES: dict[str, Stage] = {
    "connected": _connected,
    "greeted": _greeted,
    "signed in": _signed_in,
}
stages = st.sampled_from(list(STAGES.values()))
each_side = pytest.mark.parametrize("side", ["client", "server"])


def feed(connection: Connection, pieces: Iterable[bytes]) -> list[ConnectionEvent]:
    """Feed all pieces, answer what is asked, let the timers fire: what must hold holds."""
    now = 0.0
    events: list[ConnectionEvent] = []
    for piece in pieces:
        now += 0.01
        found = connection.receive(piece, now)
        events += found
        for event in found:
            if isinstance(event, RequestReceived) and isinstance(connection, ServerConnection):
                connection.refuse(event.number, ErrorCode.FORBIDDEN, "No.")
        connection.data_to_send()
        if connection.is_closed():
            break
    if connection.is_closed():
        ends = [event for event in events if isinstance(event, ConnectionFailed | GoodbyeReceived)]
        assert ends == events[-1:], "the end is said once, and last"
        assert connection.receive(b"more", now) == []
    else:
        at = connection.timer_at()
        assert at is not None
        assert at > now
    return events


@each_side
@given(stages, st.lists(st.binary(max_size=100), max_size=10))
def test_noise(side: str, stage: Stage, noise: list[bytes]) -> None:
    feed(stage(side), noise)


@each_side
@given(stages, st.lists(st.binary(max_size=60), max_size=10), st.integers(0, 2**32))
def test_noise_in_frames(side: str, stage: Stage, bodies: list[bytes], seed: int) -> None:
    feed(stage(side), at_random(seed)(b"".join(map(pack_frame, bodies))))


def _frames(messages: list[tuple[int, Message]]) -> bytes:
    return b"".join(pack_frame(codec.encode_body(*message)) for message in messages)


numbered = st.integers(0, 3) | st.integers(-5, codec.MAX_NUMBER + 5)
anything = strategies.from_client() | strategies.from_server()


@each_side
@given(stages, st.lists(st.tuples(numbered, anything), max_size=12), st.integers(0, 2**32))
def test_real_messages_in_any_order_with_any_number(
    side: str,
    stage: Stage,
    messages: list[tuple[int, Message]],
    seed: int,
) -> None:
    feed(stage(side), at_random(seed)(_frames(messages)))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Real frames, of which some bytes were changed, taken out, put in or doubled."""
    messages = draw(st.lists(st.tuples(numbered, anything), min_size=1, max_size=6))
    data = bytearray(_frames(messages))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data) - 1)) if data else 0
        end = min(len(data), at + draw(st.integers(0, 20)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:end]
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
            case _:
                data[end:end] = data[at:end]
    return bytes(data)


@each_side
@given(stages, mutated(), st.integers(0, 2**32))
def test_mutated_frames(side: str, stage: Stage, data: bytes, seed: int) -> None:
    feed(stage(side), at_random(seed)(data))


@each_side
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_every_message_cut_anywhere(side: str, stage: Stage) -> None:
    """Truncated bodies in sound frames: each message, at each length."""
    dice = random.Random(7)
    kinds = codec.SERVER_KINDS if side == "client" else codec.CLIENT_KINDS
    for kind in kinds.values():
        number = dice.randint(1, 1000) if issubclass(kind, Request) else 0
        body = codec.encode_body(number, strategies.smallest(kind))
        for length in range(len(body)):
            connection = stage(side)
            events = feed(connection, [pack_frame(body[:length])])
            assert isinstance(events[-1], ConnectionFailed)


# Memory


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_stranger_takes_little_memory() -> None:
    dice = random.Random(3)

    def work() -> None:
        for _ in range(200):
            server = _connected("server")
            header = dice.randrange(limits.MAX_GREETING_FRAME_BYTES).to_bytes(4, "big")
            while not server.is_closed() and dice.random() > 0.05:
                server.receive(header + dice.randbytes(1000), 0.0)

    assert _peak_bytes(work) < 1 << 20


def test_requests_that_are_never_answered_take_bounded_memory() -> None:
    server = _signed_in("server")
    data = _frames([(n, people.FindPeople("x")) for n in range(1, 100_000)])

    def work() -> None:
        for at in range(0, len(data), 1000):
            server.receive(data[at : at + 1000], 0.0)

    assert _peak_bytes(work) < 1 << 20
    assert server.is_closed()


def test_what_is_skipped_is_not_kept() -> None:
    client = _signed_in("client")
    unknown = pack_frame(b"\x92\x00\x82\xa1t\xa6future\xa1x\xc5\x03\xe8" + bytes(1000))

    def work() -> None:
        for _ in range(limits.MAX_UNKNOWN_FRAMES):
            client.receive(unknown, 0.0)

    assert _peak_bytes(work) < 100_000
    assert not client.is_closed()
