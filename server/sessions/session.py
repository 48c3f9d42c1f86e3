# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection: drives its protocol and its timer, lets somebody in, hands requests to the services and answers back.

Theory: a session is a stranger's until it is signed in, and then one user's until it ends. What the services answer or push goes
through the connection to the wire at once; the wire joins what is written in one turn. A client that reads too slowly gets no
more pushes until it has read what it has, and is then told that it is behind.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, Protocol

from msgspec import Struct

from protocol.errors import ErrorCode, LocalProtocolError, RequestRefused
from protocol.events import (
    ConnectionEvent,
    ConnectionFailed,
    GoodbyeReceived,
    HelloReceived,
    NoteReceived,
    RequestReceived,
)
from protocol.identity import DeviceIdentity, read_certificate
from protocol.ids import DeviceId
from protocol.keys import IdentityError
from protocol.limits import MAX_OUTBOX_BYTES
from protocol.messages.chat import Post
from protocol.messages.kinds import Note, Reply, Request
from protocol.messages.session import (
    Behind,
    ChangePassword,
    Resume,
    SessionEnded,
    SignedIn,
    SignIn,
    SignInByCertificate,
    SignOut,
    Welcome,
)
from protocol.server_connection import ServerConnection
from protocol.states import State
from server.services.auth import Auth, Origin
from server.services.caller import Caller
from server.services.clock import Cancel, Clock
from server.services.doors import Spawn
from server.services.refusals import refusal_of
from server.sessions import log_context
from server.sessions.dispatch import Dispatch
from server.sessions.log_context import LogContext
from server.sessions.online import Online

log = logging.getLogger("lanyard.sessions")

_AT_THE_DOOR: Final = (ChangePassword, SignOut)
"""What somebody may ask whose password must be changed first."""


