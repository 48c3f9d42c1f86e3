# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and conversations as they are shown: frozen records with every change applied. No behaviour here."""

from dataclasses import dataclass
from typing import TypeAlias

from client.core.status import Delivery, Failure
from protocol.ids import ConversationId, DepartmentId, MessageId, UserId
from protocol.messages.chat import Draft
from protocol.messages.content import (
    Attachment,
    Created,
    Forwarded,
    GroupChanged,
    MembersChanged,
    Span,
)


@dataclass(frozen=True, slots=True)
class ReplyPreview:
    """The message that another one answers."""

    id: MessageId
    sender: UserId | None = None
    """None while the message is not on this computer."""
    text: str = ""
    """Its beginning, at most PREVIEW_CHARS."""
    is_recalled: bool = False


@dataclass(frozen=True, slots=True)
class Reaction:
    """One emoji under a message."""

    emoji: str
    users: tuple[UserId, ...]
    is_mine: bool = False


@dataclass(frozen=True, slots=True)
class PendingChange:
    """An edit, recall or reaction of ours that is not at the server yet; the view still shows the state before it."""

    id: MessageId
    """Of the change itself: for retry and discard."""
    kind: str
    """``edit``, ``recall`` or ``react``."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message."""

    conversation: ConversationId
    id: MessageId
    seq: int
    """Its number in the conversation; 0 while it is queued here."""
    sender: UserId
    at_ms: int
    """By the server's clock; for a queued message, an estimate of it."""
    text: str = ""
    spans: tuple[Span, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    reply: ReplyPreview | None = None
    forwarded: Forwarded | None = None
    edited_ms: int = 0
    recalled_by: UserId | None = None
    """Set: the message was taken back and has no text."""
    reactions: tuple[Reaction, ...] = ()
    mentions_me: bool = False
    is_mine: bool = False
    is_known: bool = True
    """False for a kind of content that this version can't show."""
    delivery: Delivery | None = None
    """Of our own messages only."""
    pending: tuple[PendingChange, ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A line between the messages: the group was made, people came or went, its title changed."""

    conversation: ConversationId
    id: MessageId
    seq: int
    sender: UserId
    at_ms: int
    content: Created | MembersChanged | GroupChanged


@dataclass(frozen=True, slots=True)
class GapView:
    """Some changes between two numbers are not here yet; they are being fetched when the server is there."""

    conversation: ConversationId
    first: int
    last: int


Entry: TypeAlias = MessageView | NoticeView | GapView


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A part of a conversation, ascending; queued messages of ours stand last."""

    conversation: ConversationId
    entries: tuple[Entry, ...]
    before: int
    """Ask for the next older page with this number."""
    is_start: bool
    """There is nothing older."""


@dataclass(frozen=True, slots=True)
class ChatView:
    """A conversation as it stands in the list."""

    id: ConversationId
    kind: str
    """One of ConversationKind."""
    name: str
    """The group's title, the peer's or the department's name."""
    peer: UserId | None = None
    department: DepartmentId | None = None
    role: str = "member"
    can_write: bool = True
    member_count: int = 0
    unread: int = 0
    mentions: int = 0
    head: int = 0
    read: int = 0
    """Everything up to this number was seen by us."""
    is_muted: bool = False
    is_pinned: bool = False
    is_over: bool = False
    draft: Draft | None = None
    last: MessageView | None = None
    """The newest message, queued ones included."""
    last_ms: int = 0
    """When the last change was taken by the server."""
    queued: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Completeness:
    """What of a conversation is on this computer, in numbers of its changes; a proof, not an estimate."""

    conversation: ConversationId
    first: int
    """The first number that we may see."""
    head: int
    """The last number that we know of."""
    held: tuple[tuple[int, int], ...]
    """Runs that are here, first and last included, ascending."""
    missing: tuple[tuple[int, int], ...]

    @property
    def is_complete(self) -> bool:
        """Everything from the first to the last number is here."""
        return not self.missing

    @property
    def is_current(self) -> bool:
        """The newest run reaches the last number and nothing misses after the oldest one here."""
        return self.head < self.first or (len(self.held) == 1 and self.held[0][1] >= self.head)
