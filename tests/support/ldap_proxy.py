# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy in front of a directory that cuts or stops the line after so many octets of answers; and a server that says what it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from ldap3 import Server

from ldapsync import ber


class Proxy:
    """Passes on what both sides say, until the server has said ``octets`` on a connection; then cuts it, or falls silent."""

    def __init__(self, port: int, octets: int, *, is_cut: bool) -> None:
        self._target = port
        self._octets = octets
        self._is_cut = is_cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> Proxy:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for line in self._open:
            _close(line)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _close(client)
                continue
            self._open.append(server)
            for source, target, limit in (
                (client, server, None),
                (server, client, self._octets),
            ):
                thread = threading.Thread(target=self._pass, args=(source, target, limit))
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while octets := source.recv(4096):
                passed += len(octets)
                if limit is not None and passed > limit:
                    if self._is_cut:
                        break
                    continue
                target.sendall(octets)
        if limit is None or self._is_cut:
            _close(source)
            _close(target)


class Speaker:
    """A server that answers each message with what ``reply`` makes of the message's number."""

    def __init__(self, reply: Callable[[int], bytes]) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Speaker:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    number = 0
                    while client.recv(65536):
                        number += 1
                        client.sendall(self._reply(number))


def answer_to_last(kind: int, code: int, before: bytes = b"") -> bytes:
    """An answer to the message that was sent last, ``before`` being an entry that comes first; ldap3 counts messages over all
    connections of a process.
    """
    number = ber.number(Server._message_counter)
    result = ber.number(code, ber.ENUMERATED) + ber.wrap(ber.OCTETS, b"") * 2
    entry = ber.sequence(number, ber.wrap(0x64, before)) if before else b""
    return entry + ber.sequence(number, ber.wrap(kind, result))


def _close(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
