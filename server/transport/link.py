# SPDX-License-Identifier: GPL-3.0-or-later
"""One TLS connection as a session sees it: bytes that arrive, bytes to send, and its end. Knows no frames and no users.

Theory: a link goes from HANDSHAKE through OPEN and FLUSHING (what was written still has to leave) to LINGERING (we have said
goodbye in TLS and wait for the peer to close, because closing first would destroy what is still on its way) and GONE. What is
written during a turn is encrypted and sent once at its end. When the kernel takes no more, the rest waits encrypted in
``_backlog`` and what is written then waits in the clear until that is gone.

All links share one pair of memory BIOs. Between two calls into OpenSSL both are empty: every call is given all that was received,
and what it makes is taken out at once. This saves some KB for each connection, and the buffers stay in the processor's cache.
"""

import enum
import errno
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, Protocol

from server.transport.poll import READABLE, WRITABLE, Poll

log = logging.getLogger("lanyard.transport")

RECEIVE_BYTES: Final = 64 << 10
"""Taken from one socket in one turn: no single uploader keeps the others waiting."""
SEND_BYTES: Final = 64 << 10
"""Encrypted at once: the shared buffer keeps the largest size that it ever needed."""
_MAX_RECORD_BYTES: Final = 16 << 10
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_PEER_IS_GONE: Final = frozenset(
    {errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH}
)
_BY_PEER: Final = "closed by the peer"
_BY_US: Final = "closed here"
_FAULT: Final = "a fault of the server"


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


# Looked up here, a member costs a third of what it costs in its class; the hot path asks three times.
_HANDSHAKE: Final = Stage.HANDSHAKE
_OPEN: Final = Stage.OPEN
_FLUSHING: Final = Stage.FLUSHING
_LINGERING: Final = Stage.LINGERING
_GONE: Final = Stage.GONE


class Wires:
    """What all links have in common: the poll, and the buffers that stand empty between two calls."""

    def __init__(self, poll: Poll) -> None:
        self.poll = poll
        self.buffer = bytearray(RECEIVE_BYTES)
        self.view = memoryview(self.buffer)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


class Owner(Protocol):
    """Who keeps the books of all links. Must not raise, but for ``opened``."""

    def opened(self, link: "Link") -> Receiver:
        """The handshake is done: who receives?"""

    def not_opened(self, link: "Link", reason: str) -> None:
        """The handshake failed."""

    def signed_in(self, link: "Link") -> None:
        """The session behind the link is signed in."""

    def closing(self, link: "Link") -> None:
        """The link is on its way to its end, if the peer lets it: it wants a deadline."""

    def gone(self, link: "Link") -> None:
        """The socket is closed."""


