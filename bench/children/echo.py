# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that a server can do: `python -m bench.children.echo KEYS PORT_FILE`. The same TLS and frames as Lanyard, and nothing else.

It lets everybody in, answers each post and hands it to the recipient without looking at it: no checks, numbers or disk. What the
real server costs beyond this is what it does.
"""

import os
import select
import socket
import ssl
import sys
from pathlib import Path
from typing import Final

from protocol.codec import decode_from_client, encode_body, encode_content
from protocol.events import RequestReceived
from protocol.frames import HEADER_BYTES, pack_frame
from protocol.ids import UserId
from protocol.messages.chat import Event, Events, Post, Posted
from protocol.messages.content import Text
from protocol.messages.session import Resume, SignedIn, Welcome
from protocol.server_connection import ServerConnection
from server.transport.tls import ServerTls

RECEIVE_BYTES: Final = 64 << 10
EVENTS_PER_TURN: Final = 128
_NUMBER: Final = 1 << 24
_MARK: Final = _NUMBER.to_bytes(4, "big")
_POSTED: Final = pack_frame(encode_body(_NUMBER, Posted(bytes(16), 1, 1 << 20, 1 << 40, 1)))
_EVENT: Final = Event(
    bytes(16), 1, 1 << 20, bytes(16), bytes(16), 1 << 40, 1, encode_content(Text("x" * 100))
)
_EVENTS: Final = pack_frame(encode_body(0, Events((_EVENT,))))
_NUMBER_AT: Final = _POSTED.index(_MARK)
_HEAD, _TAIL = _POSTED[:_NUMBER_AT], _POSTED[_NUMBER_AT + 4 :]


class Guest:
    """One connection."""

    __slots__ = ("connection", "is_shaken", "peer", "rest", "socket", "tls", "unsent")

    def __init__(self, connected: socket.socket, tls: ssl.SSLObject) -> None:
        self.socket = connected
        self.tls = tls
        self.is_shaken = False
        self.connection: ServerConnection | None = ServerConnection(0.0, Welcome)
        self.peer: Guest | None = None
        self.rest = b""
        self.unsent: list[bytes] = []


class Echo:
    """Everybody who is connected."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._door = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._door.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._door, select.EPOLLIN)
        self._guests: dict[int, Guest] = {}
        self._by_user: dict[UserId, Guest] = {}
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._written: list[Guest] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._door.getsockname()[1]
        return port

    def serve(self) -> None:
        """Until the process is ended."""
        while True:
            for descriptor, _ in self._epoll.poll(-1, EVENTS_PER_TURN):
                guest = self._guests.get(descriptor)
                if guest is None:
                    self._admit()
                else:
                    self._receive(guest)
            written, self._written = self._written, []
            for guest in written:
                guest.tls.write(b"".join(guest.unsent))
                guest.unsent.clear()
                self._flush(guest)

    def _admit(self) -> None:
        try:
            connected, _ = self._door.accept()
        except BlockingIOError:
            return
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._guests[connected.fileno()] = Guest(connected, tls)
        self._epoll.register(connected, select.EPOLLIN)

    def _receive(self, guest: Guest) -> None:
        try:
            size = guest.socket.recv_into(self._buffer)
        except OSError:
            size = 0
        if not size:
            del self._guests[guest.socket.fileno()]
            self._epoll.unregister(guest.socket)
            guest.socket.close()
            return
        self._incoming.write(self._view[:size])
        try:
            if not guest.is_shaken:
                guest.tls.do_handshake()
                guest.is_shaken = True
            while self._incoming.pending or guest.tls.pending():
                self._take(guest, guest.tls.read(RECEIVE_BYTES))
        except ssl.SSLWantReadError:
            pass
        self._flush(guest)

    def _take(self, guest: Guest, data: bytes) -> None:
        if guest.connection is not None:
            self._greet(guest, guest.connection, data)
            return
        data = guest.rest + data
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            next_at = at + HEADER_BYTES + int.from_bytes(data[at : at + HEADER_BYTES], "big")
            if next_at > end:
                break
            if guest.peer is None:
                self._introduce(guest, data[at + HEADER_BYTES : next_at])
            self._write(guest, _HEAD + data[at + _NUMBER_AT : at + _NUMBER_AT + 4] + _TAIL)
            if guest.peer is not None:
                self._write(guest.peer, _EVENTS)
            at = next_at
        guest.rest = data[at:]

    def _greet(self, guest: Guest, connection: ServerConnection, data: bytes) -> None:
        for event in connection.receive(data, 0.0):
            if isinstance(event, RequestReceived) and isinstance(event.message, Resume):
                user = event.message.user
                self._by_user[user] = guest
                connection.reply(event.number, SignedIn(user, bytes(16), "guest"))
                guest.connection = None
        self._write(guest, connection.data_to_send())

    def _introduce(self, guest: Guest, body: bytes) -> None:
        """The first post says to whom all of them go."""
        envelope = decode_from_client(body)
        message = getattr(envelope, "message", None)
        if isinstance(message, Post) and message.peer is not None:
            guest.peer = self._by_user.get(message.peer)

    def _write(self, guest: Guest, frame: bytes) -> None:
        if not guest.unsent:
            self._written.append(guest)
        guest.unsent.append(frame)

    def _flush(self, guest: Guest) -> None:
        data = self._outgoing.read()
        if data:
            guest.socket.send(data)


def main() -> None:
    """Serve until terminated."""
    keys, port_file = Path(sys.argv[1]), Path(sys.argv[2])
    tls = ServerTls(keys / "server.crt.pem", keys / "server.key.pem", keys / "authority.crt.pem")
    echo = Echo(tls.context)
    scratch = port_file.with_suffix(f".{os.getpid()}")
    scratch.write_text(str(echo.port), encoding="ascii")
    scratch.rename(port_file)
    echo.serve()


if __name__ == "__main__":
    main()
