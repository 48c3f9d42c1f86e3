# SPDX-License-Identifier: GPL-3.0-or-later
"""A prepared reply is read like any other, whatever its size and the number of the request."""

from __future__ import annotations

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.codec import MAX_NUMBER, encode_body
from protocol.errors import LocalProtocolError
from protocol.frames import FrameReader
from protocol.messages.kinds import Reply
from protocol.messages.people import Directory, People, Person
from protocol.prepared import PreparedReply, prepare

NUMBERS = (1, 127, 128, 255, 256, 65_535, 65_536, MAX_NUMBER)


def read(frame: bytes) -> bytes:
    """The body that a client takes from a frame."""
    reader = FrameReader(
        max_body_bytes=limits.MAX_SERVER_FRAME_BYTES, max_inflated_bytes=limits.MAX_INFLATED_BYTES
    )
    reader.may_inflate = True
    (body,) = reader.feed(frame)
    return body


def crowd(count: int, seed: int = 0) -> Directory:
    """So many people, whose ids can't be compressed."""
    chance = random.Random(seed)  # the same each time
    people = tuple(
        Person(chance.randbytes(16), f"user{number}", f"Name {number % 97}", email="a@example.com")
        for number in range(count)
    )
    return Directory(7, is_full=True, people=people)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("count", [0, 1, 5, 3_000, 60_000])
def test_of_any_size_under_any_number(count: int, number: int) -> None:
    reply = crowd(count)
    prepared = prepare(reply)
    expected = encode_body(number, reply)
    for may_compress in (True, False):
        frame = prepared.frame(number, may_compress=may_compress)
        assert read(frame) == expected
    assert count < 5 or len(prepared.frame(number, may_compress=True)) < len(expected) * 0.7


@given(
    texts=st.lists(st.text(max_size=300), max_size=60),
    number=st.integers(1, MAX_NUMBER),
    times=st.integers(1, 40),
)
def test_whatever_it_says(texts: list[str], number: int, times: int) -> None:
    reply: Reply = People(tuple(Person(bytes(16), t, t[::-1]) for t in texts * times))
    assert read(prepare(reply).frame(number, may_compress=True)) == encode_body(number, reply)


def test_what_no_client_takes_is_not_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INFLATED_BYTES", 50_000)
    with pytest.raises(LocalProtocolError):
        prepare(crowd(2_000))
    monkeypatch.undo()
    monkeypatch.setattr(limits, "MAX_SERVER_FRAME_BYTES", 5_000)
    with pytest.raises(LocalProtocolError):
        prepare(crowd(2_000)).frame(1, may_compress=True)


def test_other_zstandard_frames_are_refused() -> None:
    reply = crowd(10)
    body = encode_body(0, reply)[2:]
    compressed = zstandard.ZstdCompressor(write_checksum=True).compress(body)
    with pytest.raises(LocalProtocolError):
        PreparedReply(reply, compressed, len(body)).frame(1, may_compress=True)
