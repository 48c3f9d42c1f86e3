# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides of a connection do alike: greeting, capabilities, what is skipped, and their ends."""

from __future__ import annotations

import pytest

from protocol import limits
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
from protocol.messages.kinds import Message
from protocol.server_connection import ServerConnection
from protocol.states import State
from tests.support.pipes import (
    SIGN_IN,
    SIGNED_IN,
    Line,
    Split,
    at_random,
    byte_by_byte,
    frame,
    kinds_in,
    signed_in,
    welcome,
    whole,
)

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
    assert kinds_in(line.client.data_to_send()) == ["hello", "goodbye"]


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
    "a note before the greeting": (chat.Typing(bytes(16)), 0),
}


@pytest.mark.parametrize(("message", "number"), OUT_OF_TURN.values(), ids=OUT_OF_TURN.keys())
def test_nothing_comes_before_the_greeting(message: Message, number: int) -> None:
    server = ServerConnection(0.0, welcome)
    (failed,) = server.receive(frame(message, number), 0.0)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code is ErrorCode.BAD_STATE
    assert server.is_closed()
    assert kinds_in(server.data_to_send()) == ["goodbye"]


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
    assert kinds_in(line.server.data_to_send()) == ["goodbye"]


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
