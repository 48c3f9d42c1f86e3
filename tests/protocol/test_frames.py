# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames are cut from a stream however it arrives, and nothing that is sent makes the reader swell."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from protocol.frames import COMPRESSED, HEADER_BYTES, FrameReader, pack_frame
from tests.support.pipes import Split, at_random, byte_by_byte, whole

BODIES = [b"one", b"", os.urandom(300), b"\x00" * 70_000, b"last"]
SPLITS = {
    "whole": whole,
    "byte by byte": byte_by_byte,
    "crumbs": at_random(1, 7),
    "chunks": at_random(2, 200_000),
}
any_split = pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())


def reader(
    *, max_body_bytes: int = 1 << 20, max_inflated_bytes: int = 1 << 20, may_inflate: bool = True
) -> FrameReader:
    made = FrameReader(max_body_bytes=max_body_bytes, max_inflated_bytes=max_inflated_bytes)
    made.may_inflate = may_inflate
    return made


def read(data: bytes, into: FrameReader | None = None, split: Split = whole) -> list[bytes]:
    into = into or reader()
    return [body for piece in split(data) for body in into.feed(piece)]


def refusal(data: bytes, into: FrameReader | None = None) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        read(data, into)
    return caught.value


def compressed_frame(body: bytes) -> bytes:
    return struct.pack(">I", COMPRESSED | len(body)) + body


@any_split
def test_bodies_come_out_as_they_went_in_however_they_are_split(split: Split) -> None:
    stream = b"".join(map(pack_frame, BODIES))
    assert read(stream, split=split) == BODIES


@any_split
def test_a_tail_waits_for_the_rest_of_its_frame(split: Split) -> None:
    stream = b"".join(map(pack_frame, BODIES))
    for tail_bytes in (1, HEADER_BYTES, HEADER_BYTES + 1, 200):
        into = reader()
        following = pack_frame(b"x" * 400)
        assert read(stream + following[:tail_bytes], into, split) == BODIES
        assert read(following[tail_bytes:], into, split) == [b"x" * 400]


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 2**32))
def test_any_split_of_any_bodies(bodies: list[bytes], seed: int) -> None:
    stream = b"".join(map(pack_frame, bodies))
    assert read(stream, split=at_random(seed, 12)) == bodies


def test_a_body_as_long_as_allowed_is_taken_and_one_byte_more_is_not() -> None:
    assert read(pack_frame(b"x" * 100), reader(max_body_bytes=100)) == [b"x" * 100]
    error = refusal(pack_frame(b"x" * 101), reader(max_body_bytes=100))
    assert error.code is ErrorCode.FRAME_TOO_LARGE


def test_an_oversize_frame_is_refused_at_its_header_after_the_bodies_before_it() -> None:
    into = reader(max_body_bytes=100)
    bodies = into.feed(pack_frame(b"before") + b"\x7f\xff\xff\xff")
    assert next(bodies) == b"before"
    with pytest.raises(RemoteProtocolError, match="2147483647"):
        next(bodies)


def test_limits_may_change_between_two_frames_of_one_piece() -> None:
    into = reader(max_body_bytes=100, may_inflate=False)
    large = bytes(range(256)) * 20
    bodies = into.feed(pack_frame(b"agree") + pack_frame(large, may_compress=True))
    assert next(bodies) == b"agree"
    into.max_body_bytes, into.may_inflate = 1 << 20, True
    assert next(bodies) == large


