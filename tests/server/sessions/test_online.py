# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is online, who is reached by a push, and whose sessions are ended."""

from __future__ import annotations

import pytest

from protocol.errors import ErrorCode
from protocol.messages.people import DirectoryMoved
from protocol.server_connection import push_frame
from server.services.caller import Caller
from server.sessions.online import Online

PUSH = DirectoryMoved(7)


class Desk:
    """A signed-in session that notes what it is told."""

    def __init__(self, online: Online, user: int, session: int, device: int) -> None:
        self.caller = Caller(bytes([user]) * 16, bytes([session]) * 16, bytes([device]) * 16)
        self.id = self.caller.session
        self.frames: list[bytes] = []
        self.ended: list[tuple[ErrorCode, str]] = []
        self.is_behind = False
        self._online = online
        online.arrived(self)

    def send_frame(self, frame: bytes) -> None:
        self.frames.append(frame)

    def end(self, reason: ErrorCode, sentence: str) -> None:
        self.ended.append((reason, sentence))
        self._online.departed(self)


@pytest.fixture
def online() -> Online:
    return Online()


@pytest.fixture
def desks(online: Online) -> list[Desk]:
    """Two sessions of one user, one each of two others."""
    return [
        Desk(online, 1, 1, 1),
        Desk(online, 1, 2, 2),
        Desk(online, 2, 3, 3),
        Desk(online, 3, 4, 4),
    ]


def test_a_push_reaches_every_session_of_the_users_but_one(
    online: Online, desks: list[Desk]
) -> None:
    one, two, three, four = desks
    users = [one.caller.user, three.caller.user, b"nobody" * 2]
    online.push(users, PUSH, except_session=two.id)
    assert [len(desk.frames) for desk in desks] == [1, 0, 1, 0]
    assert one.frames == [push_frame(PUSH)]
    assert one.frames[0] is three.frames[0]
    online.push_frame([four.caller.user], b"frame")
    online.push_frame_to([four.id, bytes(16)], b"frame")
    assert four.frames == [b"frame", b"frame"]
    online.push_to_all(PUSH)
    assert [len(desk.frames) for desk in desks] == [2, 1, 2, 3]


def test_who_is_online(online: Online, desks: list[Desk]) -> None:
    one, two = desks[:2]
    user = one.caller.user
    assert (online.session_count(), online.user_count()) == (4, 3)
    assert set(online.sessions_of(user)) == {one.id, two.id}
    assert set(online.devices_of(user)) == {one.caller.device, two.caller.device}
    online.departed(one)
    online.departed(one)
    assert online.is_online(user)
    online.departed(two)
    assert not online.is_online(user)
    assert online.sessions_of(user) == ()
    assert (online.session_count(), online.user_count()) == (2, 2)


def test_listeners_hear_of_each_once(online: Online) -> None:
    heard: list[tuple[str, Caller]] = []
    online.on_arrival(lambda caller: heard.append(("came", caller)))
    online.on_departure(lambda caller: heard.append(("went", caller)))
    desk = Desk(online, 1, 1, 1)
    online.departed(desk)
    online.departed(desk)
    assert heard == [("came", desk.caller), ("went", desk.caller)]


@pytest.mark.parametrize(
    ("conditions", "ended"),
    [
        ({"users": {b"\x01" * 16}}, [0, 1]),
        ({"users": {b"\x01" * 16, b"\x03" * 16}}, [0, 1, 3]),
        ({"users": {b"\x01" * 16}, "except_session": b"\x01" * 16}, [1]),
        ({"users": {b"\x01" * 16}, "device": b"\x02" * 16}, [1]),
        ({"device": b"\x03" * 16}, [2]),
        ({"session": b"\x04" * 16}, [3]),
        ({"session": b"\x04" * 16, "users": {b"\x01" * 16}}, []),
        ({"session": b"\x09" * 16}, []),
        ({}, []),
    ],
)
def test_ending_sessions(
    online: Online, desks: list[Desk], conditions: dict[str, bytes], ended: list[int]
) -> None:
    count = online.end_sessions(
        **conditions,  # type: ignore[arg-type]
        reason=ErrorCode.SESSION_ENDED,
        sentence="Over.",
    )
    assert count == len(ended)
    assert [index for index, desk in enumerate(desks) if desk.ended] == ended
    assert online.session_count() == 4 - len(ended)


def test_who_has_too_much_to_read_is_behind_until_gone(online: Online, desks: list[Desk]) -> None:
    desks[0].is_behind = True
    assert [online.is_behind(desk.caller) for desk in desks] == [True, False, False, False]
    online.departed(desks[0])
    assert not online.is_behind(desks[0].caller)
