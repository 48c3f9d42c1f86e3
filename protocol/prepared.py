# SPDX-License-Identifier: GPL-3.0-or-later
"""A large reply that is encoded and compressed once and given to many, under the number of each request."""

import struct
from typing import Final

import msgspec
import zstandard

from protocol import limits
from protocol.codec import encode_body
from protocol.errors import LocalProtocolError
from protocol.frames import pack_compressed, pack_frame
from protocol.messages.kinds import Reply

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SIZE_IN_4_BYTES: Final = 0x80
_SINGLE_SEGMENT: Final = 0x20
_size: Final = struct.Struct("<I")


class PreparedReply(Reply, frozen=True):
    """Stands for ``reply``; it is no message of its own."""

    reply: Reply
    compressed: bytes
    """The reply as one Zstandard frame."""
    size_bytes: int
    """Of the reply before compression."""

    def frame(self, number: int, *, may_compress: bool) -> bytes:
        """The frame that answers the request with this number. Raises LocalProtocolError when it is too large."""
        if not may_compress:
            return pack_frame(encode_body(number, self.reply))
        envelope = msgspec.msgpack.encode((number, None))[:-1]
        return pack_compressed(_behind(envelope, self.compressed, self.size_bytes))


def prepare(reply: Reply) -> PreparedReply:
    """Encode and compress a reply; takes a while, and may be done in any thread. Raises LocalProtocolError when it is too large."""
    encoded = encode_body(0, reply)[2:]  # without the envelope: an array of two, and the number 0
    if len(encoded) > limits.MAX_INFLATED_BYTES - limits.MAX_SENTENCE_CHARS:
        raise LocalProtocolError(f"a reply of {len(encoded)} bytes is too large")
    return PreparedReply(reply, zstandard.ZstdCompressor().compress(encoded), len(encoded))


def _behind(prefix: bytes, compressed: bytes, size_bytes: int) -> bytes:
    """The Zstandard frame of a few bytes and what another frame holds: RFC 8878 section 3.1.1.

    The bytes become a raw block before the others. What these refer to lies behind them by so and so many bytes, which stays right;
    and as a raw block neither changes tables nor repeated offsets, the first of the others still finds them as at the beginning.
    """
    parameters = zstandard.get_frame_parameters(compressed)
    if parameters.has_checksum or parameters.dict_id:
        raise LocalProtocolError(
            "a frame with a checksum or a dictionary can't be put behind anything"
        )
    single = compressed[4] & _SINGLE_SEGMENT
    window = b"" if single else compressed[5:6]
    blocks = memoryview(compressed)[zstandard.frame_header_size(compressed) :]
    return b"".join(
        (
            _MAGIC,
            bytes((_SIZE_IN_4_BYTES | single,)),
            window,
            _size.pack(len(prefix) + size_bytes),
            (len(prefix) << 3).to_bytes(3, "little"),
            prefix,
            blocks,
        )
    )
