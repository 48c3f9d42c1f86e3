# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides of a connection do alike: greeting, keepalive, goodbye, deadlines; over a line that
splits, breaks and takes its time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, limits
from protocol.client_connection import ClientConnection
from protocol.connection import Connection
from protocol.errors import ErrorCode, LocalProtocolError
from protocol.events import (
    ConnectionFailed,
    GoodbyeReceived,
    HelloReceived,
    PushReceived,
    ReplyReceived,
    RequestReceived,
    WelcomeReceived,
)
from protocol.frames import FrameReader, pack_frame
from protocol.messages import chat, people, session
from protocol.messages.kinds import Done, Message
from protocol.server_connection import ServerConnection
from protocol.states import State
from tests.support.pipes import (
    SIGN_IN,
    SIGNED_IN,
    Line,
    Split,
    at_random,
    byte_by_byte,
    signed_in,
    welcome,
    whole,
)

TYPING = chat.Typing(bytes(16))


def frame(message: Message, number: int = 0) -> bytes:
    return pack_frame(codec.encode_body(number, message))


def messages(data: bytes) -> list[str]:
    """The kinds of the messages in a stream."""
    reader = FrameReader(max_body_bytes=1 << 20, max_inflated_bytes=1 << 20)
    kinds = []
    for body in reader.feed(data):
        try:
            found = codec.decode_from_client(body)
        except Exception as error:
            raise AssertionError(body) from error
        if isinstance(found, codec.Unreadable):
            kinds.append(found.kind)
        else:
            kinds.append(str(found.message.__struct_config__.tag))
    return kinds


# Greeting


@pytest.mark.parametrize(
    "split", [whole, byte_by_byte, at_random(3)], ids=["whole", "byte by byte", "at random"]
)
def test_a_client_greets_signs_in_and_asks(split: Split) -> None:
    line = Line(split=split)
    line.run()
    hello = line.at_server.one(HelloReceived).hello
    assert (hello.oldest_version, hello.newest_version) == (1, 1)
    assert (hello.capabilities, hello.software) == (("zstd",), "test 1.0")
    greeting = line.at_client.one(WelcomeReceived).welcome
    assert (greeting.version, greeting.capabilities) == (1, ("zstd",))
    assert line.states() == (State.GREETED, State.GREETED)

    number = line.ask(SIGN_IN)
    assert line.at_server.one(RequestReceived) == RequestReceived(number, SIGN_IN)
    line.answer(number, SIGNED_IN)
    assert line.at_client.one(ReplyReceived) == ReplyReceived(number, SIGN_IN, SIGNED_IN)
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)

    line.server.push(people.DirectoryMoved(7))
    line.run()
    assert line.at_client.one(PushReceived).message == people.DirectoryMoved(7)
    assert not line.at_client.events
    assert not line.at_server.events


def test_a_server_that_is_too_old_says_so_and_parts() -> None:
    line = Line()
    line.client.data_to_send()
    hello = session.Hello(2, 3, ())
    line.at_server.events += line.server.receive(frame(hello), 0.0)
    assert line.at_server.one(ConnectionFailed).code is ErrorCode.VERSION_UNSUPPORTED
    line.run()
    goodbye = line.at_client.one(GoodbyeReceived).goodbye
    assert goodbye.reason == "version_unsupported"
    assert "Update the older side" in goodbye.sentence
    assert line.client.is_closed()


def test_a_server_can_not_choose_a_version_that_was_not_offered() -> None:
    line = Line()
    events = line.client.receive(frame(session.Welcome(2)), 0.0)
    (failed,) = events
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.VERSION_UNSUPPORTED
    assert messages(line.client.data_to_send()) == ["hello", "goodbye"]


@pytest.mark.parametrize(
    ("clients", "servers", "agreed"),
    [
        (("zstd",), ("zstd",), {"zstd"}),
        ((), ("zstd",), set()),
        (("zstd",), (), set()),
        (("future", "zstd"), ("zstd", "past"), {"zstd"}),
    ],
)
def test_only_what_both_can_is_used(
    clients: tuple[str, ...], servers: tuple[str, ...], agreed: set[str]
) -> None:
    line = Line(
        ClientConnection(0.0, capabilities=clients),
        ServerConnection(0.0, welcome, capabilities=servers),
    )
    line.sign_in()
    assert line.client.capabilities == line.server.capabilities == agreed
    many = tuple(people.Person(bytes([n]) * 16, "login", "name" * 20) for n in range(100))
    for request in range(2):
        number = line.ask(people.GetDirectory())
        line.server.reply(number, people.Directory(request, people=many))
        data = line.server.data_to_send()
        assert (len(data) < 5000) == bool(agreed)
        line.at_client.events += line.client.receive(data, 0.0)
    assert len(line.at_client.take(ReplyReceived)) == 2


