# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations: posting, delivery, history, synchronisation, cursors, groups."""

import enum
from typing import Annotated

from msgspec import Meta, Raw, Struct

from protocol import limits
from protocol.ids import ConversationId, DepartmentId, MessageId, UserId
from protocol.messages.content import MemberRole, Span
from protocol.messages.kinds import Count, Done, Note, Push, Reply, Request
from protocol.messages.session import Name

Members = Annotated[tuple[UserId, ...], Meta(max_length=limits.MAX_MEMBERS_PER_REQUEST)]


class ConversationKind(enum.StrEnum):
    """Kinds of conversation; append-only."""

    DIRECT = "direct"
    GROUP = "group"
    DEPARTMENT = "department"


class Event(Struct, frozen=True, omit_defaults=True):
    """One change of a conversation. Numbers run 1, 2, 3 ... without a gap over *all* changes."""

    conversation: ConversationId
    seq: Count
    """Its number in the conversation."""
    stamp: Count
    """Its place in the order of everything that this server stored; grows, with gaps."""
    id: MessageId
    """Made by the sender."""
    sender: UserId
    at_ms: Count
    """When the server took it, Unix milliseconds by the server's clock."""
    ordinal: Count
    """How many messages (texts) the conversation held with this event; what unread counts are made
    of."""
    content: Raw
    """One of EventContent."""


class Posted(Reply, frozen=True, tag="posted"):
    """The post is durable on the server."""

    conversation: ConversationId
    seq: Count
    stamp: Count
    at_ms: Count
    ordinal: Count


class Post(Request[Posted], frozen=True, tag="post"):
    """Add a text, edit, recall or reaction. The same id again gets the same answer and changes
    nothing."""

    conversation: ConversationId
    id: MessageId
    content: Raw
    """One of PostedContent."""
    peer: UserId | None = None
    """The other person of a direct conversation, so that the first message creates it."""


class Forward(Request[Posted], frozen=True, tag="forward"):
    """Post a copy of a message that I can read, with its origin stated by the server."""

    conversation: ConversationId
    id: MessageId
    source: MessageId
    peer: UserId | None = None


class Events(Push, frozen=True, tag="events"):
    """New events of my conversations, in the order of their stamps."""

    events: tuple[Event, ...]


class History(Reply, frozen=True, tag="history"):
    """A run of consecutive events, ascending."""

    conversation: ConversationId
    events: tuple[Event, ...] = ()
    first: Count = 1
    """The first number that this user may see."""
    head: Count = 0
    """The last number that this user may see, now."""


class GetHistory(Request[History], frozen=True, tag="get_history"):
    """Events after or before a number; exactly one of the two is given."""

    conversation: ConversationId
    after: Count | None = None
    before: Count | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_HISTORY_EVENTS)] = 100


class Receipt(Struct, frozen=True, omit_defaults=True):
    """How far one member has got: cursors into the numbers of the conversation."""

    user: UserId
    delivered: Count = 0
    """Everything up to this number is on a device of the user."""
    read: Count = 0
    """Everything up to this number was seen."""


class Member(Struct, frozen=True, omit_defaults=True):
    """One member of a conversation."""

    user: UserId
    role: str = MemberRole.MEMBER.value


class Draft(Struct, frozen=True, omit_defaults=True):
    """A text that was begun; the newest by the server's clock counts on all devices."""

    text: Annotated[str, Meta(max_length=limits.MAX_DRAFT_CHARS)] = ""
    spans: Annotated[tuple[Span, ...], Meta(max_length=limits.MAX_SPANS)] = ()
    reply_to: MessageId | None = None
    at_ms: Count = 0
    """Set by the server."""


class Chat(Struct, frozen=True, omit_defaults=True):
    """A conversation as one member sees it: the state that synchronisation brings to a device."""

    conversation: ConversationId
    kind: str
    """One of ConversationKind; unknown kinds are kept and not shown."""
    title: str = ""
    """Of a group; a direct conversation is named by its peer, a department's by the department."""
    peer: UserId | None = None
    department: DepartmentId | None = None
    is_readers_only: bool = False
    role: str = MemberRole.MEMBER.value
    """My role."""
    member_count: Count = 0
    first: Count = 1
    """The first number that I may see."""
    head: Count = 0
    """The last number that I may see."""
    ordinal: Count = 0
    """Ordinal of the head."""
    delivered: Count = 0
    read: Count = 0
    """My own cursors."""
    unread: Count = 0
    """Messages of others after my read cursor."""
    mentions: Count = 0
    """Of these, how many mention me."""
    is_muted: bool = False
    is_pinned: bool = False
    is_over: bool = False
    """I am no member any more; what I could see stays readable."""
    draft: Draft | None = None
    events: tuple[Event, ...] = ()
    """The newest events, ascending, ending at ``head``."""
    receipts: tuple[Receipt, ...] = ()
    """Of the other members, up to MAX_RECEIPT_MEMBERS of them."""


