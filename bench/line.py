# SPDX-License-Identifier: GPL-3.0-or-later
"""One TLS connection of the load: from the connect to a signed-in session by the product's own protocol, then bare bytes."""

import errno
import socket
import ssl
from collections import deque
from typing import Final

from bench.failures import BenchFailed
from bench.frames import post_frame
from bench.premises import Seat
from protocol.client_connection import ClientConnection
from protocol.events import (
    ConnectionFailed,
    GoodbyeReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.ids import UserId, direct_conversation_id
from protocol.messages.session import DeviceInfo, Resume

RECEIVE_BYTES: Final = 128 << 10
CONNECTIONS_PER_SOURCE: Final = 20_000
"""From one loopback address to one port: a little less than there are ports to come from."""


class Wires:
    """What all lines share: buffers that are empty between two calls into OpenSSL, as on the server."""

    def __init__(self) -> None:
        self.buffer = bytearray(RECEIVE_BYTES)
        self.view = memoryview(self.buffer)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


class Line:
    """One person's connection."""

    __slots__ = (
        "connection",
        "conversation",
        "descriptor",
        "due",
        "is_shaken",
        "is_signed_in",
        "peer",
        "post",
        "rest",
        "seat",
        "socket",
        "tls",
        "wires",
    )

    def __init__(
        self,
        wires: Wires,
        context: ssl.SSLContext,
        address: tuple[str, int],
        seat: Seat,
        peer: UserId,
        place: int,
    ) -> None:
        """Begin to connect. ``place``: which of all lines this is."""
        self.wires = wires
        self.seat = seat
        self.peer = peer
        self.conversation = direct_conversation_id(seat.user, peer)
        self.post = post_frame(self.conversation)
        self.due: deque[float] = deque()
        """When each post that waits for its answer was to be sent."""
        self.rest = b""
        """The beginning of a frame that has not come whole."""
        self.is_shaken = False
        self.is_signed_in = False
        self.connection: ClientConnection | None = ClientConnection(0.0, software="bench")
        self.tls = context.wrap_bio(
            wires.incoming, wires.outgoing, server_hostname=address[0], server_side=False
        )
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self.socket.fileno()
        source = place // CONNECTIONS_PER_SOURCE
        if source:
            self.socket.bind((f"127.0.0.{source + 1}", 0))
        code = self.socket.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            raise BenchFailed(f"a connection failed: {errno.errorcode.get(code, code)}")

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, frame: bytes | bytearray) -> None:
        """Encrypt and send. Raises BenchFailed when the server does not read."""
        self.tls.write(frame)
        self._flush()

    def read(self) -> bytes | None:
        """What has arrived in the clear; empty when it is not enough yet, None when the server has closed."""
        wires = self.wires
        try:
            size = self.socket.recv_into(wires.buffer)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        if not size:
            return None
        incoming, tls = wires.incoming, self.tls
        incoming.write(wires.view[:size])
        data = b""
        try:
            while incoming.pending or tls.pending():
                piece = tls.read(RECEIVE_BYTES)
                if not piece:
                    return None
                data = data + piece if data else piece
        except ssl.SSLWantReadError:
            pass
        return data

    def greet(self) -> bool:
        """Go on with handshake and sign-in; whether it is done now. Raises BenchFailed."""
        if not self.is_shaken:
            return self._shake_hands()
        connection, data = self.connection, self.read()
        if data is None or connection is None:
            raise BenchFailed("the server closed a connection before it was signed in")
        for event in connection.receive(data, 0.0):
            if isinstance(event, WelcomeReceived):
                device = DeviceInfo(self.seat.device, "bench")
                connection.request(Resume(self.seat.user, device, self.seat.token), 0.0)
                self.send(connection.data_to_send())
            elif isinstance(event, ReplyReceived):
                self.is_signed_in = True
                self.connection = None
            elif isinstance(event, (RequestFailed, ConnectionFailed)):
                raise BenchFailed(f"the server let nobody in: {event.sentence}")
            elif isinstance(event, GoodbyeReceived):
                raise BenchFailed(f"the server said goodbye: {event.goodbye.sentence}")
        return self.is_signed_in

    def _shake_hands(self) -> bool:
        try:
            size = self.socket.recv_into(self.wires.buffer)
        except BlockingIOError:
            size = -1  # connected just now, and nothing to read yet
        except OSError as error:
            raise BenchFailed(f"a connection failed: {error}") from error
        if not size:
            raise BenchFailed("the server refused a connection")
        if size > 0:
            self.wires.incoming.write(self.wires.view[:size])
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self.is_shaken = True
        if self.connection is not None:
            self.tls.write(self.connection.data_to_send())
        self._flush()
        return False

    def _flush(self) -> None:
        data = self.wires.outgoing.read()
        if not data:
            return
        try:
            taken = self.socket.send(data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            raise BenchFailed(f"the server closed a connection: {error}") from error
        if taken < len(data):
            raise BenchFailed("a socket of the load is full: the server does not read")