def test_a_client_does_not_take_a_capability_that_it_did_not_offer() -> None:
    client = ClientConnection(0.0, capabilities=())
    client.receive(frame(session.Welcome(1, ("zstd",))), 0.0)
    assert client.capabilities == frozenset()
    (failed,) = client.receive(pack_frame(b"\0" * 5000, may_compress=True), 0.0)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.BAD_FRAME


OUT_OF_TURN: dict[str, tuple[Message, int]] = {
    "a ping before the greeting": (session.Ping(), 0),
    "a pong before the greeting": (session.Pong(), 0),
    "a request before the greeting": (SIGN_IN, 1),
    "a note before the greeting": (TYPING, 0),
}


@pytest.mark.parametrize(("message", "number"), OUT_OF_TURN.values(), ids=OUT_OF_TURN.keys())
def test_nothing_comes_before_the_greeting(message: Message, number: int) -> None:
    server = ServerConnection(0.0, welcome)
    (failed,) = server.receive(frame(message, number), 0.0)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.BAD_STATE
    assert server.is_closed()
    assert messages(server.data_to_send()) == ["goodbye"]


def test_greeting_twice_is_out_of_turn() -> None:
    line = Line()
    line.run()
    (failed,) = line.server.receive(frame(session.Hello(1, 1)), 0.0)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.BAD_STATE
    (failed,) = line.client.receive(frame(session.Welcome(1)), 0.0)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.BAD_STATE


def test_a_push_before_signing_in_is_out_of_turn() -> None:
    line = Line()
    line.run()
    (failed,) = line.client.receive(frame(people.DirectoryMoved(1)), 0.0)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.BAD_STATE


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
        for kind in messages(data):
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
    """While it lasts, nothing but pings shows the server that the client is there: its own ping waits behind the answer."""
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
    assert messages(server.data_to_send()) == ["goodbye"]


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


# Goodbye


@pytest.mark.parametrize("who", ["client", "server"])
def test_goodbye_from_either_side(who: str) -> None:
    line = signed_in()
    sayer, other = (
        (line.client, line.at_server) if who == "client" else (line.server, line.at_client)
    )
    sayer.say_goodbye(line.now, ErrorCode.UNAVAILABLE, "Back soon.", 1500)
    assert sayer.state is State.CLOSING
    line.run()
    goodbye = other.one(GoodbyeReceived).goodbye
    assert (goodbye.reason, goodbye.sentence, goodbye.reconnect_after_ms) == (
        "unavailable",
        "Back soon.",
        1500,
    )
    assert line.client.is_closed()
    assert line.server.is_closed()
    for connection in (line.client, line.server):
        assert connection.timer_at() is None
        assert connection.timer_fired(1e9) == []
        assert connection.receive(frame(session.Ping()), 1.0) == []
        assert connection.data_to_send() == b""


def test_goodbye_before_the_greeting_is_over() -> None:
    line = Line()
    line.client.say_goodbye(0.0)
    line.run()
    assert line.at_server.take(GoodbyeReceived)
    assert line.client.is_closed()
    assert line.server.is_closed()


def test_both_say_goodbye_at_once() -> None:
    line = signed_in()
    line.client.say_goodbye(line.now)
    line.server.say_goodbye(line.now, ErrorCode.SESSION_ENDED)
    line.run()
    assert line.at_client.one(GoodbyeReceived).goodbye.reason == "session_ended"
    assert line.at_server.one(GoodbyeReceived).goodbye.reason == ""
    assert line.client.is_closed()
    assert line.server.is_closed()


def test_a_goodbye_that_nobody_hears_ends_by_itself() -> None:
    line = signed_in()
    line.wait(49.9)
    line.cut()
    line.server.say_goodbye(line.now)
    assert line.server.timer_at() == line.now + limits.GOODBYE_TIMEOUT_S
    line.wait(5.1)
    assert line.server.is_closed()
    assert not line.at_server.events