class Link:
    """One accepted connection. ``received`` and ``lost`` of the receiver are only called from the reactor's loop."""

    __slots__ = (
        "_backlog",
        "_backlog_at",
        "_chunks",
        "_descriptor",
        "_is_paused",
        "_owner",
        "_receiver",
        "_socket",
        "_stash",
        "_tls",
        "_wires",
        "address",
        "is_signed_in",
        "pending_bytes",
        "stage",
    )

    def __init__(
        self,
        wires: Wires,
        connected: socket.socket,
        address: str,
        context: ssl.SSLContext,
        owner: Owner,
    ) -> None:
        """Take over a connected socket. Raises OSError when it can't be polled."""
        self.address = address
        """The peer's IP address."""
        self.stage = Stage.HANDSHAKE
        self.is_signed_in = False
        self.pending_bytes = 0
        """Bytes that the kernel has not taken yet; once encrypted, a little more than was written."""
        self._wires = wires
        self._socket = connected
        self._descriptor = connected.fileno()
        self._owner = owner
        self._receiver: Receiver | None = None
        self._tls = context.wrap_bio(wires.incoming, wires.outgoing, server_side=True)
        self._chunks: list[bytes] = []
        self._backlog = b""
        self._backlog_at = 0
        self._is_paused = False
        self._stash = b""
        wires.poll.add(self._descriptor, self)

    # What a session calls

    def write(self, data: bytes) -> None:
        """Send bytes at the end of this turn, joined with what else is written in it; after ``close`` nothing is sent."""
        if self.stage is not _OPEN:
            return
        chunks = self._chunks
        if not chunks and not self._backlog:
            self._wires.poll.send_later(self)
        chunks.append(data)
        self.pending_bytes += len(data)

    def peer_certificate(self) -> bytes | None:
        """The client's certificate (DER) when it showed one; then the organisation's authority has vouched for it."""
        return self._tls.getpeercert(binary_form=True)

    def signed_in(self) -> None:
        """The session behind this link is signed in: it counts as a user from now on and no more as a stranger."""
        if not self.is_signed_in and self.stage is _OPEN:
            self.is_signed_in = True
            self._owner.signed_in(self)

    def pause(self) -> None:
        """Stop reading; the kernel's buffer and then the peer have to wait."""
        if self.stage is _OPEN and not self._is_paused:
            self._is_paused = True
            self._poll_for_what_we_need()

    def resume(self) -> None:
        """Read again."""
        if self.stage is _OPEN and self._is_paused:
            self._is_paused = False
            self._poll_for_what_we_need()
            self._wires.poll.call_later(self._read_what_waits)

    def close(self, reason: str = _BY_US) -> None:
        """Send what was written, then close in order; ``lost`` follows."""
        if self.stage is _HANDSHAKE:
            self._drop(reason)
        elif self.stage is _OPEN:
            self.stage = _FLUSHING
            if self._backlog:
                self._poll_for_what_we_need()
            elif not self._chunks:
                self._wires.poll.send_later(self)
            self._owner.closing(self)
            self._tell_lost(reason)

    def abort(self, reason: str = _BY_US) -> None:
        """Close at once; what was not sent is lost, and the kernel keeps nothing for a peer that does not read."""
        if self.stage is not _GONE:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            except OSError:
                pass
            self._drop(reason)

    # What the poll calls

    def ready(self, mask: int) -> None:
        """The socket can be read or written, or has failed."""
        stage = self.stage
        if stage is _OPEN and mask == READABLE:
            if not self._is_paused:
                self._receive()
            return
        if mask & ~(READABLE | WRITABLE) and self._is_deaf():
            self._drop("the connection failed")
            return
        if mask & WRITABLE:
            self._send_backlog()
        if mask & ~WRITABLE and not self._is_deaf():
            if stage is _HANDSHAKE:
                poll = self._wires.poll
                if not poll.handshakes_left:  # it stays ready and has its chance in the next turn
                    return
                poll.handshakes_left -= 1
            self._receive()

    def send_written(self) -> None:
        """Encrypt and send what was written in this turn."""
        stage = self.stage
        if self._backlog or (stage is not _OPEN and stage is not _FLUSHING):
            return
        chunks = self._chunks
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self._encrypt_and_send(data)
        if self.stage is _FLUSHING and not self._backlog:
            self._say_goodbye()

    # Receiving

    def _is_deaf(self) -> bool:
        """Whether nothing is to be read now."""
        return self._is_paused or self.stage in (_FLUSHING, _GONE)

    def _receive(self) -> None:
        wires = self._wires
        try:
            size = self._socket.recv_into(wires.buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose_by(error)
            return
        if not size:
            self._drop(_BY_PEER)
        elif self.stage is not _LINGERING:
            self._take(wires.view[:size])

    def _take(self, data: bytes | memoryview) -> None:
        """Let OpenSSL work on what was received, and leave its buffers empty."""
        incoming, outgoing = self._wires.incoming, self._wires.outgoing
        if self._stash:
            incoming.write(self._stash)
            self._stash = b""
        incoming.write(data)
        if self.stage is _OPEN or self._shake_hands():
            self._decrypt()
        if incoming.pending:  # paused, or at its end
            self._stash = incoming.read()
        if outgoing.pending:  # the handshake, or an answer of TLS itself such as a key update
            self._send_what_openssl_says()

    def _decrypt(self) -> None:
        incoming, read, pending = self._wires.incoming, self._tls.read, self._tls.pending
        receiver = self._receiver
        if receiver is None:
            return
        try:
            # An exception for "no more" costs as much as the read: ask only while there is something.
            while incoming.pending or pending():
                data = read(incoming.pending or _MAX_RECORD_BYTES)
                if not data:
                    self.close(_BY_PEER)
                    return
                receiver.received(data)
                if self.stage is not _OPEN or self._is_paused:
                    return
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(f"TLS failed: {error.reason or error}")
        except Exception:
            log.exception("the connection of %s is closed: its receiver failed", self.address)
            self.abort(_FAULT)

    def _read_what_waits(self) -> None:
        """After a pause: go on with what was received before it."""
        if self.stage is _OPEN and not self._is_paused:
            self._take(b"")

    def _shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done now and somebody receives."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except OSError as error:
            reason = getattr(error, "reason", None) or str(error)
            self._owner.not_opened(self, reason)
            self._fail(f"the handshake failed: {reason}")
            return False
        self.stage = _OPEN
        try:
            self._receiver = self._owner.opened(self)
        except Exception:
            log.exception("the connection of %s is closed: no session could be made", self.address)
            self.abort(_FAULT)
            return False
        return True

    # Sending

    def _encrypt_and_send(self, data: bytes) -> None:
        try:
            if len(data) <= SEND_BYTES:
                self._tls.write(data)
                self._send(self._wires.outgoing.read())
                return
            rest = memoryview(data)
            while rest and not self._backlog and self.stage is not _GONE:
                self._tls.write(rest[:SEND_BYTES])
                rest = rest[SEND_BYTES:]
                self._send(self._wires.outgoing.read())
        except ssl.SSLError as error:
            self._wires.outgoing.read()
            self._drop(f"TLS failed: {error.reason or error}")
            return
        if rest and self.stage is not _GONE:
            self._chunks.append(bytes(rest))
            self.pending_bytes += len(rest)

    def _send(self, data: bytes) -> None:
        """Give encrypted bytes to the kernel; what it does not take becomes the backlog."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose_by(error)
            return
        if sent == len(data):
            self.pending_bytes = 0
            return
        self._backlog = data
        self._backlog_at = sent
        self.pending_bytes = len(data) - sent
        self._poll_for_what_we_need()

    def _send_backlog(self) -> None:
        if not self._backlog:
            return
        try:
            sent = self._socket.send(memoryview(self._backlog)[self._backlog_at :])
        except BlockingIOError:
            return
        except OSError as error:
            self._lose_by(error)
            return
        self._backlog_at += sent
        self.pending_bytes -= sent
        if self._backlog_at < len(self._backlog):
            return
        self._backlog = b""
        self.send_written()
        if self._backlog or self.stage > _FLUSHING:
            return
        self._poll_for_what_we_need()
        if self._receiver is not None:
            self._tell(self._receiver.drained)

    def _send_what_openssl_says(self) -> None:
        """Send what TLS itself wants to say; behind a backlog it keeps its place."""
        data = self._wires.outgoing.read()
        if self.stage is _GONE:
            return
        if self._backlog:
            self._backlog = self._backlog[self._backlog_at :] + data
            self._backlog_at = 0
            self.pending_bytes += len(data)
        else:
            waiting_bytes = self.pending_bytes
            self._send(data)
            self.pending_bytes += waiting_bytes

    def _poll_for_what_we_need(self) -> None:
        mask = (0 if self._is_deaf() else READABLE) | (WRITABLE if self._backlog else 0)
        self._wires.poll.change(self._descriptor, mask)

    # The end

    def _say_goodbye(self) -> None:
        """Everything is sent: end TLS and our direction of the connection, and wait for the peer to end its own."""
        try:
            self._tls.unwrap()
        except OSError:
            pass  # the peer's own goodbye has not come yet
        self._linger()

    def _fail(self, reason: str) -> None:
        """TLS is broken: send its alert, so that the other side can say why."""
        is_told = self.stage in (_FLUSHING, _LINGERING)
        self._linger()
        if self.stage is _LINGERING:
            self._owner.closing(self)
            if not is_told:
                self._tell_lost(reason)

    def _linger(self) -> None:
        """Send the last word of TLS and wait for the peer to close: closing first would destroy what is on its way."""
        last_word = self._wires.outgoing.read()
        self.stage = _LINGERING
        self._chunks.clear()
        self.pending_bytes = 0
        try:
            if last_word and not self._backlog:
                self._socket.send(last_word)
            self._backlog = b""
            self._socket.shutdown(socket.SHUT_WR)
            self._poll_for_what_we_need()
        except OSError:
            self._drop(_BY_PEER)

    def _lose_by(self, error: OSError) -> None:
        if error.errno in _PEER_IS_GONE:
            self._drop(_BY_PEER)
        else:
            self._drop(f"the connection failed: {error.strerror or error}")

    def _drop(self, reason: str) -> None:
        """Close the socket."""
        if self.stage is _GONE:
            return
        self.stage = _GONE
        self._chunks.clear()
        self._backlog = self._stash = b""
        self.pending_bytes = 0
        self._wires.poll.remove(self._descriptor)
        self._socket.close()
        self._owner.gone(self)
        self._tell_lost(reason)

    def _tell_lost(self, reason: str) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            lost = receiver.lost
            self._wires.poll.call_later(lambda: self._tell(lambda: lost(reason)))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            log.exception("the connection of %s is closed: its receiver failed", self.address)
            self.abort(_FAULT)
