# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose fault it is: the wire's error codes, and one exception class for each side of a mistake.

Codes are append-only. A peer that does not know a code treats it as ``internal``.
"""

import enum
from typing import Final


class ErrorCode(enum.StrEnum):
    """Every reason why a request is refused or a connection ended. The value is what travels."""

    # The bytes or their order were wrong; the connection ends.
    BAD_FRAME = "bad_frame"
    """The frame is not a valid message: wrong length, MessagePack, compression or shape."""
    FRAME_TOO_LARGE = "frame_too_large"
    """The frame is longer than the receiver takes in this state."""
    BAD_STATE = "bad_state"
    """The message is not allowed now, for example before signing in."""
    VERSION_UNSUPPORTED = "version_unsupported"
    """The two sides share no version of the protocol; one must be updated."""
    DUPLICATE_REQUEST = "duplicate_request"
    """A request reuses the number of one that is still being answered."""

    # The request was understood and refused; the connection goes on.
    UNKNOWN_KIND = "unknown_kind"
    """The receiver does not know this kind of message; it is newer than the receiver."""
    INVALID = "invalid"
    """A field has a value that can't be accepted; the sentence names it."""
    TOO_LARGE = "too_large"
    """A text, list or file is larger than its limit."""
    NOT_SIGNED_IN = "not_signed_in"
    """The request needs a signed-in session."""
    WRONG_CREDENTIALS = "wrong_credentials"
    """Unknown account, wrong password, or a token or certificate that is not valid any more."""
    SLOW_DOWN = "slow_down"
    """Too many attempts or requests; try again after ``retry_after_ms``."""
    PASSWORD_CHANGE_REQUIRED = "password_change_required"  # noqa: S105 - a code, not a secret
    """The account must set a password of its own before anything else."""
    WEAK_PASSWORD = "weak_password"  # noqa: S105 - a code, not a secret
    """The new password does not meet the organisation's rule."""
    ACCOUNT_DISABLED = "account_disabled"
    """The account is closed; the sentence says whom to ask."""
    SESSION_ENDED = "session_ended"
    """The session was ended by its user or an administrator; sign in again."""
    TOO_MANY_DEVICES = "too_many_devices"
    """The user has as many devices as allowed; remove one first."""
    FORBIDDEN = "forbidden"
    """The user has not the right to do this."""
    NOT_FOUND = "not_found"
    """There is no such thing, or the user may not know of it: the two are not told apart."""
    CONFLICT = "conflict"
    """What the request was based on has changed meanwhile; read again and retry."""
    TOO_LATE = "too_late"
    """The time in which this could be done (edit, recall) is over."""
    LIMIT_REACHED = "limit_reached"
    """A number of things (members, groups, pinned chats) is at its limit."""
    STORE_FULL = "store_full"
    """The server's disk is full: nothing was stored; the message stays with the sender."""
    UNAVAILABLE = "unavailable"
    """The server can't do this just now (shutting down, overloaded, directory away); try again."""
    TIMED_OUT = "timed_out"
    """No answer came in time; whether the request was carried out is not known."""
    INTERNAL = "internal"
    """A fault of the server; it has been logged there."""

    @classmethod
    def parse(cls, text: str) -> "ErrorCode":
        """The code of that name; INTERNAL for one that this version does not know."""
        try:
            return cls(text)
        except ValueError:
            return cls.INTERNAL


TRANSIENT_CODES: Final = frozenset(
    (
        ErrorCode.SLOW_DOWN,
        ErrorCode.STORE_FULL,
        ErrorCode.UNAVAILABLE,
        ErrorCode.TIMED_OUT,
        ErrorCode.INTERNAL,
    )
)
"""A request refused with one of these may be repeated later unchanged; with any other it would be
refused again."""


class ProtocolError(Exception):
    """Base class of this package's errors."""


class LocalProtocolError(ProtocolError):
    """This side misused the protocol: a bug in our own code."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; ``code`` is what it is told before the connection ends."""

    def __init__(self, code: ErrorCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class RequestRefused(ProtocolError):
    """A request was understood and refused: raised by the rules of the server, and again where the
    reply arrives."""

    def __init__(self, code: ErrorCode, sentence: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.retry_after_ms = retry_after_ms

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in TRANSIENT_CODES
