# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids have the bits of RFC 9562, and the derived ones are the same for everybody."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import (
    department_conversation_id,
    direct_conversation_id,
    format_id,
    parse_id,
    uuid7,
)

ids = st.binary(min_size=16, max_size=16)
times_ms = st.integers(0, 2**48 - 1)
entropies = st.binary(min_size=10, max_size=10)


@given(times_ms, entropies)
def test_a_message_id_is_a_version_7_uuid_that_holds_its_time(now_ms: int, entropy: bytes) -> None:
    made = uuid.UUID(bytes=uuid7(now_ms, entropy))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == now_ms


@given(times_ms)
def test_all_74_random_bits_are_used(now_ms: int) -> None:
    nothing = int.from_bytes(uuid7(now_ms, b"\x00" * 10), "big")
    everything = int.from_bytes(uuid7(now_ms, b"\xff" * 10), "big")
    assert (nothing ^ everything).bit_count() == 74


@given(times_ms, times_ms, entropies, entropies)
def test_message_ids_sort_by_time(one: int, other: int, salt: bytes, pepper: bytes) -> None:
    if one < other:
        assert uuid7(one, salt) < uuid7(other, pepper)


@pytest.mark.parametrize(
    ("now_ms", "entropy"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9)), (0, bytes(11))]
)
def test_what_does_not_fit_is_refused(now_ms: int, entropy: bytes) -> None:
    with pytest.raises(ValueError, match="a UUIDv7"):
        uuid7(now_ms, entropy)


@given(ids, ids)
def test_a_direct_conversation_has_one_id_from_both_sides(one: bytes, other: bytes) -> None:
    made = direct_conversation_id(one, other)
    assert made == direct_conversation_id(other, one)
    assert uuid.UUID(bytes=made).version == 8
    assert uuid.UUID(bytes=made).variant == uuid.RFC_4122


@given(ids, ids, ids)
def test_different_people_have_different_conversations(a: bytes, b: bytes, c: bytes) -> None:
    if b != c:
        assert direct_conversation_id(a, b) != direct_conversation_id(a, c)
    assert department_conversation_id(a) != direct_conversation_id(a, a)


@given(ids, ids)
def test_derived_ids_are_what_the_specification_says(one: bytes, other: bytes) -> None:
    smaller, larger = sorted((one, other))
    digest = hashlib.sha256(b"lanyard direct conversation\x00" + smaller + larger).digest()
    expected = bytearray(digest[:16])
    expected[6] = expected[6] & 0x0F | 0x80
    expected[8] = expected[8] & 0x3F | 0x80
    assert direct_conversation_id(one, other) == bytes(expected)

    digest = hashlib.sha256(b"lanyard department conversation\x00" + one).digest()
    expected = bytearray(digest[:16])
    expected[6] = expected[6] & 0x0F | 0x80
    expected[8] = expected[8] & 0x3F | 0x80
    assert department_conversation_id(one) == bytes(expected)


@given(ids)
def test_the_text_form_is_read_back(value: bytes) -> None:
    text = format_id(value)
    assert text == str(uuid.UUID(bytes=value))
    for form in (text, text.upper(), text.replace("-", ""), f"  {text}\n"):
        assert parse_id(form) == value


@pytest.mark.parametrize("text", ["", "li.wei", "0" * 31, "0" * 33, "0" * 30 + "zz", "٠" * 32])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        parse_id(text)