class ChatsPage(Reply, frozen=True, tag="chats_page"):
    """Conversations that changed, most recent first."""

    chats: tuple[Chat, ...] = ()
    stamp: Count = 0
    """On the last page: everything up to this stamp is accounted for; the client keeps it for the
    next Sync."""
    cursor: bytes = b""
    """Not empty: ask again with it for the next page."""


class Sync(Request[ChatsPage], frozen=True, tag="sync"):
    """My conversations in which anything changed since a stamp; 0: all of them."""

    since: Count = 0
    cursor: Annotated[bytes, Meta(max_length=limits.MAX_SYNC_CURSOR_BYTES)] = b""
    """Empty, or from the page before, with ``since`` as it was asked first."""
    events: Annotated[int, Meta(ge=0, le=limits.MAX_SYNC_EVENTS)] = limits.MAX_SYNC_EVENTS
    """How many of the newest events to send with each."""
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_SYNC_CHATS)] = limits.MAX_SYNC_CHATS


class ChatReply(Reply, frozen=True, tag="chat"):
    """One conversation as I see it."""

    chat: Chat


class GetChat(Request[ChatReply], frozen=True, tag="get_chat"):
    """One of my conversations."""

    conversation: ConversationId


class ChatChanged(Push, frozen=True, tag="chat_changed"):
    """A conversation of mine is new, over, or changed in what is mine alone (cursors by another
    device, muted, pinned, draft); ``events`` is empty."""

    chat: Chat


class OpenDirect(Request[ChatReply], frozen=True, tag="open_direct"):
    """The direct conversation with someone, made if it does not exist."""

    peer: UserId


class Cursor(Struct, frozen=True, omit_defaults=True):
    """My progress in one conversation; a smaller number than before is ignored."""

    conversation: ConversationId
    delivered: Count = 0
    read: Count = 0


class Cursors(Note, frozen=True, tag="cursors"):
    """What arrived on this device and what was seen, collected for a moment."""

    cursors: Annotated[tuple[Cursor, ...], Meta(max_length=limits.MAX_CURSORS_PER_MESSAGE)]


class ReceiptsChanged(Struct, frozen=True, omit_defaults=True):
    """New cursors of other members of one conversation."""

    conversation: ConversationId
    receipts: tuple[Receipt, ...]


class Receipts(Push, frozen=True, tag="receipts"):
    """Cursors that moved in the last tick, in conversations of up to MAX_RECEIPT_MEMBERS."""

    changed: tuple[ReceiptsChanged, ...]


class ReceiptList(Reply, frozen=True, tag="receipt_list"):
    """The cursors of all members."""

    receipts: tuple[Receipt, ...] = ()


class GetReceipts(Request[ReceiptList], frozen=True, tag="get_receipts"):
    """Who has received and read how much."""

    conversation: ConversationId


class Typing(Note, frozen=True, tag="typing"):
    """I am writing here; sent at most every TYPING_INTERVAL_S, shown for TYPING_SHOWN_S."""

    conversation: ConversationId


class TypingNow(Push, frozen=True, tag="typing_now"):
    """A member is writing."""

    conversation: ConversationId
    user: UserId


class SetDraft(Request[Done], frozen=True, tag="set_draft"):
    """Keep a draft for my other devices; an empty text removes it."""

    conversation: ConversationId
    draft: Draft


class SetChat(Request[Done], frozen=True, tag="set_chat"):
    """My own settings of a conversation; None: as it was."""

    conversation: ConversationId
    is_muted: bool | None = None
    is_pinned: bool | None = None


class CreateGroup(Request[ChatReply], frozen=True, tag="create_group"):
    """A new group with me as its owner. The same id again gets the group that exists."""

    conversation: ConversationId
    title: Name
    members: Members = ()


class MemberList(Reply, frozen=True, tag="member_list"):
    """Who is in a conversation."""

    members: tuple[Member, ...] = ()


class GetMembers(Request[MemberList], frozen=True, tag="get_members"):
    """The members of one of my conversations."""

    conversation: ConversationId


class ChangeMembers(Request[Posted], frozen=True, tag="change_members"):
    """Add and remove members of a group; removing myself is leaving."""

    conversation: ConversationId
    id: MessageId
    add: Members = ()
    remove: Members = ()


class SetMemberRole(Request[Posted], frozen=True, tag="set_member_role"):
    """Change members' roles. Making someone else OWNER makes me an ADMIN."""

    conversation: ConversationId
    id: MessageId
    members: Members
    role: MemberRole


class ChangeGroup(Request[Posted], frozen=True, tag="change_group"):
    """Rename a group or change its rules; None: as it was."""

    conversation: ConversationId
    id: MessageId
    title: Name | None = None
    is_readers_only: bool | None = None
