# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around a link: the stages of its life, the receiver behind it, and what it shares with all the others."""

import enum
import errno
import ssl
from typing import Final, Protocol

from server.transport.poll import Poll

RECEIVE_BYTES: Final = 64 << 10
"""Taken from one socket in one turn: no single uploader keeps the others waiting."""
BY_PEER: Final = "closed by the peer"
_PEER_IS_GONE: Final = frozenset(
    {errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH}
)


class Receiver(Protocol):
    """What stands behind a link. What it raises closes its link and nobody else's."""

    def received(self, data: bytes) -> None:
        """Bytes came in."""

    def drained(self) -> None:
        """The kernel has taken everything after it had refused to for a while."""

    def lost(self, reason: str) -> None:
        """The connection is gone; called once, never from inside a call to the link."""


class Stage(enum.IntEnum):
    """How far a link has come; it only ever goes down this list."""

    HANDSHAKE = 0
    OPEN = 1
    FLUSHING = 2
    LINGERING = 3
    GONE = 4


class Wires:
    """What all links have in common: the poll, and the buffers that stand empty between two calls."""

    def __init__(self, poll: Poll) -> None:
        self.poll = poll
        self.buffer = bytearray(RECEIVE_BYTES)
        self.view = memoryview(self.buffer)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


def reason_of(error: OSError) -> str:
    """Why a connection ended, for the log."""
    if error.errno in _PEER_IS_GONE:
        return BY_PEER
    return f"the connection failed: {error.strerror or error}"
