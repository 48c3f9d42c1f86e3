# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of a connection: it welcomes, answers requests and pushes."""

from collections.abc import Callable, Iterable
from typing import Final

from protocol import limits
from protocol.codec import MAX_NUMBER, Unreadable, decode_from_client, encode_body
from protocol.connection import Connection
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from protocol.events import ConnectionEvent, HelloReceived, NoteReceived, RequestReceived
from protocol.frames import FrameReader, pack_frame
from protocol.messages.kinds import Error, Message, Note, Push, Reply, Request
from protocol.messages.session import Hello, SignedIn, Welcome
from protocol.prepared import PreparedReply
from protocol.states import State, Step, step_of
from protocol.version import OLDEST_VERSION, OUR_CAPABILITIES, VERSION, agree_on_version

# In Python 3.11 reading a member from its Enum costs a call; these are asked for each frame.
_SIGN_IN: Final = Step.SIGN_IN
_REGULAR: Final = Step.REGULAR
_GREETED: Final = State.GREETED
_SIGNED_IN: Final = State.SIGNED_IN


def push_frame(message: Push) -> bytes:
    """A push as a frame: encoded once, sent to many with ``ServerConnection.send_frame``."""
    return pack_frame(encode_body(0, message))


class ServerConnection(Connection):
    """The server's side of a connection."""

    def __init__(
        self,
        now: float,
        make_welcome: Callable[[int, tuple[str, ...]], Welcome],
        *,
        capabilities: Iterable[str] = OUR_CAPABILITIES,
        keepalive_s: float = limits.SERVER_KEEPALIVE_INTERVAL_S,
        dead_peer_s: float = limits.DEAD_PEER_S,
    ) -> None:
        reader = FrameReader(
            max_body_bytes=limits.MAX_GREETING_FRAME_BYTES,
            max_inflated_bytes=limits.MAX_GREETING_FRAME_BYTES,
        )
        super().__init__(
            now,
            reader,
            keepalive_s=keepalive_s,
            dead_peer_s=dead_peer_s,
            max_sent_bytes=limits.MAX_SERVER_FRAME_BYTES,
            max_sent_inflated_bytes=limits.MAX_INFLATED_BYTES,
        )
        self._make_welcome = make_welcome
        self._offered = tuple(capabilities)
        self._unanswered: set[int] = set()
        self._sign_in_number = 0  # of the request to sign in that is being answered; 0: none

    @property
    def unanswered_count(self) -> int:
        """Requests that wait for their answer."""
        return len(self._unanswered)

    def reply(self, number: int, message: Reply) -> None:
        """Answer a request. SignedIn opens the session. Answers after the end are dropped.

        Raises LocalProtocolError when nobody asked, or when the answer fits no frame; the request
        then still waits, and may be refused.
        """
        if self._is_closing or not self._steps:
            return
        if number not in self._unanswered:
            raise LocalProtocolError(f"request {number} is not waiting for an answer")
        if type(message) is PreparedReply:
            self._outbox.append(message.frame(number, may_compress=self._may_compress))
        else:
            self._send(number, message, step_of(type(message)))
        self._unanswered.discard(number)
        if number == self._sign_in_number:
            self._sign_in_answered(message)

    def refuse(
        self, number: int, code: ErrorCode, sentence: str = "", retry_after_ms: int = 0
    ) -> None:
        """Answer a request with an error."""
        self.reply(number, Error(code.value, sentence, retry_after_ms))

    def push(self, message: Push) -> None:
        """Tell the client something; dropped unless it is signed in."""
        if self.state is _SIGNED_IN:
            self._send(0, message, _REGULAR)

    def send_frame(self, frame: bytes) -> None:
        """The same for a push encoded beforehand with ``push_frame``."""
        if self.state is _SIGNED_IN:
            self._outbox.append(frame)

    def _sign_in_answered(self, answer: Message) -> None:
        self._sign_in_number = 0
        if type(answer) is SignedIn:
            self._deadline = None
            self._reader.max_body_bytes = limits.MAX_FRAME_BYTES
            self._reader.max_inflated_bytes = limits.MAX_CLIENT_INFLATED_BYTES

    def _take_body(self, body: bytes, now: float, events: list[ConnectionEvent]) -> None:
        envelope = decode_from_client(body)
        if type(envelope) is Unreadable:
            self._take_unreadable(envelope)
            return
        self._unknown_frames = 0
        number, message = envelope.number, envelope.message
        if number and not self._is_closing:
            self._take_request(number, message, events)
        elif self._take_common(message, events):
            return
        elif isinstance(message, Note):
            self._advance(Step.REGULAR)
            events.append(NoteReceived(message))
        elif type(message) is Hello:
            self._take_hello(message, now, events)
        else:
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, "A request needs a number above 0.")

    def _take_request(self, number: int, message: Message, events: list[ConnectionEvent]) -> None:
        if not isinstance(message, Request):
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, "Only a request has a number.")
        self._admit(number)
        step = step_of(type(message))
        if step is _SIGN_IN and self._sign_in_number:
            self.refuse(number, ErrorCode.SLOW_DOWN, "The sign-in before this is not over.")
        elif step is not _SIGN_IN and self.state is _GREETED:
            self.refuse(number, ErrorCode.NOT_SIGNED_IN, "Sign in first.")
        else:
            self._advance(step)
            if step is _SIGN_IN:
                self._sign_in_number = number
            events.append(RequestReceived(number, message))

    def _take_unreadable(self, found: Unreadable) -> None:
        if self._is_closing:
            return
        if found.number and self._is_open:
            self._admit(found.number)
            self.refuse(found.number, found.code, found.sentence)
        elif found.code is ErrorCode.UNKNOWN_KIND:
            self._skip_unknown()
        else:
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, found.sentence)

    def _admit(self, number: int) -> None:
        unanswered = self._unanswered
        if not 0 < number <= MAX_NUMBER:
            sentence = f"The request number {number} is out of range."
            raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence)
        if number in unanswered:
            sentence = f"The request number {number} is still in use."
            raise RemoteProtocolError(ErrorCode.DUPLICATE_REQUEST, sentence)
        if len(unanswered) >= limits.MAX_REQUESTS_IN_FLIGHT:
            sentence = f"More than {limits.MAX_REQUESTS_IN_FLIGHT} requests wait for an answer."
            raise RemoteProtocolError(ErrorCode.SLOW_DOWN, sentence)
        unanswered.add(number)

    def _take_hello(self, hello: Hello, now: float, events: list[ConnectionEvent]) -> None:
        self._advance(Step.HELLO)
        version = agree_on_version(hello.oldest_version, hello.newest_version)
        if version is None:
            sentence = (
                f"This server speaks versions {OLDEST_VERSION} to {VERSION} of the protocol, the "
                f"client {hello.oldest_version} to {hello.newest_version}. Update the older side."
            )
            raise RemoteProtocolError(ErrorCode.VERSION_UNSUPPORTED, sentence)
        common = tuple(name for name in self._offered if name in hello.capabilities)
        self._send(0, self._make_welcome(version, common), Step.WELCOME)
        # The welcome itself goes plain: its reader does not know yet what was agreed on.
        self._agree(frozenset(common))
        self._deadline = now + limits.SIGN_IN_TIMEOUT_S
        events.append(HelloReceived(hello))
