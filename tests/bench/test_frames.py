# SPDX-License-Identifier: GPL-3.0-or-later
"""What the load sends are posts like any other, and what it counts is what the codec would say."""

from __future__ import annotations

import pytest

from bench import frames
from bench.frames import FIRST_NUMBER, LAST_NUMBER, Count
from protocol.codec import Unreadable, decode_from_client, decode_posted, encode_body
from protocol.frames import HEADER_BYTES, pack_frame
from protocol.messages.chat import Event, Events, Post, Posted
from protocol.messages.content import Text
from protocol.messages.kinds import Error, Message
from protocol.messages.people import DirectoryMoved
from protocol.messages.session import Goodbye, Ping

CONVERSATION, PEER, ID = b"c" * 16, b"p" * 16, b"i" * 16
NOW_MS = 1_700_000_000_000


def decoded(frame: bytes | bytearray) -> tuple[int, Post]:
    assert int.from_bytes(frame[:HEADER_BYTES], "big") == len(frame) - HEADER_BYTES
    envelope = decode_from_client(bytes(frame[HEADER_BYTES:]))
    assert not isinstance(envelope, Unreadable)
    assert isinstance(envelope.message, Post)
    return envelope.number, envelope.message


@pytest.mark.parametrize("number", [FIRST_NUMBER, FIRST_NUMBER + 4711, LAST_NUMBER])
def test_a_numbered_post_is_a_post_of_a_hundred_bytes_with_a_new_id(number: int) -> None:
    frame = frames.post_frame(CONVERSATION)
    frames.number_post(frame, number, NOW_MS)
    found, post = decoded(frame)
    assert found == number
    assert post.conversation == CONVERSATION
    content = decode_posted(post.content)
    assert isinstance(content, Text)
    assert len(content.text.encode()) == 100
    assert post.id == frames.fresh_id(number, NOW_MS)
    assert int.from_bytes(post.id[:6], "big") == NOW_MS
    assert post.id[6] >> 4 == 7  # version and variant of RFC 9562
    assert post.id[8] >> 6 == 2


def test_ids_of_one_millisecond_differ() -> None:
    ids = {frames.fresh_id(FIRST_NUMBER + n, NOW_MS) for n in range(10_000)}
    assert len(ids) == 10_000


def test_the_first_post_names_the_peer() -> None:
    number, post = decoded(frames.first_post(CONVERSATION, PEER, FIRST_NUMBER, ID))
    assert (number, post.peer, post.id) == (FIRST_NUMBER, PEER, ID)


def event(seq: int) -> Event:
    _, post = decoded(frames.post_frame(CONVERSATION))
    return Event(CONVERSATION, seq, seq, ID, PEER, NOW_MS, seq, post.content)


@pytest.mark.parametrize(
    ("number", "message", "is_answer", "counted"),
    [
        (FIRST_NUMBER, Posted(CONVERSATION, 1, 1, 1, 1), True, "acks"),
        (0, Events((event(1),)), False, "events"),
        (0, DirectoryMoved(1), False, "others"),
        (0, Ping(), False, "pings"),
        (0, Goodbye(sentence="The server stops."), False, "refusals"),
        (FIRST_NUMBER, Error("slow_down", "That is too fast."), True, "refusals"),
    ],
)
def test_whatever_comes_is_counted_for_what_it_is(
    number: int, message: Message, is_answer: bool, counted: str
) -> None:
    count = Count()
    assert count.take_unusual(pack_frame(encode_body(number, message))) is is_answer
    assert getattr(count, counted) == 1


def test_a_refusal_is_remembered_in_words() -> None:
    count = Count()
    count.take_unusual(pack_frame(encode_body(1, Error("slow_down", "That is too fast."))))
    assert count.sentence == "slow_down: That is too fast."
