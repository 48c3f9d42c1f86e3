# SPDX-License-Identifier: GPL-3.0-or-later
"""What a connection reports to its driver: one frozen record for each thing that can happen."""

from typing import TypeAlias

from msgspec import Struct

from protocol.errors import ErrorCode
from protocol.messages.kinds import Note, Push, Reply, Request
from protocol.messages.session import Goodbye, Hello, Welcome


class HelloReceived(Struct, frozen=True):
    """A client greeted; the welcome is on its way."""

    hello: Hello


class WelcomeReceived(Struct, frozen=True):
    """The server greeted back; the client may sign in."""

    welcome: Welcome


class RequestReceived(Struct, frozen=True, gc=False):
    """A client asks; the driver answers with ``reply`` or ``refuse`` and this number, once."""

    number: int
    message: Request[Reply]


class NoteReceived(Struct, frozen=True, gc=False):
    """A client told something."""

    message: Note


class PushReceived(Struct, frozen=True):
    """The server told something."""

    message: Push


class ReplyReceived(Struct, frozen=True):
    """The answer to one of our requests."""

    number: int
    request: Request[Reply]
    message: Reply


class RequestFailed(Struct, frozen=True):
    """One of our requests was refused or timed out."""

    number: int
    request: Request[Reply]
    code: ErrorCode
    sentence: str
    retry_after_ms: int = 0


class GoodbyeReceived(Struct, frozen=True):
    """The peer closes in order; the driver closes the transport once our last bytes are sent."""

    goodbye: Goodbye


class ConnectionFailed(Struct, frozen=True):
    """The connection can't go on: the peer broke the protocol, or is not there any more.

    The driver sends what ``data_to_send`` still holds and closes the transport.
    """

    code: ErrorCode
    sentence: str


ConnectionEvent: TypeAlias = (
    HelloReceived
    | WelcomeReceived
    | RequestReceived
    | NoteReceived
    | PushReceived
    | ReplyReceived
    | RequestFailed
    | GoodbyeReceived
    | ConnectionFailed
)
