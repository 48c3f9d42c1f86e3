# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket: whoever owns the organisation's folder administers the running server, without a password.

The kernel says who is at the other end (SO_PEERCRED). What is spoken is the protocol of the network port, where signing in by
certificate means: as the operator; or one order (orders.py).
"""

import logging
import os
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure as TwistedFailure

from protocol.codec import encode_body
from protocol.errors import ErrorCode, RemoteProtocolError, RequestRefused
from protocol.events import ConnectionEvent, ConnectionFailed, GoodbyeReceived, RequestReceived
from protocol.frames import FrameReader, pack_frame
from protocol.ids import ID_BYTES
from protocol.limits import MAX_GREETING_FRAME_BYTES
from protocol.messages.admin import Permission
from protocol.messages.kinds import Error, Reply, Request
from protocol.messages.session import (
    Resume,
    SignedIn,
    SignIn,
    SignInByCertificate,
    SignOut,
    Welcome,
)
from protocol.server_connection import ServerConnection
from server.failures import Exit, Failure
from server.orders import Order, OrderAnswer, read_order
from server.services.caller import OPERATOR, Caller

log = logging.getLogger("lanyard.control")

SOCKET_MODE: Final = 0o600
MAX_CONNECTIONS: Final = 16
"""At the same time: commands of one user, and scripts that run several."""
_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred (unix(7)): process, user, group."""


class Control:
    """Takes the operator's connections. Lives as long as the program, also while the rest of the server is rebuilt."""

    def __init__(
        self,
        reactor: Any,  # zope's interfaces say nothing to a type checker
        path: Path,
        *,
        welcome: Callable[[int, tuple[str, ...]], Welcome],
        answer: Callable[[Caller, Request[Reply]], Awaitable[Reply]],
        carry_out: Callable[[Order], Awaitable[OrderAnswer]],
        ended: Callable[[Caller], object] = lambda caller: None,
    ) -> None:
        """``answer`` serves requests as the network port does; ``carry_out`` does what only the operator may want; ``ended`` is
        told of each connection that is over."""
        self.welcome = welcome
        self.answer = answer
        self.carry_out = carry_out
        self.ended = ended
        self.reactor = reactor
        self.links: set[ControlLink] = set()
        self._path = path
        self._port: Any = None

    def start(self) -> None:
        """Listen. The caller holds the folder's lock: a socket that lies there is a leftover. Raises Failure."""
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)  # never open to others, not for a moment
        try:
            port = self.reactor.listenUNIX(str(self._path), _Links(self), mode=SOCKET_MODE)
        except OSError as error:
            raise Failure(f"{self._path} can't be made: {error}.", Exit.CANT_CREATE) from error
        finally:
            os.umask(before)
        self._port = port

    async def stop(self) -> None:
        """Close the socket and every connection on it."""
        port, self._port = self._port, None
        if port is not None:
            closed = port.stopListening()
            if closed is not None:
                await closed
        for link in list(self.links):
            link.close()


class _Links(Factory[Protocol]):
    """Makes the links of one socket."""

    noisy = False

    def __init__(self, control: Control) -> None:
        self._control = control

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """What Twisted calls for a new connection."""
        return ControlLink(self._control)


class ControlLink(Protocol):
    """One connection of the operator."""

    transport: Any

    def __init__(self, control: Control) -> None:
        self._control = control
        self._connection: ServerConnection | None = None
        self._first = FrameReader(
            max_body_bytes=MAX_GREETING_FRAME_BYTES, max_inflated_bytes=MAX_GREETING_FRAME_BYTES
        )
        self._early = b""
        self._timer: Any = None
        self._caller = Caller(
            OPERATOR, secrets.token_bytes(ID_BYTES), secrets.token_bytes(ID_BYTES)
        )
        self._has_order = False

    def close(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        """Let the owner of the folder in, and root; nobody else."""
        handle: socket.socket = self.transport.getHandle()
        credentials = handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, user, _ = _CREDENTIALS.unpack(credentials)
        if user not in (os.geteuid(), 0) or len(self._control.links) >= MAX_CONNECTIONS:
            log.warning("control connection of user %d, process %d, refused", user, process)
            self.close()
            return
        self._control.links.add(self)

    def connectionLost(self, reason: TwistedFailure = connectionDone) -> None:
        """Forget the connection."""
        self._control.links.discard(self)
        self._control.ended(self._caller)
        self._stop_timer()
        if self._connection is not None:
            self._connection.lost()

    def dataReceived(self, data: bytes) -> None:
        """An order, or whatever an ordinary session is made of."""
        if self._connection is not None:
            self._take(self._connection.receive(data, self._now()))
        elif not self._has_order:
            self._take_first(data)

    def _take_first(self, data: bytes) -> None:
        self._early += data
        try:
            body = next(iter(list(self._first.feed(data))), None)
        except RemoteProtocolError:
            self.close()
            return
        if body is None:
            return
        order = read_order(body)
        if order is not None:
            self._has_order = True
            self._later(self._carry_out(order))
            return
        self._connection = ServerConnection(self._now(), self._control.welcome)
        early, self._early = self._early, b""
        self._take(self._connection.receive(early, self._now()))

    async def _carry_out(self, order: Order) -> None:
        answer = await self._or_error(self._control.carry_out(order))
        self._write(pack_frame(encode_body(1, answer)))
        self.transport.loseConnection()

    def _take(self, events: list[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, RequestReceived):
                self._later(self._answer(event.number, event.message))
            elif isinstance(event, GoodbyeReceived | ConnectionFailed):
                self._flush()
                self.transport.loseConnection()
                return
        self._flush()

    async def _answer(self, number: int, request: Request[Reply]) -> None:
        connection = self._connection
        if connection is None:
            return
        if isinstance(request, SignInByCertificate):
            permissions = tuple(permission.value for permission in Permission)
            reply: Reply = SignedIn(
                OPERATOR, self._caller.session, "operator", permissions=permissions
            )
        elif isinstance(request, SignIn | Resume | SignOut):
            reply = Error(ErrorCode.INVALID.value, "Here everybody is the operator.")
        else:
            reply = await self._or_error(self._control.answer(self._caller, request))
        connection.reply(number, reply)
        self._flush()

    async def _or_error(self, answer: Awaitable[Reply]) -> Reply:
        try:
            return await answer
        except RequestRefused as error:
            return Error(error.code.value, error.sentence, error.retry_after_ms)
        except Failure as error:
            return Error(ErrorCode.INVALID.value, error.sentence)

    def _later(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Let it run; what goes wrong in it ends this connection, loudly."""
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: TwistedFailure) -> None:
        error = failure.value
        log.error("a command could not be carried out", exc_info=error)
        self.close()

    def _flush(self) -> None:
        if self._connection is not None:
            self._write(self._connection.data_to_send())
            self._stop_timer()
            at = self._connection.timer_at()
            if at is not None and self in self._control.links:
                delay_s = max(0.0, at - self._now())
                self._timer = self._control.reactor.callLater(delay_s, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        if self._connection is not None:
            self._take(self._connection.timer_fired(self._now()))

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _write(self, data: bytes) -> None:
        if data:
            self.transport.write(data)

    def _now(self) -> float:
        now: float = self._control.reactor.seconds()
        return now
