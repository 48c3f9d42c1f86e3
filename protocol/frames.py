# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: a 4-byte big-endian header and a body. The header's top bit says that the body is one
Zstandard frame (RFC 8878) that states its size; the other 31 bits are the body's length in bytes.
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
_pack_header: Final = _header.pack
_read_header: Final = _header.unpack_from
_COMPRESSION_LEVEL: Final = 3
"""Zstandard's own default: higher levels cost more time than a local network saves."""


def pack_frame(
    body: bytes,
    *,
    may_compress: bool = False,
    max_body_bytes: int = limits.MAX_SERVER_FRAME_BYTES,
    max_inflated_bytes: int = limits.MAX_INFLATED_BYTES,
) -> bytes:
    """The frame around a body, compressed when that is allowed and worth it.

    Raises LocalProtocolError when the body is larger than the peer takes.
    """
    size_bytes = len(body)
    flag = 0
    if may_compress and size_bytes >= limits.COMPRESS_FROM_BYTES:
        if size_bytes > max_inflated_bytes:
            raise LocalProtocolError(f"a body of {size_bytes} bytes is above {max_inflated_bytes}")
        body, flag = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(body), COMPRESSED
        size_bytes = len(body)
    if size_bytes > max_body_bytes:
        raise LocalProtocolError(f"a body of {size_bytes} bytes is above {max_body_bytes}")
    return _pack_header(flag | size_bytes) + body


def pack_compressed(compressed: bytes) -> bytes:
    """The frame around a body that is one Zstandard frame already. Raises LocalProtocolError."""
    size_bytes = len(compressed)
    if size_bytes > limits.MAX_SERVER_FRAME_BYTES:
        maximum = limits.MAX_SERVER_FRAME_BYTES
        raise LocalProtocolError(f"a body of {size_bytes} bytes is above {maximum}")
    return _pack_header(COMPRESSED | size_bytes) + compressed


class FrameReader:
    """Cuts a stream of bytes into bodies. Holds at most one unfinished frame.

    The limits are looked up for each frame, so that they may change between two.
    """

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
            self._wanted_bytes = HEADER_BYTES
        end, fed_bytes = 0, len(data)
        while (start := end + HEADER_BYTES) <= fed_bytes:
            (header,) = _read_header(data, end)
            # The flag makes a number above any limit: one comparison passes every short, plain frame.
            is_usual = header <= self.max_body_bytes
            size_bytes = header if is_usual else self._allowed_size(header)
            if start + size_bytes > fed_bytes:
                self._wanted_bytes = HEADER_BYTES + size_bytes
                break
            end = start + size_bytes
            body = data[start:end]
            yield body if is_usual else self._inflated(body)
        if end < fed_bytes:
            self._rest += data[end:]

    def _allowed_size(self, header: int) -> int:
        size_bytes = header & ~COMPRESSED
        if size_bytes > self.max_body_bytes:
            sentence = f"A frame of {size_bytes} bytes is above {self.max_body_bytes}."
            raise RemoteProtocolError(ErrorCode.FRAME_TOO_LARGE, sentence)
        if not self.may_inflate:
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, "Compression was not agreed on.")
        return size_bytes

    def _inflated(self, body: bytes) -> bytes:
        try:
            # -1: not stated. Nothing is set aside for the body before its size has been judged.
            size_bytes = zstandard.frame_content_size(body)
            if size_bytes < 0:
                sentence = "The compressed body does not state its size."
                raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence)
            if size_bytes > self.max_inflated_bytes:
                sentence = f"A body of {size_bytes} bytes is above {self.max_inflated_bytes}."
                raise RemoteProtocolError(ErrorCode.FRAME_TOO_LARGE, sentence)
            inflated = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
        except zstandard.ZstdError as error:
            sentence = f"The compressed body is damaged: {error}"
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence) from error
        if len(inflated) != size_bytes:
            sentence = "The compressed body lies about its size."
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence)
        return inflated
