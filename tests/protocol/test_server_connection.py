# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server takes, answers and refuses, and that misbehaviour ends with its reason."""

from __future__ import annotations

import random

import msgspec
import pytest

from protocol import codec, limits
from protocol.errors import ErrorCode, LocalProtocolError
from protocol.events import (
    ConnectionFailed,
    GoodbyeReceived,
    NoteReceived,
    PushReceived,
    ReplyReceived,
    RequestFailed,
    RequestReceived,
)
from protocol.frames import pack_frame
from protocol.messages import chat, people, session
from protocol.messages.kinds import Done, Message
from protocol.server_connection import ServerConnection, push_frame
from protocol.states import State
from tests.support.pipes import SIGN_IN, SIGNED_IN, Line, signed_in, welcome

ASK = session.ListDevices()
NONE = session.Devices()
TYPING = chat.Typing(bytes(16))


def frame(number: int, message: Message) -> bytes:
    return pack_frame(codec.encode_body(number, message))


def raw_frame(number: object, **message: object) -> bytes:
    return pack_frame(msgspec.msgpack.encode([number, message]))


def greeted() -> Line:
    line = Line()
    line.run()
    line.at_server.events.clear()
    line.at_client.events.clear()
    return line


def fails(server: ServerConnection, data: bytes) -> ConnectionFailed:
    """What the server says of data after which it does not go on."""
    failed = server.receive(data, 0.0)[-1]
    assert isinstance(failed, ConnectionFailed)
    assert server.is_closed()
    return failed


# Requests


def test_requests_and_notes_arrive_in_order() -> None:
    line = signed_in()
    data = frame(5, ASK) + frame(0, TYPING) + frame(3, people.GetDirectory())
    assert line.server.receive(data, 0.0) == [
        RequestReceived(5, ASK),
        NoteReceived(TYPING),
        RequestReceived(3, people.GetDirectory()),
    ]
    assert line.server.unanswered_count == 2


def test_a_request_is_answered_once() -> None:
    line = signed_in()
    number = line.ask(ASK)
    line.answer(number, NONE)
    with pytest.raises(LocalProtocolError):
        line.server.reply(number, NONE)
    with pytest.raises(LocalProtocolError):
        line.server.reply(77, NONE)
    assert len(line.at_client.take(ReplyReceived)) == 1


def test_an_answer_that_fits_no_frame_leaves_the_request_to_be_refused() -> None:
    line = signed_in()
    number = line.ask(ASK)
    noise = random.Random(1).randbytes(limits.MAX_SERVER_FRAME_BYTES).hex()
    with pytest.raises(LocalProtocolError):
        line.server.reply(number, session.Devices((session.Device(bytes(16), noise, "cli"),)))
    assert line.server.data_to_send() == b""
    line.server.refuse(number, ErrorCode.INTERNAL, "The list is too long.")
    line.run()
    assert line.at_client.one(RequestFailed).sentence == "The list is too long."


def test_a_number_may_be_used_again_once_it_is_answered() -> None:
    line = signed_in()
    line.server.receive(frame(9, ASK), 0.0)
    line.server.reply(9, NONE)
    assert line.server.receive(frame(9, ASK), 0.0) == [RequestReceived(9, ASK)]


def test_a_number_in_use_ends_the_connection() -> None:
    line = signed_in()
    found = line.server.receive(frame(9, ASK) + frame(9, ASK), 0.0)
    assert found[0] == RequestReceived(9, ASK)
    assert isinstance(found[1], ConnectionFailed)
    assert found[1].code is ErrorCode.DUPLICATE_REQUEST
    line.run()
    assert line.at_client.one(GoodbyeReceived).goodbye.reason == "duplicate_request"


def test_more_requests_than_allowed_end_the_connection() -> None:
    line = signed_in()
    asked = b"".join(frame(n + 1, ASK) for n in range(limits.MAX_REQUESTS_IN_FLIGHT))
    assert len(line.server.receive(asked, 0.0)) == limits.MAX_REQUESTS_IN_FLIGHT
    assert fails(line.server, frame(1000, ASK)).code is ErrorCode.SLOW_DOWN


@pytest.mark.parametrize("number", [-1, codec.MAX_NUMBER + 1, 2**64 - 1])
def test_a_number_out_of_range_ends_the_connection(number: int) -> None:
    assert fails(signed_in().server, frame(number, ASK)).code is ErrorCode.BAD_FRAME


def test_the_highest_number_is_taken() -> None:
    line = signed_in()
    assert line.server.receive(frame(codec.MAX_NUMBER, ASK), 0.0)


@pytest.mark.parametrize(
    "data",
    [
        frame(0, ASK),
        frame(4, TYPING),
        frame(4, session.Ping()),
        frame(4, session.Goodbye()),
        raw_frame(0, t="typing", conversation="here"),
        pack_frame(b"\xc1"),
        pack_frame(b""),
    ],
    ids=[
        "request without number",
        "note with one",
        "ping with one",
        "goodbye with one",
        "broken note",
        "no MessagePack",
        "empty",
    ],
)
def test_a_client_that_breaks_the_protocol_is_told_and_left(data: bytes) -> None:
    line = signed_in()
    assert fails(line.server, data).code is ErrorCode.BAD_FRAME
    line.run()
    assert line.at_client.one(GoodbyeReceived).goodbye.reason == "bad_frame"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"t": "find_people", "text": ""}, ErrorCode.INVALID),
        ({"t": "post"}, ErrorCode.INVALID),
        ({"t": "post", "conversation": b"here", "id": b"", "content": None}, ErrorCode.INVALID),
        ({"t": "teleport", "to": "Mars"}, ErrorCode.UNKNOWN_KIND),
    ],
    ids=["empty text", "no fields", "short ids", "unknown kind"],
)
def test_a_request_that_can_not_be_read_is_answered_and_the_rest_goes_on(
    message: dict[str, object], code: ErrorCode
) -> None:
    line = signed_in()
    number = line.ask(ASK)
    assert line.server.receive(raw_frame(900, **message), 0.0) == []
    found = codec.decode_from_server(line.server.data_to_send()[4:])
    assert isinstance(found, codec.ServerEnvelope)
    assert found.number == 900
    assert found.message.code == code.value  # type: ignore[union-attr]
    line.answer(number, NONE)
    assert line.at_client.take(ReplyReceived)


