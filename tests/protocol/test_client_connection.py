# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client asks is answered, refused or given up, once each, whatever the server does."""

from __future__ import annotations

import random

import msgspec
import pytest

from protocol import codec, limits
from protocol.client_connection import ClientConnection
from protocol.errors import ErrorCode, LocalProtocolError
from protocol.events import ConnectionFailed, ReplyReceived, RequestFailed, RequestReceived
from protocol.frames import pack_frame
from protocol.messages import admin, chat, people, session
from protocol.messages.kinds import Done, Error
from protocol.states import State
from tests.support.pipes import SIGN_IN, SIGNED_IN, Line, signed_in

ASK = session.ListDevices()
NONE = session.Devices()


def raw_frame(number: int, **message: object) -> bytes:
    return pack_frame(msgspec.msgpack.encode([number, message]))


def may_ask(line: Line) -> bool:
    return line.client.can_request


def test_requests_are_numbered_from_one() -> None:
    line = signed_in()
    assert [line.client.request(ASK, 0.0) for _ in range(3)] == [2, 3, 4]  # 1 signed in


def test_answers_come_in_any_order() -> None:
    line = signed_in()
    asked = [line.ask(people.GetDirectory(since)) for since in range(limits.MAX_REQUESTS_IN_FLIGHT)]
    random.Random(5).shuffle(asked)
    for number in asked:
        line.answer(number, people.Directory(number))
    answers = line.at_client.take(ReplyReceived)
    assert [answer.number for answer in answers] == asked
    for answer in answers:
        assert answer.message == people.Directory(answer.number)
        assert isinstance(answer.request, people.GetDirectory)
        assert answer.request.since == answer.number - asked[asked.index(min(asked))]


def test_a_refusal_carries_what_was_asked_and_when_to_ask_again() -> None:
    line = signed_in()
    number = line.ask(ASK)
    line.server.refuse(number, ErrorCode.SLOW_DOWN, "Too often.", 700)
    line.run()
    assert line.at_client.one(RequestFailed) == RequestFailed(
        number, ASK, ErrorCode.SLOW_DOWN, "Too often.", 700
    )
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def test_a_refused_sign_in_may_be_tried_again() -> None:
    line = Line()
    line.run()
    number = line.ask(SIGN_IN)
    line.server.refuse(number, ErrorCode.WRONG_CREDENTIALS, "Login or password is wrong.")
    line.run()
    assert line.at_client.one(RequestFailed).code is ErrorCode.WRONG_CREDENTIALS
    line.answer(line.ask(SIGN_IN), SIGNED_IN)
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def test_an_error_code_from_the_future_is_a_fault_of_the_server() -> None:
    line = signed_in()
    number = line.ask(ASK)
    line.answer(number, Error("on_strike", "The server is on strike."))
    failed = line.at_client.one(RequestFailed)
    assert (failed.code, failed.sentence) == (ErrorCode.INTERNAL, "The server is on strike.")


# In flight


def test_no_more_requests_than_the_server_remembers() -> None:
    line = signed_in()
    asked = [line.ask(ASK) for _ in range(limits.MAX_REQUESTS_IN_FLIGHT)]
    assert may_ask(line) is False
    with pytest.raises(LocalProtocolError):
        line.client.request(ASK, line.now)
    line.answer(asked[0], NONE)
    assert may_ask(line) is True
    line.ask(ASK)
    assert len(line.at_server.take(RequestReceived)) == limits.MAX_REQUESTS_IN_FLIGHT + 1


def test_a_request_without_an_answer_is_given_up_once() -> None:
    line = signed_in()
    early = line.ask(ASK)
    line.wait(10.0)
    late = line.ask(ASK)
    line.wait(19.9)
    assert not line.at_client.events
    line.wait(0.2)
    failed = line.at_client.one(RequestFailed)
    assert (failed.number, failed.code) == (early, ErrorCode.TIMED_OUT)
    line.wait(10.0)
    assert line.at_client.one(RequestFailed).number == late
    line.wait(1000.0)
    assert not line.at_client.events


def test_an_answer_after_that_is_not_taken_for_another() -> None:
    line = signed_in()
    given_up = line.ask(ASK)
    line.wait(31.0)
    line.at_client.events.clear()
    following = line.ask(ASK)
    line.answer(given_up, NONE)
    assert not line.at_client.events
    line.answer(following, NONE)
    assert line.at_client.one(ReplyReceived).number == following


def test_what_was_given_up_still_counts_until_it_is_answered() -> None:
    """The server remembers it; asking on would be taken for a flood."""
    line = signed_in()
    asked = [line.ask(ASK) for _ in range(limits.MAX_REQUESTS_IN_FLIGHT - 1)]
    line.wait(31.0)
    assert len(line.at_client.take(RequestFailed)) == len(asked)
    following = line.ask(ASK)
    assert may_ask(line) is False
    line.answer(asked[0], NONE)
    assert may_ask(line) is True
    line.ask(ASK)
    line.answer(following, NONE)
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def test_a_server_that_answers_nothing_is_left() -> None:
    line = signed_in()
    for _ in range(limits.MAX_REQUESTS_IN_FLIGHT):
        line.ask(ASK)
    line.wait(31.0)
    assert len(line.at_client.take(RequestFailed)) == limits.MAX_REQUESTS_IN_FLIGHT
    assert line.at_client.one(ConnectionFailed).code is ErrorCode.TIMED_OUT
    assert line.client.is_closed()


