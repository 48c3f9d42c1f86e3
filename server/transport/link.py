# SPDX-License-Identifier: GPL-3.0-or-later
"""One TLS connection as a session sees it: bytes that arrive, bytes to send, and its end. Knows no frames and no users.

Theory: a link goes from HANDSHAKE through OPEN and FLUSHING (what was written still has to leave) to LINGERING (we have said
goodbye in TLS and wait for the peer to close, because closing first would destroy what is still on its way) and GONE. What is
written during a turn is encrypted and sent once at its end. When the kernel takes no more, the rest waits encrypted in
``_backlog`` and what is written then waits in the clear until that is gone.

All links share one pair of memory BIOs. Between two calls into OpenSSL both are empty: every call is given all that was received,
and what it makes is taken out at once. This saves some KB for each connection, and the buffers stay in the processor's cache.
"""

import logging
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, Protocol

from server.transport.poll import READABLE, WRITABLE
from server.transport.wires import BY_PEER, Receiver, Stage, Wires, reason_of

log = logging.getLogger("lanyard.transport")

SEND_BYTES: Final = 64 << 10
"""Encrypted at once: the shared buffer keeps the largest size that it ever needed."""
CHOKE_BYTES: Final = 8 << 20
"""Unsent bytes above which nothing more is read: who does not take the answers has no more questions answered. Twice what makes
a session give up pushing, so that a slow reader is first left behind, and only one that goes on asking is choked."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BY_US: Final = "closed here"
_FAULT: Final = "a fault of the server"

# Looked up here, a member costs a third of what it costs in its class; the hot path asks three times.
_HANDSHAKE: Final = Stage.HANDSHAKE
_OPEN: Final = Stage.OPEN
_FLUSHING: Final = Stage.FLUSHING
_LINGERING: Final = Stage.LINGERING
_GONE: Final = Stage.GONE


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
        "_is_choked",
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
        self._chunks: list[bytes | memoryview] = []
        self._backlog = b""
        self._backlog_at = 0
        self._is_choked = False
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
        if self.pending_bytes > CHOKE_BYTES and not self._is_choked:
            self._is_choked = True
            self._poll_for_what_we_need()

    def peer_certificate(self) -> bytes | None:
        """The client's certificate (DER) when it showed one; then the organisation's authority has vouched for it."""
        return self._tls.getpeercert(binary_form=True)

    def signed_in(self) -> None:
        """The session behind this link is signed in: it counts as a user from now on and no more as a stranger."""
        if not self.is_signed_in and self.stage is _OPEN:
            self.is_signed_in = True
            self._owner.signed_in(self)

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
            if not self._is_choked:
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
        stage, chunks = self.stage, self._chunks
        if stage is not _OPEN and stage is not _FLUSHING:
            return
        while chunks and not self._backlog:
            if len(chunks) == 1 or len(chunks[0]) > SEND_BYTES:
                data = chunks.pop(0)
            else:
                data = b"".join(chunks)
                chunks.clear()
            self.pending_bytes -= len(data)
            self._encrypt_and_send(data)
        if self._backlog:
            return
        if self.stage is _FLUSHING:
            self._say_goodbye()
        elif self._is_choked and self.stage is _OPEN:
            self._is_choked = False
            self._poll_for_what_we_need()
            self._wires.poll.call_later(self._read_what_waits)

    # Receiving

    def _is_deaf(self) -> bool:
        """Whether nothing is to be read now."""
        stage = self.stage
        return stage is _FLUSHING or stage is _GONE or (self._is_choked and stage is _OPEN)

    def _receive(self) -> None:
        wires = self._wires
        try:
            size = self._socket.recv_into(wires.buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self._drop(reason_of(error))
            return
        if not size:
            self._drop(BY_PEER)
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
        if incoming.pending:  # choked, or at its end
            self._stash = incoming.read()
        if outgoing.pending:  # the handshake, or an answer of TLS itself such as a key update
            self._send_what_openssl_says()

    def _decrypt(self) -> None:
        incoming, read = self._wires.incoming, self._tls.read
        receiver = self._receiver
        if receiver is None:
            return
        try:
            # An exception for "no more" costs as much as the read: ask only while there is something. A record is shorter than
            # what it came in, so only an answer of the full size can have left a part of one behind.
            size = incoming.pending or self._tls.pending()
            while size:
                data = read(size)
                if not data:
                    self.close(BY_PEER)
                    return
                receiver.received(data)
                if self.stage is not _OPEN or self._is_choked:
                    return
                size = incoming.pending or (self._tls.pending() if len(data) == size else 0)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(f"TLS failed: {error.reason or error}")
        except Exception:
            log.exception("the connection of %s is closed: its receiver failed", self.address)
            self.abort(_FAULT)

    def _read_what_waits(self) -> None:
        """No longer choked: go on with what was received before."""
        if self.stage is _OPEN and not self._is_choked:
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

    def _encrypt_and_send(self, data: bytes | memoryview) -> None:
        """Send data until the kernel takes no more; what was not encrypted by then goes back to the front."""
        rest = data
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
        if rest and self.stage is not _GONE:
            self._chunks.insert(0, rest)
            self.pending_bytes += len(rest)

    def _send(self, data: bytes) -> None:
        """Give encrypted bytes to the kernel; what it does not take becomes the backlog."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._drop(reason_of(error))
            return
        if sent != len(data):
            self._backlog = data
            self._backlog_at = sent
            self.pending_bytes += len(data) - sent
            self._poll_for_what_we_need()

    def _send_backlog(self) -> None:
        if not self._backlog:
            return
        try:
            sent = self._socket.send(memoryview(self._backlog)[self._backlog_at :])
        except BlockingIOError:
            return
        except OSError as error:
            self._drop(reason_of(error))
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
            self._send(data)

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
            self._drop(BY_PEER)

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
