# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection, without its socket: bytes in, events out, time passed in.

Theory: a driver (Twisted, asyncio, a blocking loop, a test) calls ``receive`` with what arrived, acts on the events, sends what
``data_to_send`` returns, and calls ``timer_fired`` at ``timer_at`` or later. Times are seconds of any clock that only goes
forward. ``timer_at`` may move to a later time without notice: a driver may let its timer fire early and ask again.
"""

from typing import Final

from protocol import limits
from protocol.codec import encode_body
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from protocol.events import ConnectionEvent, ConnectionFailed, GoodbyeReceived
from protocol.frames import FrameReader, pack_frame
from protocol.messages.kinds import Message
from protocol.messages.session import Goodbye, Ping, Pong
from protocol.states import State, Step, next_state, state_after_sending
from protocol.version import Capability

_PING: Final = pack_frame(encode_body(0, Ping()))
_PONG: Final = pack_frame(encode_body(0, Pong()))


class Connection:
    """What both sides share: frames, states, keepalive, goodbye."""

    def __init__(
        self, now: float, reader: FrameReader, *, keepalive_s: float, dead_peer_s: float
    ) -> None:
        self.state = State.CONNECTED
        self.capabilities: frozenset[str] = frozenset()
        self._reader = reader
        self._outbox: list[bytes] = []
        self._keepalive_s = keepalive_s
        self._dead_peer_s = dead_peer_s
        self._heard_at = now
        self._pinged_at: float | None = None
        self._deadline: float | None = now + limits.GREETING_TIMEOUT_S
        self._unknown_frames = 0

    # What a driver calls

    def receive(self, data: bytes, now: float) -> list[ConnectionEvent]:
        """Take bytes from the transport and say what happened."""
        if self.is_closed():
            return []
        self._heard_at = now
        self._pinged_at = None
        events: list[ConnectionEvent] = []
        try:
            for body in self._reader.feed(data):
                self._take_body(body, now, events)
                if self.is_closed():
                    break
        except RemoteProtocolError as error:
            self._fail(error.code, error.sentence, now, events)
        return events

    def data_to_send(self) -> bytes:
        """What the transport must send now; each byte is returned once."""
        outbox = self._outbox
        if len(outbox) == 1:
            data = outbox[0]
        else:
            data = b"".join(outbox)
        outbox.clear()
        return data

    def timer_at(self) -> float | None:
        """When ``timer_fired`` wants to be called; None once the connection is closed."""
        if self.state is State.CLOSED:
            return None
        if self._pinged_at is not None:
            alive = self._pinged_at + self._dead_peer_s
        else:
            alive = self._heard_at + self._keepalive_s
        return alive if self._deadline is None else min(alive, self._deadline)

    def timer_fired(self, now: float) -> list[ConnectionEvent]:
        """Do what is due: ask a silent peer, give up a dead one. Harmless when called early."""
        events: list[ConnectionEvent] = []
        if self.state is State.CLOSED:
            return events
        if self._deadline is not None and now >= self._deadline:
            self._deadline_passed(now, events)
        elif self._pinged_at is not None:
            if now >= self._pinged_at + self._dead_peer_s:
                self.state = State.CLOSED
                silence_s = now - self._heard_at
                sentence = f"Nothing was heard for {silence_s:.0f} s."
                events.append(ConnectionFailed(ErrorCode.TIMED_OUT, sentence))
        elif now >= self._heard_at + self._keepalive_s and self._is_open:
            self._pinged_at = now
            self._outbox.append(_PING)
        return events

    def say_goodbye(
        self,
        now: float,
        reason: ErrorCode | None = None,
        sentence: str = "",
        reconnect_after_ms: int = 0,
    ) -> None:
        """Close in order. The driver sends what is left and closes the transport; harmless when repeated."""
        if self.state in (State.CLOSING, State.CLOSED):
            return
        goodbye = Goodbye(reason.value if reason else "", sentence, reconnect_after_ms)
        self._send(0, goodbye, Step.GOODBYE)
        self._deadline = now + limits.GOODBYE_TIMEOUT_S

    def lost(self) -> None:
        """The transport is gone."""
        self.state = State.CLOSED

    def is_closed(self) -> bool:
        """Whether nothing is sent or taken any more."""
        return self.state is State.CLOSED

    @property
    def _is_open(self) -> bool:
        return self.state in (State.GREETED, State.SIGNED_IN)

    # Sending

    def _send(self, number: int, message: Message, step: Step) -> None:
        self.state = state_after_sending(self.state, step)
        may_compress = Capability.ZSTD in self.capabilities
        self._outbox.append(pack_frame(encode_body(number, message), may_compress=may_compress))

    # Receiving

    def _take_body(self, body: bytes, now: float, events: list[ConnectionEvent]) -> None:
        raise LocalProtocolError("a connection is a client's or a server's")

    def _deadline_passed(self, now: float, events: list[ConnectionEvent]) -> None:
        if self.state is State.CLOSING:
            self.state = State.CLOSED
            return
        what = "sign-in" if self.state is State.GREETED else "greeting"
        self._fail(ErrorCode.TIMED_OUT, f"The {what} took too long.", now, events)

    def _take_common(self, message: Message, events: list[ConnectionEvent]) -> bool:
        """Deal with keepalives and goodbyes; whether it was one of them. What else comes after our own
        goodbye is passed over: it was sent before the peer knew."""
        if type(message) is Ping:
            if self.state is not State.CLOSING:
                self._check_allowed(Step.KEEPALIVE)
                self._outbox.append(_PONG)
        elif type(message) is Goodbye:
            self.state = State.CLOSED
            events.append(GoodbyeReceived(message))
        elif type(message) is not Pong and self.state is not State.CLOSING:
            return False
        return True

    def _skip_unknown(self) -> None:
        self._unknown_frames += 1
        if self._unknown_frames > limits.MAX_UNKNOWN_FRAMES:
            sentence = "Too many messages of unknown kind."
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence)

    def _check_allowed(self, step: Step) -> State:
        after = next_state(self.state, step)
        if after is None:
            sentence = f"Out of turn: {step.value} while the connection is {self.state.value}."
            raise RemoteProtocolError(ErrorCode.BAD_STATE, sentence)
        return after

    def _fail(
        self, code: ErrorCode, sentence: str, now: float, events: list[ConnectionEvent]
    ) -> None:
        self.say_goodbye(now, code, sentence)
        self.state = State.CLOSED
        events.append(ConnectionFailed(code, sentence))
