# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of the control socket: a blocking driver of the protocol for commands. No Twisted and no rules in here."""

import errno
import secrets
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from protocol.client_connection import ClientConnection
from protocol.codec import encode_body
from protocol.errors import ErrorCode, RemoteProtocolError, RequestRefused
from protocol.events import (
    ConnectionEvent,
    ConnectionFailed,
    GoodbyeReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.frames import FrameReader, pack_frame
from protocol.ids import ID_BYTES
from protocol.limits import MAX_FRAME_BYTES
from protocol.messages.kinds import Error, ReplyT_co, Request
from protocol.messages.session import DeviceInfo, SignInByCertificate
from server.failures import Exit, Failure
from server.orders import Order, OrderAnswer, read_answer

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 600.0
"""For one request: thousands of changes with passwords to hash take minutes."""
_READ_BYTES: Final = 256 << 10


class NoServer(Failure):
    """No server runs on the folder, or it does not answer."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Exit.UNAVAILABLE)


class OperatorLine:
    """A session of the operator with the running server. Use it in a ``with`` statement."""

    def __init__(self, path: Path, software: str) -> None:
        """Connect and sign in. Raises NoServer, Failure."""
        self._socket = _connected(path)
        self._connection = ClientConnection(
            time.monotonic(), software=software, request_timeout_s=ANSWER_TIMEOUT_S
        )
        device = DeviceInfo(secrets.token_bytes(ID_BYTES), "lanyard-server", "cli")
        try:
            self._wait_for_welcome()
            self.ask(SignInByCertificate(device))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._connection.say_goodbye(time.monotonic())
        try:
            self._socket.sendall(self._connection.data_to_send())
        except OSError:
            pass
        self._socket.close()

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer to a request. Raises RequestRefused, NoServer when the server goes away meanwhile."""
        number = self._connection.request(request, time.monotonic())
        while True:
            for event in self._next_events():
                if isinstance(event, ReplyReceived) and event.number == number:
                    return event.message  # type: ignore[return-value]  # a reply to this request
                if isinstance(event, RequestFailed) and event.number == number:
                    raise RequestRefused(
                        event.code, event.sentence, retry_after_ms=event.retry_after_ms
                    )

    def _wait_for_welcome(self) -> None:
        while not any(isinstance(event, WelcomeReceived) for event in self._next_events()):
            pass

    def _next_events(self) -> list[ConnectionEvent]:
        """Send what is due, wait for bytes or the timer. Raises NoServer when there is nothing to wait for any more."""
        connection = self._connection
        try:
            self._socket.sendall(connection.data_to_send())
            at = connection.timer_at()
            if at is None:
                raise NoServer("The server closed the connection.")
            self._socket.settimeout(max(0.01, at - time.monotonic()))
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            events = connection.timer_fired(time.monotonic())
        except OSError as error:
            raise NoServer(f"The server went away: {error.strerror}.") from error
        else:
            if not data:
                raise NoServer("The server went away before it answered.")
            events = connection.receive(data, time.monotonic())
        for event in events:
            if isinstance(event, ConnectionFailed):
                raise NoServer(f"The connection to the server failed: {event.sentence}")
            if isinstance(event, GoodbyeReceived):
                raise NoServer(f"The server hung up. {event.goodbye.sentence}")
        return events


def give_order(path: Path, order: Order) -> OrderAnswer:
    """Give the running server an order and wait until it is carried out. Raises NoServer, RequestRefused."""
    reader = FrameReader(max_body_bytes=MAX_FRAME_BYTES, max_inflated_bytes=MAX_FRAME_BYTES)
    with _connected(path) as link:
        link.settimeout(ANSWER_TIMEOUT_S)
        try:
            link.sendall(pack_frame(encode_body(1, order)))
            while data := link.recv(_READ_BYTES):
                for body in reader.feed(data):
                    answer = read_answer(body)
                    if isinstance(answer, Error):
                        raise RequestRefused(ErrorCode.parse(answer.code), answer.sentence)
                    return answer
        except OSError as error:
            raise NoServer(f"The server went away: {error}.") from error
        except (RemoteProtocolError, msgspec.MsgspecError) as error:
            raise NoServer(f"The server's answer can't be read: {error}") from error
    raise NoServer("The server went away before it answered; its log says why.")


def _connected(path: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(CONNECT_TIMEOUT_S)
    try:
        link.connect(str(path))
    except OSError as error:
        link.close()
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            raise NoServer("No server runs on this folder.") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            sentence = f"{path} may not be used by this user; run the command as the server's user."
            raise Failure(sentence, Exit.NO_RIGHTS) from error
        raise NoServer(f"{path} does not answer: {error}.") from error
    return link
