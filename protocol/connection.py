# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection, without its socket: bytes in, events out, time passed in.

Theory: a driver (Twisted, asyncio, a blocking loop, a test) calls ``receive`` with what arrived, acts
on the events, sends what ``data_to_send`` returns, and calls ``timer_fired`` at ``timer_at`` or later.
Times are seconds of any clock that only goes forward. ``timer_at`` may move to a later time at any
call: a driver may let its timer fire early and ask again. To an earlier one it moves only when a
client sends a request, or either side says goodbye. After each call the driver looks at ``is_closed``.
"""

from typing import Final

from protocol import limits
from protocol.codec import encode_body
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from protocol.events import ConnectionEvent, ConnectionFailed, GoodbyeReceived
from protocol.frames import FrameReader, pack_frame
from protocol.messages.kinds import Message
from protocol.messages.session import Goodbye, Ping, Pong
from protocol.states import State, Step, steps_from
from protocol.version import Capability

_PING: Final = pack_frame(encode_body(0, Ping()))
_PONG: Final = pack_frame(encode_body(0, Pong()))


class Connection:
    """What both sides share: frames, states, keepalive, goodbye."""

    def __init__(
        self,
        now: float,
        reader: FrameReader,
        *,
        keepalive_s: float,
        dead_peer_s: float,
        max_sent_bytes: int,
        max_sent_inflated_bytes: int,
    ) -> None:
        self.capabilities: frozenset[str] = frozenset()
        self._reader = reader
        self._outbox: list[bytes] = []
        self._max_sent_bytes = max_sent_bytes
        self._max_sent_inflated_bytes = max_sent_inflated_bytes
        self._may_compress = False
        self._keepalive_s = keepalive_s
        self._dead_peer_s = dead_peer_s
        self._heard_at = now
        self._pinged_at: float | None = None
        self._deadline: float | None = now + limits.GREETING_TIMEOUT_S
        self._unknown_frames = 0
        self._enter(State.CONNECTED)

    # What a driver calls

    def receive(self, data: bytes, now: float) -> list[ConnectionEvent]:
        """Take bytes from the transport and say what happened."""
        events: list[ConnectionEvent] = []
        if not self._steps:  # closed: nothing is allowed any more
            return events
        self._heard_at = now
        self._pinged_at = None
        try:
            for body in self._reader.feed(data):
                self._take_body(body, now, events)
                if not self._steps:
                    break
        except RemoteProtocolError as error:
            self._fail(error.code, error.sentence, now, events)
        return events

    def data_to_send(self) -> bytes:
        """What the transport must send now; each byte is returned once."""
        outbox = self._outbox
        if len(outbox) == 1:
            return outbox.pop()
        data = b"".join(outbox)
        outbox.clear()
        return data

    def timer_at(self) -> float | None:
        """When ``timer_fired`` wants to be called; None once the connection is closed."""
        if not self._is_open:
            return self._deadline
        if self._pinged_at is not None:
            alive = self._pinged_at + self._dead_peer_s
        else:
            alive = self._quiet_since() + self._keepalive_s
        return alive if self._deadline is None else min(alive, self._deadline)

    def timer_fired(self, now: float) -> list[ConnectionEvent]:
        """Do what is due: ask a silent peer, give up a dead one. Harmless when called early."""
        events: list[ConnectionEvent] = []
        if self._deadline is not None and now >= self._deadline:
            self._deadline_passed(now, events)
        elif not self._is_open:
            pass
        elif self._pinged_at is not None:
            if now >= self._pinged_at + self._dead_peer_s:
                self._enter(State.CLOSED)
                silence_s = now - self._heard_at
                sentence = f"Nothing was heard for {silence_s:.0f} s."
                events.append(ConnectionFailed(ErrorCode.TIMED_OUT, sentence))
        elif now >= self._quiet_since() + self._keepalive_s:
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
        """Close in order: the driver goes on until ``is_closed``, which the peer's goodbye or a timer
        brings about, and closes the transport. Harmless when repeated."""
        if Step.GOODBYE not in self._steps or self.state is State.CLOSING:
            return
        goodbye = Goodbye(reason.value if reason else "", sentence, reconnect_after_ms)
        self._send(0, goodbye, Step.GOODBYE)
        self._deadline = now + limits.GOODBYE_TIMEOUT_S

    def lost(self) -> None:
        """The transport is gone."""
        self._enter(State.CLOSED)

    def is_closed(self) -> bool:
        """Whether nothing is sent or taken any more, but for what ``data_to_send`` still holds."""
        return not self._steps

    # States

    def _enter(self, state: State) -> None:
        self.state = state
        # What the path of each frame asks, kept ready: reading an Enum's member costs a call there.
        self._steps = steps_from(state)
        self._is_open = state in (State.GREETED, State.SIGNED_IN)
        self._is_closing = state is State.CLOSING
        if state is State.CLOSED:
            self._deadline = None

    def _advance(self, step: Step) -> None:
        """Go where a step of the peer leads. Raises RemoteProtocolError when it is not allowed."""
        after = self._steps.get(step)
        if after is None:
            sentence = f"Out of turn: {step.value} while the connection is {self.state.value}."
            raise RemoteProtocolError(ErrorCode.BAD_STATE, sentence)
        if after is not self.state:
            self._enter(after)

    # Sending

    def _send(self, number: int, message: Message, step: Step) -> None:
        """Queue a message and go where it leads. Nothing has changed when LocalProtocolError is
        raised: the step is not allowed, or the message fits no frame."""
        after = self._steps.get(step)
        if after is None:
            sentence = f"{step.value} can't be sent while the connection is {self.state.value}"
            raise LocalProtocolError(sentence)
        body = encode_body(number, message)
        frame = pack_frame(
            body,
            may_compress=self._may_compress,
            max_body_bytes=self._max_sent_bytes,
            max_inflated_bytes=self._max_sent_inflated_bytes,
        )
        self._outbox.append(frame)
        if after is not self.state:
            self._enter(after)

    # Receiving

    def _take_body(self, body: bytes, now: float, events: list[ConnectionEvent]) -> None:
        raise LocalProtocolError("a connection is a client's or a server's")

    def _take_common(self, message: Message, events: list[ConnectionEvent]) -> bool:
        """Deal with keepalives and goodbyes; whether it was one of them. What else comes after our
        own goodbye is passed over: it was sent before the peer knew."""
        if type(message) is Goodbye:
            self._enter(State.CLOSED)
            events.append(GoodbyeReceived(message))
        elif self._is_closing:
            pass
        elif type(message) is Ping:
            self._advance(Step.KEEPALIVE)
            self._outbox.append(_PONG)
        elif type(message) is Pong:
            self._advance(Step.KEEPALIVE)
        else:
            return False
        return True

    def _skip_unknown(self) -> None:
        self._unknown_frames += 1
        if self._unknown_frames > limits.MAX_UNKNOWN_FRAMES:
            sentence = "Too many messages of unknown kind."
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence)

    def _agree(self, capabilities: frozenset[str]) -> None:
        self.capabilities = capabilities
        self._may_compress = self._reader.may_inflate = Capability.ZSTD in capabilities

    # Time

    def _quiet_since(self) -> float:
        """From when on the time until a ping is counted."""
        return self._heard_at

    def _deadline_passed(self, now: float, events: list[ConnectionEvent]) -> None:
        if self._is_closing:
            self._enter(State.CLOSED)
            return
        what = "sign-in" if self.state is State.GREETED else "greeting"
        self._fail(ErrorCode.TIMED_OUT, f"The {what} took too long.", now, events)

    def _fail(
        self, code: ErrorCode, sentence: str, now: float, events: list[ConnectionEvent]
    ) -> None:
        self.say_goodbye(now, code, sentence)
        self._enter(State.CLOSED)
        events.append(ConnectionFailed(code, sentence))
