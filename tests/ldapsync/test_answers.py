# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers out of octets, however these arrive, and nothing but Malformed for what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapsync import ber
from ldapsync.answers import AnswerStream, Done, Entry, Intermediate, Notice, Reference
from ldapsync.ber import Malformed

OCTETS = st.binary(max_size=300)
ATTRIBUTES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(;lang-[a-z]{2})?", fullmatch=True),
    st.lists(OCTETS, max_size=4),
    max_size=5,
)


def octets(content: bytes | str) -> bytes:
    return ber.wrap(ber.OCTETS, content.encode() if isinstance(content, str) else content)


def message(number: int, kind: int, *parts: bytes, controls: bytes = b"") -> bytes:
    return ber.sequence(ber.number(number), ber.wrap(kind, b"".join(parts)), controls)


def entry(number: int, dn: str, attributes: dict[str, list[bytes]]) -> bytes:
    listed = [
        ber.sequence(octets(name), ber.wrap(ber.SET, b"".join(map(octets, values))))
        for name, values in attributes.items()
    ]
    return message(number, 0x64, octets(dn), ber.sequence(*listed))


@given(st.lists(st.tuples(st.text(max_size=20), ATTRIBUTES), max_size=4), st.integers(1, 50))
def test_entries_come_as_they_were_sent(
    sent: list[tuple[str, dict[str, list[bytes]]]], step: int
) -> None:
    data = b"".join(entry(5, dn, attributes) for dn, attributes in sent)
    stream = AnswerStream()
    came = [
        answer for at in range(0, len(data), step) for answer in stream.feed(data[at : at + step])
    ]
    assert came == [(5, Entry(dn, attributes)) for dn, attributes in sent]
    assert AnswerStream().feed(data) == came


@given(st.binary(max_size=200))
def test_anything_is_an_answer_or_malformed(data: bytes) -> None:
    for sent in (data, ber.sequence(data), ber.sequence(ber.number(1), data)):
        try:
            AnswerStream().feed(sent)
        except Malformed:
            continue


def test_all_kinds() -> None:
    done = [
        ber.number(10, ber.ENUMERATED),
        octets("dc=e"),
        octets("elsewhere\0"),
        ber.wrap(0xA3, octets("ldap://a")),
    ]
    control = ber.wrap(0xA0, ber.sequence(octets("1.2.3"), ber.boolean(True), octets(b"value")))
    data = (
        message(1, 0x65, *done, controls=control)
        + message(1, 0x73, octets("ldap://b"))
        + message(1, 0x79, ber.wrap(0x80, b"1.2.3"), ber.wrap(0x81, b"told"))
        + message(0, 0x78, *done[:3])
    )
    assert [answer for _, answer in AnswerStream().feed(data)] == [
        Done(10, "dc=e", "elsewhere", ("ldap://a",), {"1.2.3": b"value"}),
        Reference(("ldap://b",)),
        Intermediate("1.2.3", b"told"),
        Notice("elsewhere"),
    ]


@pytest.mark.parametrize("step", [1 << 10, 1 << 16, 1 << 30])
def test_what_is_too_large_is_passed_over_and_what_follows_is_not(step: int) -> None:
    stream = AnswerStream(max_entry_bytes=100_000)
    data = (
        entry(1, "cn=before", {})
        + entry(1, "cn=large", {"jpegphoto": [bytes(500_000)]})
        + entry(1, "cn=after", {"cn": [b"after"]})
    )
    came = [
        answer
        for at in range(0, len(data), step)
        for _, answer in stream.feed(data[at : at + step])
    ]
    assert came == [
        Entry("cn=before", {}),
        Entry("cn=large", {}, is_oversized=True),
        Entry("cn=after", {"cn": [b"after"]}),
    ]


def test_sizes_that_nobody_sends() -> None:
    stream = AnswerStream(max_entry_bytes=100_000)
    for announced in (b"\x30\x88" + b"\x7f" * 8, b"\x30\x80", b"\x30\xff"):
        with pytest.raises(Malformed):
            stream.feed(announced + ber.number(1) + b"\x64" + bytes(100_000))


def test_numbers() -> None:
    for value in (0, 1, 127, 128, 255, 256, 1 << 31, -1, -129):
        ((tag, content),) = ber.elements(ber.number(value))
        assert (tag, ber.to_number(content)) == (ber.INTEGER, value)
