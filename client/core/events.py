# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened: frozen records published to subscribers. They say what changed; what to redraw is the subscriber's affair."""

from dataclasses import dataclass
from typing import TypeAlias

from client.core.status import Status
from client.core.views import MessageView
from protocol.ids import ConversationId, DepartmentId, MessageId, UserId
from protocol.messages.people import Presence


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The status tree has a new state."""

    status: Status


@dataclass(frozen=True, slots=True)
class PasswordChangeAsked:
    """A question: the account needs a password of its own. Answered by ``core.account.change_password``."""

    login: str
    min_chars: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The session is open (first sign-in and each reconnect)."""

    user: UserId
    name: str


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The session is over and will not come back by itself."""

    reason: str
    """Empty when the user asked for it; else an ErrorCode: session_ended, account_disabled, wrong_credentials."""
    sentence: str


@dataclass(frozen=True, slots=True)
class ChatsChanged:
    """These conversations are new or differ in the list: title, members, counts, draft, order, last message."""

    chats: frozenset[ConversationId]


@dataclass(frozen=True, slots=True)
class MessagesArrived:
    """New messages at the end of a conversation, in order: from others, and from other devices of ours."""

    conversation: ConversationId
    messages: tuple[MessageView, ...]
    is_live: bool
    """They were pushed as they happened; otherwise they were caught up with."""


@dataclass(frozen=True, slots=True)
class MessagesChanged:
    """Messages that were here already differ: edited, recalled, reacted to, a change of ours pending or failed."""

    conversation: ConversationId
    messages: frozenset[MessageId]


@dataclass(frozen=True, slots=True)
class MessageQueued:
    """A post of ours is durable on this computer."""

    conversation: ConversationId
    message: MessageId


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A post of ours is durable at the server."""

    conversation: ConversationId
    message: MessageId
    seq: int


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """A post of ours was refused for good; it waits for retry or discard."""

    conversation: ConversationId
    message: MessageId
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ReceiptsMoved:
    """People have received or read more: the ticks of our messages up to these numbers may differ."""

    conversation: ConversationId
    users: frozenset[UserId]


@dataclass(frozen=True, slots=True)
class HistoryFilled:
    """A gap or an older part of a conversation has arrived."""

    conversation: ConversationId
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class CopyReset:
    """The server was restored from an older state: everything is fetched again; queued messages stay."""


@dataclass(frozen=True, slots=True)
class PeopleChanged:
    """The directory's copy differs."""

    people: frozenset[UserId]
    departments: frozenset[DepartmentId]
    is_full: bool
    """Everything may differ; the two sets are empty."""


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Presence of people who are watched."""

    people: tuple[Presence, ...]


@dataclass(frozen=True, slots=True)
class TypingChanged:
    """Who is writing in a conversation now; empty: nobody any more."""

    conversation: ConversationId
    users: frozenset[UserId]


@dataclass(frozen=True, slots=True)
class TrackLost:
    """This subscriber was too slow and missed ``missed`` events: read everything again."""

    missed: int


Event: TypeAlias = (
    StatusChanged
    | PasswordChangeAsked
    | SignedIn
    | SignedOut
    | ChatsChanged
    | MessagesArrived
    | MessagesChanged
    | MessageQueued
    | MessageSent
    | MessageFailed
    | ReceiptsMoved
    | HistoryFilled
    | CopyReset
    | PeopleChanged
    | PresenceChanged
    | TypingChanged
    | TrackLost
)