class Wire(Protocol):
    """What a session needs of the connection below it."""

    @property
    def address(self) -> str:
        """The peer's network address."""

    @property
    def pending_bytes(self) -> int:
        """Written and not taken by the network yet."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def peer_certificate(self) -> bytes | None:
        """The certificate that the client has shown and proven, DER."""

    def signed_in(self) -> None:
        """Somebody signed in; it is no stranger any more."""

    def close(self, reason: str = ...) -> None:
        """Send what was written, then close."""


class Desk(Struct, frozen=True):
    """What all sessions have in common."""

    clock: Clock
    online: Online
    dispatch: Dispatch
    auth: Auth
    spawn: Spawn
    make_welcome: Callable[[int, tuple[str, ...]], Welcome]


class Session:
    """One connection and whoever is behind it."""

    def __init__(self, wire: Wire, desk: Desk, left: Callable[["Session"], object]) -> None:
        """``left`` is called when the connection is gone."""
        self._wire = wire
        self._desk = desk
        self._now = desk.clock.now
        self._post_now = desk.dispatch.post_now
        self._left = left
        now = self._now()
        self._connection = ServerConnection(now, desk.make_welcome)
        self._caller: Caller | None = None
        self.id = b""
        """The session's, once somebody is signed in."""
        self._is_online = False
        self._is_left_behind = False
        self._must_change_password = False
        self._software = ""
        self._context = LogContext(wire.address)
        self._timer: Cancel | None = None
        self._arm(now)

    # What the wire calls

    def received(self, data: bytes) -> None:
        """Bytes came in."""
        token = log_context.current.set(self._context)
        try:
            self._take(self._connection.receive(data, self._now()))
            self._send()
        finally:
            log_context.current.reset(token)

    def drained(self) -> None:
        """The network has taken everything: a client that was behind may catch up."""
        if self._is_left_behind:
            self._is_left_behind = False
            self._connection.push(Behind())
            self._send()

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        self._connection.lost()
        self._depart()
        self._left(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        log.debug("%s: gone: %s", self._context, reason)

    # What the services and the server call

    @property
    def caller(self) -> Caller:
        """Whose session it is. Only for one that was signed in."""
        if self._caller is None:
            raise LocalProtocolError("nobody is signed in here")
        return self._caller

    @property
    def is_behind(self) -> bool:
        """Whether more waits to be read than an outbox may hold."""
        return self._wire.pending_bytes > MAX_OUTBOX_BYTES

    def send_frame(self, frame: bytes) -> None:
        """Send an encoded push, unless the client has too much to read already."""
        if self._is_left_behind or self._must_change_password:
            return
        if self._wire.pending_bytes > MAX_OUTBOX_BYTES:
            self._is_left_behind = True
            log.info("%s: reads too slowly and is left behind", self._context)
            return
        self._connection.send_frame(frame)
        self._send()

    def end(self, reason: ErrorCode, sentence: str) -> None:
        """The session is over: its client must sign in anew."""
        self._connection.push(SessionEnded(reason.value, sentence))
        self.say_goodbye(reason, sentence)

    def say_goodbye(
        self, reason: ErrorCode | None = None, sentence: str = "", reconnect_after_ms: int = 0
    ) -> None:
        """Close the connection in order."""
        self._depart()
        self._connection.say_goodbye(self._now(), reason, sentence, reconnect_after_ms)
        self._send()
        self._wire.close()

    # What the answer to a request calls

    def answer(self, number: int, reply: Reply) -> None:
        """Answer a request."""
        self._connection.reply(number, reply)
        self._send()

    def refuse(self, number: int, error: BaseException) -> None:
        """Say why not. What is nobody's refusal is a fault of the program, and logged as such."""
        refusal = refusal_of(error)
        if refusal is None:
            trace = (type(error), error, error.__traceback__)
            log.error("%s: a request failed", self._context, exc_info=trace)
            refusal = RequestRefused(
                ErrorCode.INTERNAL, "The server made a mistake; it has been logged there."
            )
        self._connection.refuse(number, refusal.code, refusal.sentence, refusal.retry_after_ms)
        self._send()

    def begin(self, number: int, work: Coroutine[Any, Any, Reply]) -> None:
        """Answer a request with what the coroutine returns or raises."""
        self._desk.spawn(self._answer_later(number, work))

    # Events

    def _take(self, events: Iterable[ConnectionEvent]) -> None:
        for event in events:
            if type(event) is RequestReceived:
                self._take_request(event.number, event.message)
            elif type(event) is NoteReceived:
                self._take_note(event.message)
            elif type(event) is HelloReceived:
                self._software = event.hello.software
            elif type(event) is GoodbyeReceived:
                self._depart()
                self._send()
                self._wire.close()
            elif type(event) is ConnectionFailed:
                log.info("%s: ended (%s): %s", self._context, event.code, event.sentence)
                self._depart()
                self._send()
                self._wire.close()

    def _take_request(self, number: int, request: Request[Reply]) -> None:
        caller = self._caller
        try:
            if caller is None:
                self._desk.spawn(self._sign_in(number, request))
            elif self._must_change_password and not isinstance(request, _AT_THE_DOOR):
                raise RequestRefused(
                    ErrorCode.PASSWORD_CHANGE_REQUIRED, "Choose a password of your own first."
                )
            elif type(request) is not Post or not self._post_now(caller, request, number, self):
                self._ask(caller, number, request)
        except Exception as error:  # noqa: BLE001 - a fault in a service costs its request, not the connection
            self.refuse(number, error)

    def _ask(self, caller: Caller, number: int, request: Request[Reply]) -> None:
        answer = self._desk.dispatch.ask(caller, request)
        if isinstance(answer, Reply):
            self.answer(number, answer)
        else:
            self._desk.spawn(self._answer_later(number, answer, request))

    def _take_note(self, note: Note) -> None:
        if self._caller is None or self._must_change_password:
            return
        try:
            self._desk.dispatch.tell(self._caller, note)
        except Exception:
            log.exception("%s: a note failed", self._context)

    async def _answer_later(
        self, number: int, work: Awaitable[Reply], request: Request[Reply] | None = None
    ) -> None:
        try:
            self.answer(number, await work)
        except Exception as error:  # noqa: BLE001 - a fault in a service costs its request, not the connection
            self.refuse(number, error)
            return
        if type(request) is ChangePassword:
            self._must_change_password = False
        elif type(request) is SignOut:
            self.say_goodbye()

    # Who is behind it

    async def _sign_in(self, number: int, request: Request[Reply]) -> None:
        try:
            device, signed_in = await self._let_in(request)
        except Exception as error:  # noqa: BLE001 - a fault in a service costs its request, not the connection
            self.refuse(number, error)
            return
        self.answer(number, signed_in)
        if self._connection.state is not State.SIGNED_IN:
            return  # the connection ended meanwhile
        self._caller = Caller(signed_in.user, signed_in.session, device, self._wire.address)
        self.id = signed_in.session
        self._context = LogContext(self._wire.address, signed_in.session, signed_in.user)
        self._must_change_password = signed_in.must_change_password
        self._wire.signed_in()
        self._is_online = True
        self._desk.online.arrived(self)
        log.debug("%s: signed in", self._context)

    async def _let_in(self, request: Request[Reply]) -> tuple[DeviceId, SignedIn]:
        auth = self._desk.auth
        origin = Origin(self._wire.address, self._software)
        if isinstance(request, SignIn):
            return request.device.id, await auth.sign_in(request, origin)
        if isinstance(request, Resume):
            return request.device.id, await auth.resume(request, origin)
        if isinstance(request, SignInByCertificate):
            device = self._proven_device()
            return device.device, await auth.sign_in_by_certificate(request, device, origin)
        raise RequestRefused(ErrorCode.NOT_SIGNED_IN, "Sign in first.")

    def _proven_device(self) -> DeviceIdentity:
        """Whose certificate TLS has proven. Raises RequestRefused."""
        shown = self._wire.peer_certificate()
        try:
            device = read_certificate(shown) if shown is not None else None
        except IdentityError:
            device = None
        if not isinstance(device, DeviceIdentity):
            raise RequestRefused(
                ErrorCode.WRONG_CREDENTIALS,
                "This device showed no certificate of the organisation; sign in with the password.",
            )
        return device

    def _depart(self) -> None:
        if self._is_online:
            self._is_online = False
            self._desk.online.departed(self)

    # Bytes and time

    def _send(self) -> None:
        data = self._connection.data_to_send()
        if data:
            self._wire.write(data)

    def _arm(self, now: float) -> None:
        """Come back when the connection may want it. That moves on with every byte that comes in: instead of moving the timer
        each time, it is let fire early and set anew."""
        at = self._connection.timer_at()
        if at is not None:
            self._timer = self._desk.clock.call_later(max(0.0, at - now), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        now = self._now()
        self._take(self._connection.timer_fired(now))
        self._send()
        self._arm(now)
