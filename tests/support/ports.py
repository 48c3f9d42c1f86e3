# SPDX-License-Identifier: GPL-3.0-or-later
"""A real port of the server with certificates of its own, and clients that speak TLS to it with blocking sockets."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from protocol import identity, keys
from protocol.ids import DeviceId, UserId
from server.transport.guard import Guard, GuardLimits
from server.transport.link import Link
from server.transport.tcp import Listener
from server.transport.tls import ServerTls
from tests.support.reactors import ReactorThread

T = TypeVar("T")

TIMEOUT_S = 20.0
HOST = "127.0.0.1"


class Certificates:
    """An organisation's authority and what it has issued, in a folder."""

    def __init__(self, folder: Path, now_ms: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.now_ms = now_ms or int(time.time() * 1000)  # OpenSSL compares with the real clock
        key = keys.new_key()
        certificate = identity.new_authority(key, "Test", bytes(15) + b"\1", self.now_ms)
        self._issuer = identity.Issuer(certificate, key)
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(identity.certificate_to_pem(certificate))
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self._folder = folder
        self.issue_server()

    def issue_server(self) -> bytes:
        """Replace the server's certificate and key; returns the certificate (DER)."""
        key = keys.new_key()
        issued = self._issuer.server_certificate(
            keys.public_key(key), ["localhost"], [], serial=bytes(16), now_ms=self.now_ms, days=9
        )
        self.certificate.write_bytes(identity.certificate_to_pem(issued.certificate))
        self.key.write_bytes(keys.key_to_pem(key))
        return issued.certificate

    def issue_device(self) -> tuple[bytes, Path]:
        """A device's certificate (DER), and a file with it and its key."""
        key = keys.new_key()
        issued = self._issuer.device_certificate(
            keys.public_key(key),
            user=UserId(b"u" * 16),
            device=DeviceId(b"d" * 16),
            serial=bytes(15) + b"\2",
            now_ms=self.now_ms,
            days=9,
        )
        path = self._folder / "device.pem"
        path.write_bytes(identity.certificate_to_pem(issued.certificate) + keys.key_to_pem(key))
        return issued.certificate, path

    def server_tls(self) -> ServerTls:
        """What the server makes of these files."""
        return ServerTls(self.certificate, self.key, self.authority)

    def client_context(self) -> ssl.SSLContext:
        """A client that trusts this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority)
        return context


class Recorder:
    """A receiver that notes what it is told, and does what it is asked to."""

    def __init__(self, link: Link, react: Callable[[Recorder, bytes], None]) -> None:
        self.link = link
        self.data = bytearray()
        self.react = react
        self.happened: queue.Queue[str] = queue.Queue()

    def received(self, data: bytes) -> None:
        self.data += data
        self.react(self, data)

    def drained(self) -> None:
        self.happened.put("drained")

    def lost(self, reason: str) -> None:
        self.happened.put(f"lost: {reason}")

    def next(self) -> str:
        """What happened next, waited for."""
        return self.happened.get(timeout=TIMEOUT_S)


def echo(recorder: Recorder, data: bytes) -> None:
    recorder.link.write(data)


class Port:
    """A listener in a reactor's thread; its recorders come out in the order in which they were accepted."""

    def __init__(
        self,
        thread: ReactorThread,
        certificates: Certificates,
        limits: GuardLimits | None = None,
    ) -> None:
        self.certificates = certificates
        self.react: Callable[[Recorder, bytes], None] = echo
        self.recorders: queue.Queue[Recorder] = queue.Queue()
        self._thread = thread
        self.guard = Guard(limits)
        self.tls = certificates.server_tls()
        self.listener = self.call(Listener, thread.reactor, self.tls, self.guard, self._accept)
        (self.address,) = self.call(self.listener.listen, [(HOST, 0)])

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function in the reactor's thread."""
        return self._thread.call(function, *arguments)

    def next_recorder(self) -> Recorder:
        """The receiver of the next connection whose handshake is done."""
        return self.recorders.get(timeout=TIMEOUT_S)

    def plain(self) -> socket.socket:
        """A connection without TLS."""
        return socket.create_connection(self.address, timeout=TIMEOUT_S)

    def client(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection after its handshake."""
        context = context or self.certificates.client_context()
        return context.wrap_socket(self.plain(), server_hostname="localhost")

    @contextlib.contextmanager
    def pair(self) -> Iterator[tuple[ssl.SSLSocket, Recorder]]:
        """A client and its receiver on the server."""
        with self.client() as client:
            yield client, self.next_recorder()

    def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Ask in the reactor's thread until it is so."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self.call(is_true):
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.005)

    def close(self) -> None:
        """End everything."""
        self.call(self.listener.shut_down)

    def _accept(self, link: Link) -> Recorder:
        recorder = Recorder(link, self.react)
        self.recorders.put(recorder)
        return recorder


def receive_exactly(client: socket.socket, size_bytes: int) -> bytes:
    """So many bytes."""
    parts = bytearray()
    while len(parts) < size_bytes:
        part = client.recv(min(65536, size_bytes - len(parts)))
        assert part, f"closed after {len(parts)} of {size_bytes} bytes"
        parts += part
    return bytes(parts)