def test_a_slow_frame_costs_no_more_memory_than_its_length() -> None:
    into = reader()
    list(into.feed(struct.pack(">I", 1 << 20)))
    tracemalloc.start()
    try:
        for _ in range(1000):
            assert not list(into.feed(b"y" * 1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20


# Compression


def test_only_large_bodies_are_compressed_and_only_when_that_is_allowed() -> None:
    large, small = b"z" * limits.COMPRESS_FROM_BYTES, b"z" * (limits.COMPRESS_FROM_BYTES - 1)
    assert len(pack_frame(large)) == HEADER_BYTES + len(large)
    assert len(pack_frame(small, may_compress=True)) == HEADER_BYTES + len(small)
    frame = pack_frame(large, may_compress=True)
    assert len(frame) < 100
    for split in SPLITS.values():
        assert read(frame * 3, split=split) == [large] * 3


def test_a_sender_keeps_to_what_the_receiver_takes() -> None:
    with pytest.raises(LocalProtocolError):
        pack_frame(b"x" * 101, max_body_bytes=100)
    with pytest.raises(LocalProtocolError):
        pack_frame(b"x" * 10_000, may_compress=True, max_inflated_bytes=9_999)
    noise = random.Random(1).randbytes(10_000)
    with pytest.raises(LocalProtocolError):
        pack_frame(noise, may_compress=True, max_body_bytes=9_999)
    assert pack_frame(b"x" * 10_000, may_compress=True, max_body_bytes=100)


def test_compression_that_was_not_agreed_on_is_refused() -> None:
    frame = pack_frame(b"z" * 5000, may_compress=True)
    assert refusal(frame, reader(may_inflate=False)).code is ErrorCode.BAD_FRAME


def test_a_bomb_is_refused_by_what_it_says_of_itself_before_memory_is_set_aside() -> None:
    bomb = compressed_frame(zstandard.ZstdCompressor().compress(b"\0" * (64 << 20)))
    assert len(bomb) < 10_000
    tracemalloc.start()
    try:
        assert refusal(bomb).code is ErrorCode.FRAME_TOO_LARGE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_body_may_inflate_exactly_to_the_limit() -> None:
    frame = pack_frame(b"z" * 5000, may_compress=True)
    assert read(frame, reader(max_inflated_bytes=5000)) == [b"z" * 5000]
    assert refusal(frame, reader(max_inflated_bytes=4999)).code is ErrorCode.FRAME_TOO_LARGE


def _resized(size: int) -> bytes:
    """A real Zstandard frame of 5,000 bytes that says it holds another number of them."""
    real = zstandard.ZstdCompressor().compress(b"z" * 5000)
    assert real[4] == 0x60, "one segment, size in two bytes (RFC 8878 section 3.1.1.1)"
    if size < 256:
        return real[:4] + bytes((0x20, size)) + real[7:]
    return real[:5] + (size - 256).to_bytes(2, "little") + real[7:]


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _real: b"",
    "no magic number": lambda real: b"\0" + real[1:],
    "cut short": lambda real: real[:-1],
    "trailing data": lambda real: real + b"\0",
    "two frames": lambda real: real + real,
    "no size stated": lambda _real: zstandard.ZstdCompressor(write_content_size=False).compress(
        b"z" * 5000
    ),
    "more than it says": lambda _real: _resized(4999),
    "much more than it says": lambda _real: _resized(1),
    "less than it says": lambda _real: _resized(5001),
    "much less than it says": lambda _real: _resized(60_000),
    "a skippable frame": lambda _real: b"\x50\x2a\x4d\x18\x04\0\0\0four",
    "a skippable frame before": lambda real: b"\x50\x2a\x4d\x18\x04\0\0\0four" + real,
    "a dictionary we have not": lambda real: real[:4] + b"\x61\x07" + real[5:],
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_or_dishonest_body_is_refused(damage: Callable[[bytes], bytes]) -> None:
    real = zstandard.ZstdCompressor().compress(b"z" * 5000)
    assert refusal(compressed_frame(damage(real))).code is ErrorCode.BAD_FRAME


def test_a_body_that_says_it_is_empty_is_empty_whatever_it_holds() -> None:
    assert read(compressed_frame(_resized(0))) == [b""]


@given(st.binary(max_size=200))
def test_anything_that_claims_to_be_compressed_is_inflated_or_refused(body: bytes) -> None:
    magic = bytes.fromhex("28b52ffd")
    for data in (body, magic + body):
        try:
            (inflated,) = read(compressed_frame(data))
        except RemoteProtocolError:
            continue
        assert len(inflated) <= 1 << 20
