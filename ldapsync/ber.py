# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of BER (X.690) that LDAP uses, for controls that ldap3 does not know and for answers that are read in bulk."""

from collections.abc import Iterator
from typing import Final

INTEGER: Final = 0x02
OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31
BOOLEAN: Final = 0x01


class Malformed(ValueError):
    """These octets are not what they should be."""


def wrap(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """A sequence of elements."""
    return wrap(SEQUENCE, b"".join(parts))


def number(value: int, tag: int = INTEGER) -> bytes:
    """An integer or, with ENUMERATED, a choice."""
    return wrap(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool) -> bytes:
    """True or false."""
    return wrap(BOOLEAN, b"\xff" if value else b"\x00")


def header(data: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """Tag, begin and end of the content of the element at ``at``. Raises IndexError when the header is cut off."""
    tag = data[at]
    size = data[at + 1]
    at += 2
    if size > 0x7F:
        octets = size & 0x7F
        if not 0 < octets <= 8:
            raise Malformed("a length is indefinite or absurd")
        if len(data) < at + octets:
            raise IndexError
        size = int.from_bytes(data[at : at + octets], "big")
        at += octets
    return tag, at, at + size


def elements(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element that stands between ``at`` and ``end``. Raises Malformed."""
    end = len(data) if end is None else end
    while at < end:
        try:
            tag, start, stop = header(data, at)
        except IndexError as error:
            raise Malformed("an element is cut off") from error
        if stop > end:
            raise Malformed("an element reaches beyond what holds it")
        yield tag, data[start:stop]
        at = stop


def to_number(content: bytes) -> int:
    """The value of an integer's or a choice's content."""
    return int.from_bytes(content, "big", signed=True)
