# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things stand: a tree of small frozen records, evolved and published whole. Never holds secrets.

``Status`` answers "is the server there?", ``MessageStatus`` answers "where is my message?".
"""

import enum
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from protocol.ids import ConversationId, DeviceId, MessageId, UserId
from protocol.messages.session import Policy

CLOCK_WRONG_FROM_S: Final = 60.0
"""A difference below this is a slow network or nobody's concern; above it, times that are shown would mislead."""


class Phase(enum.StrEnum):
    """How the core stands to the server."""

    STOPPED = "stopped"
    """The core does not try to connect: not started, or no server trusted yet."""
    SIGNED_OUT = "signed_out"
    """Nobody is signed in here; ``reason`` is set when the server ended it."""
    OFFLINE = "offline"
    """No connection; the next attempt is at ``retry_in_s``."""
    CONNECTING = "connecting"
    MUST_CHANGE_PASSWORD = "must_change_password"  # noqa: S105 - a phase, not a secret
    SYNCING = "syncing"
    """Signed in and catching up; everything works."""
    CONNECTED = "connected"
    UNTRUSTED = "untrusted"
    """What answers is not the trusted organisation's server. Nothing is sent to it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The way to the server."""

    phase: Phase = Phase.STOPPED
    since: float = 0.0
    """Event-loop time at which the phase began."""
    server: str = ""
    """Its address as ``host:port``."""
    attempt: int = 0
    """Failed attempts in a row."""
    retry_in_s: float = 0.0
    """While OFFLINE: from ``since`` to the next attempt."""
    reason: str = ""
    """Why it is so: an ErrorCode, or empty."""
    sentence: str = ""
    """The same for people."""

    @property
    def is_usable(self) -> bool:
        """Whether requests reach the server now."""
        return self.phase in (Phase.SYNCING, Phase.CONNECTED)


@dataclass(frozen=True, slots=True)
class Progress:
    """Catching up: messages and other changes that are here, of those that are known to exist."""

    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Who is signed in, as of the last sign-in."""

    user: UserId
    name: str
    login: str
    device: DeviceId
    permissions: frozenset[str] = frozenset()
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What waits on this computer."""

    queued: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The whole of it."""

    connection: Connection = Connection()
    progress: Progress = Progress()
    """Meaningful while SYNCING."""
    account: Account | None = None
    organisation: str = ""
    outgoing: Outgoing = Outgoing()
    clock_ahead_s: float = 0.0
    """By how much this computer's clock is ahead of the server's; negative: behind."""

    @property
    def is_clock_wrong(self) -> bool:
        """Whether the user should be told about ``clock_ahead_s``."""
        return abs(self.clock_ahead_s) >= CLOCK_WRONG_FROM_S

    def evolve(self, **changes: Any) -> Self:
        """The same with some parts replaced."""
        return replace(self, **changes)


class DeliveryState(enum.StrEnum):
    """How far a message of ours has come; the ladder of ticks."""

    QUEUED = "queued"
    """Still on this computer."""
    SENT = "sent"
    """Durable at the server."""
    DELIVERED = "delivered"
    """On a device of somebody who was meant; of everybody, when ``Delivery.delivered`` says so."""
    READ = "read"
    """Seen by everybody who was meant."""
    FAILED = "failed"
    """Refused for good; to be retried or discarded by the user."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be sent."""

    code: str
    """One of ErrorCode."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The ticks of one message of ours."""

    state: DeliveryState
    recipients: int = 0
    delivered: int = 0
    read: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class QueuedHere:
    """The message waits on this computer."""

    since_ms: int
    """By the server's clock as far as it is known."""
    position: int
    """How many posts of the same conversation go before it."""
    attempts: int = 0
    last_reason: Failure | None = None
    """What the last attempt met, when it was not the network."""


@dataclass(frozen=True, slots=True)
class AtServer:
    """The message is durable at the server."""

    since_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """How far the message has come for one person."""

    user: UserId
    state: DeliveryState
    """SENT, DELIVERED or READ."""


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """Where one message of ours is: exactly one of ``here`` and ``server`` is set."""

    id: MessageId
    conversation: ConversationId
    delivery: Delivery
    here: QueuedHere | None = None
    server: AtServer | None = None
    recipients: tuple[RecipientStatus, ...] = ()