def test_numbers_start_over_and_pass_by_those_in_use() -> None:
    line = signed_in()
    waiting = line.ask(ASK)
    line.client._next_number = codec.MAX_NUMBER
    assert line.ask(ASK) == codec.MAX_NUMBER
    assert line.ask(ASK) == 1
    assert line.ask(ASK) == waiting + 1
    assert line.states() == (State.SIGNED_IN, State.SIGNED_IN)


def test_nothing_is_given_up_after_the_end() -> None:
    line = signed_in()
    line.ask(ASK)
    line.client.lost()
    assert line.client.timer_at() is None
    assert line.client.timer_fired(1000.0) == []


# A client keeps to the rules


def test_only_signing_in_may_be_asked_before_signing_in() -> None:
    client = ClientConnection(0.0)
    with pytest.raises(LocalProtocolError):
        client.request(SIGN_IN, 0.0)
    line = Line()
    line.run()
    with pytest.raises(LocalProtocolError):
        line.client.request(ASK, 0.0)
    with pytest.raises(LocalProtocolError):
        line.client.note(chat.Typing(bytes(16)))
    line.sign_in()
    with pytest.raises(LocalProtocolError):
        line.client.request(SIGN_IN, 0.0)


def test_a_request_that_no_server_takes_is_not_sent_and_not_pending() -> None:
    line = signed_in()
    noise = random.Random(1).randbytes(2 << 20)
    with pytest.raises(LocalProtocolError):
        line.client.request(session.EnrollDevice(noise), line.now)
    assert line.client.data_to_send() == b""
    assert line.client.timer_at() == line.now + limits.KEEPALIVE_INTERVAL_S


def test_large_changes_travel_compressed_within_the_servers_limits() -> None:
    line = signed_in()
    people_ = tuple(
        admin.PutPerson(n.to_bytes(16, "big"), f"login{n}", "Name " * 20)
        for n in range(limits.MAX_CHANGES_PER_REQUEST)
    )
    number = line.ask(admin.ChangeDirectory(people_))
    assert line.at_server.one(RequestReceived).message == admin.ChangeDirectory(people_)
    line.answer(number, admin.DirectoryChanged(1, created=len(people_)))
    assert line.at_client.take(ReplyReceived)


# A server that does not


@pytest.mark.parametrize(
    "data",
    [
        pack_frame(codec.encode_body(0, Done())),
        pack_frame(codec.encode_body(1 << 20, people.DirectoryMoved(1))),
        pack_frame(codec.encode_body(1 << 20, session.Welcome(1))),
        raw_frame(0, t="directory_moved", version="seven"),
        pack_frame(codec.encode_body(0, session.Welcome(1))),
    ],
    ids=["reply without number", "push with one", "welcome with one", "broken push", "welcome"],
)
def test_a_server_that_breaks_the_protocol_is_left_with_a_reason(data: bytes) -> None:
    line = signed_in()
    (failed,) = line.client.receive(data, line.now)
    assert isinstance(failed, ConnectionFailed)
    assert failed.code in {ErrorCode.BAD_FRAME, ErrorCode.BAD_STATE}
    assert line.client.is_closed()
    line.run()
    assert line.server.is_closed()


def test_an_answer_of_another_kind_is_none() -> None:
    line = signed_in()
    number = line.ask(ASK)
    line.answer(number, people.Directory(1))
    failed = line.at_client.one(ConnectionFailed)
    assert (failed.code, failed.sentence) == (
        ErrorCode.BAD_FRAME,
        "Directory is no answer to ListDevices.",
    )


@pytest.mark.parametrize("kind", ["devices", "answer_of_the_future"])
def test_an_answer_that_can_not_be_read_fails_its_request_alone(kind: str) -> None:
    line = signed_in()
    number = line.ask(ASK)
    line.at_client.events += line.client.receive(raw_frame(number, t=kind, devices=7), line.now)
    failed = line.at_client.one(RequestFailed)
    assert (failed.number, failed.request, failed.code) == (number, ASK, ErrorCode.INTERNAL)
    assert kind in failed.sentence
    assert line.client.receive(raw_frame(number, t=kind, devices=7), line.now) == []
    assert line.client.state is State.SIGNED_IN


@pytest.mark.parametrize("number", [-1, 77, 2**64 - 1])
def test_an_answer_to_nothing_is_passed_over(number: int) -> None:
    line = signed_in()
    assert line.client.receive(raw_frame(number, t="done"), line.now) == []
    assert line.client.state is State.SIGNED_IN