def test_goodbye_again_says_nothing_more() -> None:
    line = signed_in()
    line.client.say_goodbye(line.now)
    line.client.say_goodbye(line.now)
    assert messages(line.client.data_to_send()) == ["goodbye"]
    line.client.lost()
    line.client.say_goodbye(line.now)
    assert line.client.data_to_send() == b""


def test_what_was_under_way_when_goodbye_was_said_is_passed_over() -> None:
    line = signed_in()
    line.server.say_goodbye(line.now)
    under_way = (
        frame(people.GetDirectory(), 2)
        + frame(session.Ping())
        + frame(TYPING)
        + pack_frame(b"\x92\x03\x81\xa1t\xa6future")
        + pack_frame(b"\x92\x00\x81\xa1t\xa6typing")
    )
    assert line.server.receive(under_way, line.now) == []
    assert line.server.state is State.CLOSING
    assert messages(line.server.data_to_send()) == ["goodbye"]

    line = signed_in()
    line.client.say_goodbye(line.now)
    under_way = frame(people.DirectoryMoved(1)) + pack_frame(b"\x92\x00\x81\xa1t\xa6events")
    assert line.client.receive(under_way, line.now) == []
    assert line.client.state is State.CLOSING


def test_an_answer_that_was_under_way_is_still_taken_after_our_goodbye() -> None:
    line = signed_in()
    number = line.ask(session.ListDevices())
    line.server.reply(number, session.Devices())
    line.client.say_goodbye(line.now)
    line.run()
    assert line.at_client.one(ReplyReceived).number == number

    line = Line()
    line.run()
    number = line.ask(SIGN_IN)
    line.client.say_goodbye(line.now)
    line.server.reply(number, SIGNED_IN)
    line.at_client.events += line.client.receive(line.server.data_to_send(), line.now)
    assert line.at_client.take(ReplyReceived)
    assert line.client.state is State.CLOSING


def test_nothing_is_sent_after_goodbye() -> None:
    line = signed_in()
    number = line.ask(session.SignOut())
    line.client.say_goodbye(line.now)
    line.server.say_goodbye(line.now)
    with pytest.raises(LocalProtocolError):
        line.client.request(session.ListDevices(), line.now)
    with pytest.raises(LocalProtocolError):
        line.client.note(TYPING)
    assert not line.client.can_request
    line.server.reply(number, Done())
    line.server.push(people.DirectoryMoved(1))
    line.server.send_frame(b"never sent")
    assert messages(line.server.data_to_send()) == ["goodbye"]


def test_a_lost_transport_is_the_end_of_it() -> None:
    line = signed_in()
    line.client.lost()
    assert line.client.is_closed()
    assert line.client.receive(frame(people.DirectoryMoved(1)), 1.0) == []
    assert line.client.timer_at() is None


# Unknown kinds

UNKNOWN = pack_frame(b"\x92\x00\x81\xa1t\xa6future")


def test_what_is_not_known_is_skipped_as_long_as_it_is_not_all() -> None:
    line = signed_in()
    for _ in range(3):
        for connection in (line.client, line.server):
            assert connection.receive(UNKNOWN * limits.MAX_UNKNOWN_FRAMES, 0.0) == []
        line.client.receive(frame(session.Ping()), 0.0)
        line.server.receive(frame(session.Ping()), 0.0)
    for connection in (line.client, line.server):
        (failed,) = connection.receive(UNKNOWN * (limits.MAX_UNKNOWN_FRAMES + 1), 0.0)
        assert isinstance(failed, ConnectionFailed)
        assert failed.code is ErrorCode.BAD_FRAME


def test_events_before_the_fault_are_reported_with_it() -> None:
    line = signed_in()
    found = line.server.receive(
        frame(people.GetDirectory(), 2) + frame(people.GetDirectory(), 3) + b"\x00\x00\x00\x01\xc1",
        line.now,
    )
    assert [type(event) for event in found] == [RequestReceived, RequestReceived, ConnectionFailed]
    line.server.reply(2, people.Directory(1))
    assert messages(line.server.data_to_send()) == ["goodbye"]


def test_a_connection_is_one_of_the_two_sides() -> None:
    reader = FrameReader(max_body_bytes=100, max_inflated_bytes=100)
    neither = Connection(
        0.0,
        reader,
        keepalive_s=1.0,
        dead_peer_s=1.0,
        max_sent_bytes=100,
        max_sent_inflated_bytes=100,
    )
    with pytest.raises(LocalProtocolError):
        neither.receive(frame(session.Ping()), 0.0)
