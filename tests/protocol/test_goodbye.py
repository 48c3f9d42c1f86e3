# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection ends in order from either side, or from both at once."""

from __future__ import annotations

import pytest

from protocol import limits
from protocol.errors import ErrorCode, LocalProtocolError
from protocol.events import GoodbyeReceived, ReplyReceived
from protocol.frames import pack_frame
from protocol.messages import chat, people, session
from protocol.messages.kinds import Done
from protocol.states import State
from tests.support.pipes import SIGN_IN, SIGNED_IN, Line, frame, kinds_in, signed_in

TYPING = chat.Typing(bytes(16))


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
    assert kinds_in(line.client.data_to_send()) == ["goodbye"]
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
    assert kinds_in(line.server.data_to_send()) == ["goodbye"]

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
    assert kinds_in(line.server.data_to_send()) == ["goodbye"]


def test_a_lost_transport_is_the_end_of_it() -> None:
    line = signed_in()
    line.client.lost()
    assert line.client.is_closed()
    assert line.client.receive(frame(people.DirectoryMoved(1)), 1.0) == []
    assert line.client.timer_at() is None
