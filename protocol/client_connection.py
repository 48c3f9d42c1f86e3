# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of a connection: it greets, asks, and is told."""

from collections.abc import Iterable

from protocol import limits
from protocol.codec import MAX_NUMBER, REPLIES, Unreadable, decode_from_server
from protocol.connection import Connection
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from protocol.events import (
    ConnectionEvent,
    PushReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.frames import FrameReader
from protocol.messages.kinds import Error, Message, Note, Push, Reply, ReplyT_co, Request
from protocol.messages.session import Hello, SignedIn, Welcome
from protocol.states import Step, step_of
from protocol.version import OLDEST_VERSION, OUR_CAPABILITIES, VERSION


class ClientConnection(Connection):
    """The client's side of a connection. The greeting is sent by itself.

    Requests that wait for an answer when the connection ends are not reported one by one: the driver
    fails them all.
    """

    def __init__(
        self,
        now: float,
        *,
        software: str = "",
        capabilities: Iterable[str] = OUR_CAPABILITIES,
        keepalive_s: float = limits.KEEPALIVE_INTERVAL_S,
        dead_peer_s: float = limits.DEAD_PEER_S,
        request_timeout_s: float = limits.REQUEST_TIMEOUT_S,
    ) -> None:
        reader = FrameReader(
            max_body_bytes=limits.MAX_SERVER_FRAME_BYTES,
            max_inflated_bytes=limits.MAX_INFLATED_BYTES,
        )
        super().__init__(
            now,
            reader,
            keepalive_s=keepalive_s,
            dead_peer_s=dead_peer_s,
            max_sent_bytes=limits.MAX_GREETING_FRAME_BYTES,
            max_sent_inflated_bytes=limits.MAX_GREETING_FRAME_BYTES,
        )
        self._request_timeout_s = request_timeout_s
        self._spoke_at = now
        self._next_number = 1
        self._pending: dict[int, tuple[Request[Reply], float]] = {}  # in order of their deadlines
        self._given_up: set[int] = set()  # the server still counts these as waiting for its answer
        self._offered = tuple(capabilities)
        hello = Hello(OLDEST_VERSION, VERSION, self._offered, software)
        self._send(0, hello, Step.HELLO)

    @property
    def can_request(self) -> bool:
        """Whether one more request may be sent now."""
        return self._is_open and self._in_flight_count < limits.MAX_REQUESTS_IN_FLIGHT

    def request(self, message: Request[ReplyT_co], now: float) -> int:
        """Ask; the answer is a ReplyReceived or RequestFailed with the number that is returned here.

        Raises LocalProtocolError when too many requests are waiting, when this one is not allowed
        now, or when it fits no frame.
        """
        if self._in_flight_count >= limits.MAX_REQUESTS_IN_FLIGHT:
            raise LocalProtocolError("too many requests are waiting for an answer")
        number = self._free_number()
        self._send(number, message, step_of(type(message)))
        self._pending[number] = (message, now + self._request_timeout_s)
        self._spoke_at = now
        return number

    def note(self, message: Note) -> None:
        """Tell the server something that needs no answer."""
        self._send(0, message, Step.REGULAR)

    def timer_at(self) -> float | None:
        """As for both sides; also when the oldest request is given up."""
        at = super().timer_at()
        if at is not None and self._pending:
            (_, deadline) = next(iter(self._pending.values()))
            return min(at, deadline)
        return at

    def timer_fired(self, now: float) -> list[ConnectionEvent]:
        """As for both sides; also give up requests without an answer."""
        if self.is_closed():
            return []
        events = super().timer_fired(now)
        if self._pinged_at == now:
            self._spoke_at = now
        due = [number for number, (_, deadline) in self._pending.items() if deadline <= now]
        for number in due:
            request, _ = self._pending.pop(number)
            self._given_up.add(number)
            sentence = f"No answer came within {self._request_timeout_s:.0f} s."
            events.append(RequestFailed(number, request, ErrorCode.TIMED_OUT, sentence))
        if self._is_open and len(self._given_up) >= limits.MAX_REQUESTS_IN_FLIGHT:
            self._fail(ErrorCode.TIMED_OUT, "The server answers no requests.", now, events)
        return events

    def _quiet_since(self) -> float:
        # A client that only listens, to a long answer on a slow line for example, would be taken for
        # dead by a server whose own ping waits behind that answer.
        return min(self._heard_at, self._spoke_at)

    @property
    def _in_flight_count(self) -> int:
        return len(self._pending) + len(self._given_up)

    def _free_number(self) -> int:
        number = self._next_number
        # Bounded: at most MAX_REQUESTS_IN_FLIGHT are in use.
        while number in self._pending or number in self._given_up:
            number = number % MAX_NUMBER + 1
        self._next_number = number % MAX_NUMBER + 1
        return number

    def _take_body(self, body: bytes, now: float, events: list[ConnectionEvent]) -> None:
        envelope = decode_from_server(body)
        if type(envelope) is Unreadable:
            self._take_unreadable(envelope, events)
            return
        self._unknown_frames = 0
        number, message = envelope.number, envelope.message
        if number:
            self._take_reply(number, message, events)
        elif self._take_common(message, events):
            return
        elif isinstance(message, Push):
            self._advance(Step.REGULAR)
            events.append(PushReceived(message))
        elif type(message) is Welcome:
            self._take_welcome(message, now, events)
        else:
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, "An answer needs a number above 0.")

    def _take_reply(self, number: int, message: Message, events: list[ConnectionEvent]) -> None:
        if not isinstance(message, Reply):
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, "Only an answer has a number.")
        self._given_up.discard(number)
        found = self._pending.pop(number, None)
        if found is None:
            return  # answered after we had given it up
        request, _ = found
        if type(message) is Error:
            code = ErrorCode.parse(message.code)
            events.append(
                RequestFailed(number, request, code, message.sentence, message.retry_after_ms)
            )
            return
        if not isinstance(message, REPLIES[type(request)]):
            sentence = f"{type(message).__name__} is no answer to {type(request).__name__}."
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence)
        if type(message) is SignedIn and not self._is_closing:
            self._advance(Step.SIGNED_IN)
            self._deadline = None
            self._max_sent_bytes = limits.MAX_FRAME_BYTES
            self._max_sent_inflated_bytes = limits.MAX_CLIENT_INFLATED_BYTES
        events.append(ReplyReceived(number, request, message))

    def _take_unreadable(self, found: Unreadable, events: list[ConnectionEvent]) -> None:
        self._given_up.discard(found.number)
        pending = self._pending.pop(found.number, None)
        if pending is not None:
            request, _ = pending
            failed = RequestFailed(found.number, request, ErrorCode.INTERNAL, found.sentence)
            events.append(failed)
        elif self._is_closing or found.number:
            return
        elif found.code is ErrorCode.UNKNOWN_KIND:
            self._skip_unknown()
        else:
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, found.sentence)

    def _take_welcome(self, welcome: Welcome, now: float, events: list[ConnectionEvent]) -> None:
        self._advance(Step.WELCOME)
        if not OLDEST_VERSION <= welcome.version <= VERSION:
            sentence = f"The server chose version {welcome.version}, which was not offered."
            raise RemoteProtocolError(ErrorCode.VERSION_UNSUPPORTED, sentence)
        self._agree(frozenset(welcome.capabilities).intersection(self._offered))
        self._deadline = now + limits.SIGN_IN_TIMEOUT_S
        events.append(WelcomeReceived(welcome))
