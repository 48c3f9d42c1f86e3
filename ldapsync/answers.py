# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory's answers (RFC 4511), taken from the octets that arrive: cut into messages, and understood as far as searches need.

ldap3 makes two dictionaries of text and octets of each entry, and holds whatever arrives. For a hundred thousand
entries that is most of the time of a read, and for one entry of two gigabytes the end of the memory.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from ldapsync.ber import SEQUENCE, Malformed, elements, header, to_number

MAX_ENTRY_BYTES: Final = 64 << 20
"""An entry that is larger is passed over unread, but for its name: a group of 500,000 members takes 50 MB."""
MAX_PASSED_BYTES: Final = 4 << 30
"""An answer that is even larger is not waited for."""
_HEAD_BYTES: Final = 64 << 10
"""What is kept of an entry that is passed over; its DN stands at the beginning."""

ENTRY: Final = 0x64
DONE: Final = 0x65
REFERENCE: Final = 0x73
EXTENDED: Final = 0x78
INTERMEDIATE: Final = 0x79
_CONTROLS: Final = 0xA0
_REFERRAL: Final = 0xA3


@dataclass(slots=True)
class Entry:
    """One entry as it came: attributes by lower-case name, with options such as ``;lang-en``, and their octets."""

    dn: str
    attributes: dict[str, list[bytes]]
    controls: dict[str, bytes] = field(default_factory=dict)
    is_oversized: bool = False
    """Larger than is read at once; its attributes are not here."""


@dataclass(slots=True)
class Done:
    """The end of an answer."""

    code: int
    matched: str = ""
    message: str = ""
    referrals: tuple[str, ...] = ()
    controls: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Reference:
    """That a part of the tree stands elsewhere."""

    urls: tuple[str, ...]


@dataclass(slots=True)
class Intermediate:
    """Something in between, such as how far a synchronisation has come."""

    name: str
    value: bytes


@dataclass(slots=True)
class Notice:
    """The server says that it hangs up."""

    message: str


Answer: TypeAlias = Entry | Done | Reference | Intermediate | Notice


class AnswerStream:
    """Cuts what arrives into messages; holds no more than one entry and what came with it."""

    def __init__(self, max_entry_bytes: int = MAX_ENTRY_BYTES) -> None:
        self._max_entry_bytes = max_entry_bytes
        self._data = bytearray()
        self._passing = 0
        """Octets of an oversized message that are still to come."""

        self._needed = 0
        """Octets without which the next message is not complete."""

    def feed(self, octets: bytes) -> list[tuple[int, Answer]]:
        """Message number and answer for each message that is complete now. Raises Malformed."""
        if self._passing:
            passed = min(self._passing, len(octets))
            self._passing -= passed
            octets = octets[passed:]
        self._data += octets
        if len(self._data) < self._needed:
            return []
        data = bytes(self._data)
        answers = []
        at = 0
        while at < len(data):
            end = self._end_of(data, at)
            if end - at > self._max_entry_bytes and len(data) - at >= _HEAD_BYTES:
                answers.append(oversized(data[at : at + _HEAD_BYTES], end - at))
                self._passing = max(0, end - len(data))
            elif end <= len(data):
                answers.append(understood(data, at))
            else:
                break
            at = end
        self._data = bytearray(data[at:])
        if not self._data:
            self._needed = 0
        return answers

    def _end_of(self, data: bytes, at: int) -> int:
        """Where the message at ``at`` ends; as far as is known, when its header is cut off."""
        try:
            tag, _, end = header(data, at)
        except IndexError:
            tag, end = data[at], len(data) + 1
        if tag != SEQUENCE:
            raise Malformed("this is no LDAP message")
        self._needed = min(end - at, max(self._max_entry_bytes, _HEAD_BYTES))
        return end


def understood(data: bytes, at: int) -> tuple[int, Answer]:
    """Number and meaning of the message at ``at``. Raises Malformed."""
    try:
        _, start, end = header(data, at)
        _, start, stop = header(data, start)
        number = to_number(data[start:stop])
        tag, start, stop = header(data, stop)
        controls = _controls(data, stop, end) if stop < end else {}
        if tag == ENTRY:
            return number, _entry(data, start, stop, controls)
    except (IndexError, UnicodeDecodeError) as error:
        raise Malformed("a message is cut off or not UTF-8") from error
    if tag == DONE:
        return number, _done(data[start:stop], controls)
    if tag == REFERENCE:
        urls = tuple(_text(url) for _, url in elements(data, start, stop))
        return number, Reference(urls)
    if tag == INTERMEDIATE:
        parts = dict(elements(data, start, stop))
        return number, Intermediate(_text(parts.get(0x80, b"")), parts.get(0x81, b""))
    if tag == EXTENDED and number == 0:
        return number, Notice(_done(data[start:stop], {}).message)
    raise Malformed(f"an answer of kind {tag:#x} was not asked for")


def oversized(head: bytes, size: int) -> tuple[int, Answer]:
    """The same for the beginning of a message that is too large; all but an entry's name is left out."""
    if size > MAX_PASSED_BYTES:
        raise Malformed(f"a message of {size} octets is announced")
    try:
        _, start, _ = header(head, 0)
        _, start, stop = header(head, start)
        number = to_number(head[start:stop])
        tag, start, _ = header(head, stop)
        _, start, stop = header(head, start)
    except IndexError as error:
        raise Malformed("a message is cut off") from error
    if tag != ENTRY or stop > len(head):
        raise Malformed(f"a message of {size} octets is no entry")
    return number, Entry(_text(head[start:stop]), {}, is_oversized=True)


def _entry(data: bytes, at: int, end: int, controls: dict[str, bytes]) -> Entry:
    """The hot path: runs once for each entry, its loops for each attribute and value."""
    _, start, stop = header(data, at)
    dn = data[start:stop].decode()
    attributes: dict[str, list[bytes]] = {}
    _, at, end = header(data, stop)
    while at < end:
        _, start, after = header(data, at)
        _, start, stop = header(data, start)
        values: list[bytes] = []
        attributes[_name(data[start:stop])] = values
        _, at, _ = header(data, stop)
        while at < after:
            size = data[at + 1]
            if size < 0x80:
                at += 2
                values.append(data[at : at + size])
                at += size
            else:
                _, start, at = header(data, at)
                values.append(data[start:at])
    if at != end:
        raise Malformed("an entry is cut off")
    return Entry(dn, attributes, controls)


@lru_cache(maxsize=4096)
def _name(octets: bytes) -> str:
    return octets.decode().lower()


def _done(content: bytes, controls: dict[str, bytes]) -> Done:
    (_, code), (_, matched), (_, message), *more = elements(content)
    urls = [url for tag, part in more if tag == _REFERRAL for _, url in elements(part)]
    return Done(to_number(code), _text(matched), _text(message), tuple(map(_text, urls)), controls)


def _controls(data: bytes, at: int, end: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for tag, controls in elements(data, at, end):
        if tag == _CONTROLS:
            for _, control in elements(controls):
                parts = list(elements(control))
                value = parts[-1][1] if len(parts) > 1 and parts[-1][0] == 0x04 else b""
                found[_text(parts[0][1])] = value
    return found


def _text(octets: bytes) -> str:
    """Directories of Microsoft end messages with a NUL."""
    return octets.decode("utf-8", "replace").rstrip("\x00")