def test_requests_that_can_not_be_read_are_numbered_like_others() -> None:
    line = signed_in()
    line.ask(ASK)  # number 2, not answered yet
    assert fails(line.server, raw_frame(2, t="teleport")).code is ErrorCode.DUPLICATE_REQUEST


# Signing in


def test_before_signing_in_everything_else_is_refused() -> None:
    line = greeted()
    assert line.server.receive(frame(1, ASK), 0.0) == []
    assert line.server.receive(raw_frame(2, t="teleport"), 0.0) == []
    assert line.server.receive(raw_frame(3, t="sign_in"), 0.0) == []
    codes = []
    data = line.server.data_to_send()
    line.client._pending = dict.fromkeys((1, 2, 3), (ASK, 30.0))
    for event in line.client.receive(data, 0.0):
        assert isinstance(event, RequestFailed)
        codes.append(event.code)
    assert codes == [ErrorCode.NOT_SIGNED_IN, ErrorCode.UNKNOWN_KIND, ErrorCode.INVALID]
    assert line.server.unanswered_count == 0


def test_a_note_before_signing_in_ends_the_connection() -> None:
    assert fails(greeted().server, frame(0, TYPING)).code is ErrorCode.BAD_STATE


def test_one_sign_in_at_a_time() -> None:
    line = greeted()
    first = line.ask(SIGN_IN)
    second = line.ask(SIGN_IN)
    assert line.at_server.one(RequestReceived).number == first
    failed = line.at_client.one(RequestFailed)
    assert (failed.number, failed.code) == (second, ErrorCode.SLOW_DOWN)
    line.answer(first, SIGNED_IN)
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def test_after_a_refusal_another_sign_in_is_taken() -> None:
    line = greeted()
    line.server.refuse(line.ask(SIGN_IN), ErrorCode.WRONG_CREDENTIALS)
    assert line.ask(SIGN_IN)
    assert len(line.at_server.take(RequestReceived)) == 2


def test_signing_in_twice_ends_the_connection() -> None:
    assert fails(signed_in().server, frame(9, SIGN_IN)).code is ErrorCode.BAD_STATE


def test_a_stranger_sends_no_large_frames_and_a_colleague_does() -> None:
    large = chat.SetDraft(bytes(16), chat.Draft("x" * 20_000))
    line = greeted()
    assert fails(line.server, frame(1, large)).code is ErrorCode.FRAME_TOO_LARGE
    line = signed_in()
    line.ask(large)
    assert line.at_server.one(RequestReceived).message == large
    too_large = (limits.MAX_FRAME_BYTES + 1).to_bytes(4, "big")
    assert fails(line.server, too_large).code is ErrorCode.FRAME_TOO_LARGE


def test_a_stranger_inflates_nothing_large() -> None:
    bomb = pack_frame(b"\0" * (limits.MAX_GREETING_FRAME_BYTES + 1), may_compress=True)
    assert fails(greeted().server, bomb).code is ErrorCode.FRAME_TOO_LARGE
    bomb = pack_frame(b"\0" * (limits.MAX_CLIENT_INFLATED_BYTES + 1), may_compress=True)
    assert fails(signed_in().server, bomb).code is ErrorCode.FRAME_TOO_LARGE


# Pushes


def test_a_push_encoded_once_reaches_many() -> None:
    encoded = push_frame(people.DirectoryMoved(5))
    for line in (signed_in(), signed_in()):
        line.server.send_frame(encoded)
        line.run()
        assert line.at_client.one(PushReceived).message == people.DirectoryMoved(5)


def test_pushes_wait_for_nobody_who_is_not_signed_in() -> None:
    line = greeted()
    line.server.push(people.DirectoryMoved(5))
    line.server.send_frame(push_frame(people.DirectoryMoved(5)))
    assert line.server.data_to_send() == b""


def test_answers_and_pushes_leave_in_the_order_in_which_they_were_given() -> None:
    line = signed_in()
    number = line.ask(ASK)
    line.server.push(people.DirectoryMoved(1))
    line.server.reply(number, NONE)
    line.server.send_frame(push_frame(people.DirectoryMoved(2)))
    line.run()
    assert [type(event) for event in line.at_client.events] == [
        PushReceived,
        ReplyReceived,
        PushReceived,
    ]


def test_sign_out_is_answered_before_the_goodbye() -> None:
    line = signed_in()
    number = line.ask(session.SignOut())
    line.server.reply(number, Done())
    line.server.say_goodbye(line.now, ErrorCode.SESSION_ENDED)
    line.run()
    assert [type(event) for event in line.at_client.events] == [ReplyReceived, GoodbyeReceived]
    assert line.client.is_closed()


def test_the_welcome_says_what_the_server_is_asked_to_say() -> None:
    server = ServerConnection(0.0, welcome)
    server.receive(frame(0, session.Hello(1, 1, ("zstd",))), 0.0)
    found = codec.decode_from_server(server.data_to_send()[4:])
    assert isinstance(found, codec.ServerEnvelope)
    assert found.message == welcome(1, ("zstd",))
