# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: a 4-byte big-endian header and a body. The header's top bit says that the body is one Zstandard frame
(RFC 8878) that states its size; the other 31 bits are the body's length in bytes.
"""

import struct
from collections.abc import Iterator
from typing import Final

import zstandard

from protocol import limits
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError

HEADER_BYTES: Final = 4
COMPRESSED: Final = 1 << 31

_header: Final = struct.Struct(">I")
_COMPRESSION_LEVEL: Final = (
    3  # a third of the size of level 1's output saved costs no more time than the network
)


def pack_frame(body: bytes, *, may_compress: bool = False) -> bytes:
    """The frame around a body, compressed when that is allowed and worth it."""
    flag = 0
    if may_compress and len(body) >= limits.COMPRESS_FROM_BYTES:
        body, flag = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(body), COMPRESSED
    if len(body) > limits.MAX_SERVER_FRAME_BYTES:
        raise LocalProtocolError(f"a body of {len(body)} bytes fits no frame")
    return _header.pack(flag | len(body)) + body


class FrameReader:
    """Cuts a stream of bytes into bodies. Holds at most one unfinished frame."""

    def __init__(self, *, max_body_bytes: int, max_inflated_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_inflated_bytes = max_inflated_bytes
        self.may_inflate = False
        """Whether compressed bodies were agreed on."""
        self._rest = bytearray()
        self._wanted_bytes = HEADER_BYTES

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what arrived and yield the bodies that are whole now; to be iterated to its end.

        Raises RemoteProtocolError for a frame above the limits, after the bodies before it.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted_bytes:
                return
            data = bytes(self._rest)
            self._rest.clear()
        end = 0
        self._wanted_bytes = HEADER_BYTES
        while (start := end + HEADER_BYTES) <= len(data):
            (header,) = _header.unpack_from(data, end)
            size_bytes = header & ~COMPRESSED
            if size_bytes > self.max_body_bytes:
                sentence = f"A frame of {size_bytes} bytes is above {self.max_body_bytes}."
                raise RemoteProtocolError(ErrorCode.FRAME_TOO_LARGE, sentence)
            if start + size_bytes > len(data):
                self._wanted_bytes = HEADER_BYTES + size_bytes
                break
            end = start + size_bytes
            body = data[start:end]
            yield self._inflated(body) if header & COMPRESSED else body
        self._rest += data[end:]

    def _inflated(self, body: bytes) -> bytes:
        if not self.may_inflate:
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, "Compression was not agreed on.")
        try:
            size = zstandard.frame_content_size(body)
            if not 0 <= size <= self.max_inflated_bytes:
                sentence = (
                    f"A body that inflates beyond {self.max_inflated_bytes} bytes is not taken."
                )
                raise RemoteProtocolError(ErrorCode.FRAME_TOO_LARGE, sentence)
            inflated = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
        except zstandard.ZstdError as error:
            sentence = f"The compressed body is damaged: {error}"
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence) from error
        if len(inflated) != size:
            raise RemoteProtocolError(
                ErrorCode.BAD_FRAME, "The compressed body lies about its size."
            )
        return inflated
