# SPDX-License-Identifier: GPL-3.0-or-later
"""Who pings when, how soon a dead peer is noticed, and the deadlines before a session."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.connection import Connection
from protocol.errors import ErrorCode
from protocol.events import ConnectionFailed, PushReceived
from protocol.messages import people, session
from protocol.server_connection import ServerConnection
from protocol.states import State
from tests.support.pipes import Line, frame, kinds_in, signed_in, welcome

# Keepalive


def test_on_a_quiet_line_the_client_alone_pings() -> None:
    line = signed_in()
    heard: list[tuple[str, float]] = []
    for name, connection in (("client", line.client), ("server", line.server)):
        _spy(connection, lambda kind, name=name: heard.append((f"{name} {kind}", line.now)))  # type: ignore[misc]
    line.wait(175.0)
    assert heard == [
        ("client ping", 50.0),
        ("server pong", 50.0),
        ("client ping", 100.0),
        ("server pong", 100.0),
        ("client ping", 150.0),
        ("server pong", 150.0),
    ]
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def _spy(connection: Connection, tell: Callable[[str], None]) -> None:
    original = connection.data_to_send

    def data_to_send() -> bytes:
        data = original()
        for kind in kinds_in(data):
            tell(kind)
        return data

    connection.data_to_send = data_to_send  # type: ignore[method-assign]


def test_talk_makes_pings_needless() -> None:
    line = signed_in()
    heard: list[str] = []
    _spy(line.client, heard.append)
    for _ in range(10):
        line.wait(40.0)
        line.answer(line.ask(session.ListDevices()), session.Devices())
    assert heard == ["list_devices"] * 10


def test_a_client_notices_a_cut_cable_within_75_seconds() -> None:
    line = signed_in()
    line.wait(10.0)
    line.answer(line.ask(session.ListDevices()), session.Devices())
    line.cut()
    line.wait(74.9)
    assert not line.client.is_closed()
    line.wait(0.2)
    assert line.at_client.one(ConnectionFailed) == ConnectionFailed(
        ErrorCode.TIMED_OUT, "Nothing was heard for 75 s."
    )
    assert line.client.timer_at() is None
    line.wait(10.0)
    assert line.at_server.one(ConnectionFailed).code is ErrorCode.TIMED_OUT
    assert line.now < 10.0 + 86.0


def test_a_long_answer_on_a_slow_line_ends_no_connection() -> None:
    """Nothing but pings shows the server that the client is there: its own waits behind the answer."""
    line = signed_in()
    number = line.ask(session.ListDevices())
    line.server.reply(number, session.Devices((session.Device(bytes(16), "x" * 900, "cli"),)))
    answer = line.server.data_to_send()
    for at in range(len(answer)):
        line.now += 1.0
        for end in (line.at_client, line.at_server):
            if (end.connection.timer_at() or 0.0) <= line.now:
                end.events += end.connection.timer_fired(line.now)
        line.at_client.events += line.client.receive(answer[at : at + 1], line.now)
        line.at_server.events += line.server.receive(line.client.data_to_send(), line.now)
    assert not line.at_server.take(ConnectionFailed)
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def test_a_cable_cut_in_one_direction_is_noticed_by_the_side_that_hears_nothing() -> None:
    line = signed_in()
    line.cut(to_client=0, to_server=None)
    line.wait(76.0)
    assert line.at_client.one(ConnectionFailed).code is ErrorCode.TIMED_OUT


def test_a_cable_cut_in_the_middle_of_a_frame_delivers_nothing_of_it() -> None:
    line = signed_in()
    line.server.push(people.DirectoryMoved(1))
    line.server.push(people.DirectoryMoved(2))
    line.cut(to_client=len(frame(people.DirectoryMoved(1))) + 7, to_server=0)
    line.wait(80.0)
    assert line.at_client.one(PushReceived).message == people.DirectoryMoved(1)
    assert line.at_client.one(ConnectionFailed).code is ErrorCode.TIMED_OUT


def test_any_byte_shows_that_the_peer_is_there() -> None:
    line = signed_in()
    slow = frame(people.DirectoryMoved(123))
    for at in range(len(slow)):
        line.now += 74.0
        line.client.timer_fired(line.now - 24.5)  # pings
        assert not line.client.timer_fired(line.now)
        line.at_client.events += line.client.receive(slow[at : at + 1], line.now)
    assert line.at_client.one(PushReceived).message == people.DirectoryMoved(123)


def test_a_timer_that_fires_early_does_nothing() -> None:
    line = signed_in()
    for connection in (line.client, line.server):
        at = connection.timer_at()
        assert at is not None
        assert connection.timer_fired(at - 0.001) == []
        assert connection.data_to_send() == b""
        assert connection.timer_at() == at


@given(st.lists(st.floats(0.0, 200.0), max_size=8), st.integers(0, 3))
def test_no_timer_is_ever_due_twice_or_in_the_past(waits: list[float], ends: int) -> None:
    """Line.wait itself checks; a driver that obeys timer_at would spin otherwise."""
    line = Line()
    if ends != 3:
        line.sign_in()
    for number, seconds in enumerate(waits):
        line.wait(seconds)
        if number == ends and not line.server.is_closed():
            line.cut()
            line.server.say_goodbye(line.now)


# Deadlines


def test_a_peer_that_never_greets_is_dropped() -> None:
    line = Line()
    line.cut()
    line.wait(9.9)
    assert not line.server.is_closed()
    line.wait(0.2)
    for end in (line.at_client, line.at_server):
        failed = end.one(ConnectionFailed)
        assert (failed.code, failed.sentence) == (
            ErrorCode.TIMED_OUT,
            "The greeting took too long.",
        )


def test_a_slow_greeting_does_not_move_its_deadline() -> None:
    server = ServerConnection(0.0, welcome)
    hello = frame(session.Hello(1, 1, software="x" * 100))
    for second in range(1, 10):
        assert server.receive(hello[second - 1 : second], float(second)) == []
    assert server.timer_at() == limits.GREETING_TIMEOUT_S
    (failed,) = server.timer_fired(10.0)
    assert isinstance(failed, ConnectionFailed)
    assert kinds_in(server.data_to_send()) == ["goodbye"]


def test_a_peer_that_never_signs_in_is_dropped_however_lively_it_is() -> None:
    line = Line()
    line.wait(2.0)
    line.wait(119.0)
    assert line.at_server.one(ConnectionFailed) == ConnectionFailed(
        ErrorCode.TIMED_OUT, "The sign-in took too long."
    )
    assert line.client.is_closed()


def test_a_session_has_no_deadline() -> None:
    line = signed_in()
    line.wait(100_000.0)
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)
