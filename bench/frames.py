# SPDX-License-Identifier: GPL-3.0-or-later
"""Posts encoded beforehand, and answers counted without decoding them: so that the load costs less than what it measures.

A post is made once for each connection and then only gets another number and id, at places that are found by encoding one with the
product's own codec. What comes back is told apart by bytes whose places are found in the same way; whatever looks different is
decoded, and counted for what it is.
"""

import struct
from typing import Final

from protocol.codec import Unreadable, decode_from_server, encode_body, encode_content
from protocol.errors import RemoteProtocolError
from protocol.frames import COMPRESSED, HEADER_BYTES, pack_frame
from protocol.ids import ConversationId, UserId
from protocol.messages.chat import Event, Events, Post, Posted
from protocol.messages.content import Text
from protocol.messages.kinds import Error
from protocol.messages.session import Goodbye, Ping, Pong

TEXT_BYTES: Final = 100
FIRST_NUMBER: Final = 1 << 24
"""Request numbers from here on all take five bytes."""
LAST_NUMBER: Final = (1 << 31) - 1
PING: Final = pack_frame(encode_body(0, Ping()))
PONG: Final = pack_frame(encode_body(0, Pong()))

_CONVERSATION: Final = b"C" * 16
_ID: Final = b"I" * 16
_CONTENT: Final = encode_content(Text("x" * TEXT_BYTES))
_SAMPLE: Final = pack_frame(encode_body(FIRST_NUMBER, Post(_CONVERSATION, _ID, _CONTENT)))
_CONVERSATION_AT: Final = _SAMPLE.index(_CONVERSATION)
_NUMBER: Final = struct.Struct(">I")
_ID_PARTS: Final = struct.Struct(">QQ")
_NUMBER_AT: Final = _SAMPLE.index(_NUMBER.pack(FIRST_NUMBER))
_ID_AT: Final = _SAMPLE.index(_ID)
_VERSION_7: Final = 0x7000
_VARIANT: Final = 1 << 63

_POSTED: Final = pack_frame(encode_body(FIRST_NUMBER, Posted(_CONVERSATION, 1, 1, 1, 1)))
_EVENT: Final = Event(_CONVERSATION, 1, 1, _ID, _ID, 1, 1, _CONTENT)
_EVENTS: Final = pack_frame(encode_body(0, Events((_EVENT,))))
NUMBER_AT: Final = HEADER_BYTES + 1
"""Where the number begins, behind the mark of an array of two: 0 is a push."""
POSTED_AT: Final = _POSTED.index(b"posted")
EVENTS_AT: Final = _EVENTS.index(b"events")
COUNT_AT: Final = _EVENTS.index(b"\x91", EVENTS_AT)
"""Where a push says how many events it holds: 0x90 and the number, below 16 (MessagePack's fixarray)."""


def post_frame(conversation: ConversationId) -> bytearray:
    """A connection's own post, to be numbered for each use."""
    frame = bytearray(_SAMPLE)
    frame[_CONVERSATION_AT : _CONVERSATION_AT + 16] = conversation
    return frame


def first_post(conversation: ConversationId, peer: UserId, number: int, id: bytes) -> bytes:
    """A post that begins the conversation if there is none."""
    return pack_frame(encode_body(number, Post(conversation, id, _CONTENT, peer)))


def number_post(frame: bytearray, number: int, now_ms: int) -> None:
    """Make a post a new one: another request number and an id of this moment (UUIDv7)."""
    _NUMBER.pack_into(frame, _NUMBER_AT, number)
    high = now_ms << 16 | _VERSION_7 | number & 0xFFF
    _ID_PARTS.pack_into(frame, _ID_AT, high, _VARIANT | number)


def fresh_id(number: int, now_ms: int) -> bytes:
    """The same id by itself."""
    return _ID_PARTS.pack(now_ms << 16 | _VERSION_7 | number & 0xFFF, _VARIANT | number)


class Count:
    """What came in on all connections of a crowd."""

    __slots__ = ("acks", "events", "others", "pings", "refusals", "sentence")

    def __init__(self) -> None:
        self.acks = 0
        self.events = 0
        """Events that were delivered, whatever number of pushes they came in."""
        self.others = 0
        self.pings = 0
        """Of the server's, which want an answer."""
        self.refusals = 0
        self.sentence = ""
        """Of the last refusal."""

    def take_unusual(self, frame: bytes) -> bool:
        """Count a frame that looked like nothing expected; whether it answers a request."""
        header = int.from_bytes(frame[:HEADER_BYTES], "big")
        if header & COMPRESSED:
            self.others += 1
            return False
        try:
            envelope = decode_from_server(frame[HEADER_BYTES:])
        except RemoteProtocolError as error:
            self._refused(error.sentence)
            return False
        if isinstance(envelope, Unreadable):
            self._refused(envelope.sentence)
            return False
        message = envelope.message
        if isinstance(message, Error):
            self._refused(f"{message.code}: {message.sentence}")
        elif isinstance(message, Goodbye):
            self._refused(f"goodbye: {message.sentence}")
        elif isinstance(message, Posted):
            self.acks += 1
        elif isinstance(message, Events):
            self.events += len(message.events)
        elif isinstance(message, Ping):
            self.pings += 1
        else:
            self.others += 1
        return isinstance(message, (Error, Posted))

    def _refused(self, sentence: str) -> None:
        self.refusals += 1
        self.sentence = sentence
