# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of conversations and what is said in them."""

from collections.abc import Iterable

import msgspec

from client.cli.records.record import People, Record, Who, id_or_none
from client.cli.show import rfc3339
from client.core.status import Delivery, Failure
from client.core.views import ChatView, GapView, MessageView, NoticeView
from protocol.ids import UserId, format_id
from protocol.messages.content import Created, MembersChanged


class ChatName(msgspec.Struct, frozen=True):
    """A conversation, wherever one is named."""

    id: str
    kind: str
    """direct, group or department."""
    name: str

    @classmethod
    def of(cls, chat: ChatView) -> "ChatName":
        """The name of a conversation."""
        return cls(format_id(chat.id), chat.kind, chat.name)


class FailureRecord(msgspec.Struct, frozen=True):
    """Why something was refused."""

    code: str
    sentence: str

    @classmethod
    def of(cls, failure: Failure | None) -> "FailureRecord | None":
        """The record of a failure, if there is one."""
        return None if failure is None else cls(failure.code, failure.sentence)


class DeliveryPart(msgspec.Struct, frozen=True):
    """How far a message of ours has come."""

    state: str
    """queued, sent, delivered, read or failed."""
    recipients: int
    delivered: int
    read: int
    failure: FailureRecord | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryPart":
        """The ticks of a message."""
        return cls(
            delivery.state.value,
            delivery.recipients,
            delivery.delivered,
            delivery.read,
            FailureRecord.of(delivery.failure),
        )


class SpanRecord(msgspec.Struct, frozen=True):
    """A stretch of a text with a meaning, counted in Unicode code points."""

    kind: str
    start: int
    length: int
    user: str | None
    url: str
    language: str


class AttachmentRecord(msgspec.Struct, frozen=True):
    """A file or image that a message refers to."""

    id: str
    name: str
    size_bytes: int
    media_type: str
    width: int
    height: int


class ReplyRecord(msgspec.Struct, frozen=True):
    """The message that is answered."""

    id: str
    sender: Who | None
    """null: the message is not on this computer."""
    text: str
    is_recalled: bool


class ForwardedRecord(msgspec.Struct, frozen=True):
    """Where a forwarded message came from."""

    sender: Who
    at: str | None


class ReactionRecord(msgspec.Struct, frozen=True):
    """One emoji under a message."""

    emoji: str
    users: tuple[Who, ...]
    is_mine: bool


class PendingRecord(msgspec.Struct, frozen=True):
    """An edit, recall or reaction of ours that is not at the server yet."""

    id: str
    kind: str
    failure: FailureRecord | None


class MessageRecord(Record, frozen=True, tag="message"):
    """A message, with every change applied."""

    id: str
    conversation: ChatName
    number: int
    """Its number in the conversation; 0 while it is queued on this computer."""
    sender: Who
    at: str | None
    text: str
    """Empty when it was recalled."""
    spans: tuple[SpanRecord, ...]
    attachments: tuple[AttachmentRecord, ...]
    reply: ReplyRecord | None
    forwarded: ForwardedRecord | None
    edited: str | None
    recalled_by: Who | None
    reactions: tuple[ReactionRecord, ...]
    mentions_me: bool
    is_mine: bool
    is_known: bool
    """false: a kind of content that this version can't show."""
    delivery: DeliveryPart | None
    """Of our own messages."""
    pending: tuple[PendingRecord, ...]

    @classmethod
    def of(cls, message: MessageView, chat: ChatName, people: People) -> "MessageRecord":
        """The record of a message."""
        forwarded, reply = message.forwarded, message.reply
        return cls(
            id=format_id(message.id),
            conversation=chat,
            number=message.seq,
            sender=people.who(message.sender),
            at=rfc3339(message.at_ms),
            text=message.text,
            spans=tuple(
                SpanRecord(
                    span.kind,
                    span.start,
                    span.length,
                    id_or_none(span.user),
                    span.url,
                    span.language,
                )
                for span in message.spans
            ),
            attachments=tuple(
                AttachmentRecord(
                    format_id(one.id),
                    one.name,
                    one.size_bytes,
                    one.media_type,
                    one.width,
                    one.height,
                )
                for one in message.attachments
            ),
            reply=None
            if reply is None
            else ReplyRecord(
                format_id(reply.id), people.maybe(reply.sender), reply.text, reply.is_recalled
            ),
            forwarded=None
            if forwarded is None
            else ForwardedRecord(people.who(forwarded.sender), rfc3339(forwarded.at_ms)),
            edited=rfc3339(message.edited_ms),
            recalled_by=people.maybe(message.recalled_by),
            reactions=tuple(
                ReactionRecord(one.emoji, tuple(map(people.who, one.users)), one.is_mine)
                for one in message.reactions
            ),
            mentions_me=message.mentions_me,
            is_mine=message.is_mine,
            is_known=message.is_known,
            delivery=None if message.delivery is None else DeliveryPart.of(message.delivery),
            pending=tuple(
                PendingRecord(format_id(one.id), one.kind, FailureRecord.of(one.failure))
                for one in message.pending
            ),
        )


class NoticeRecord(Record, frozen=True, tag="notice"):
    """A line between the messages: the group was made, people came or went, its title or rules changed."""

    id: str
    conversation: ChatName
    number: int
    sender: Who
    at: str | None
    kind: str
    """created, members_changed or group_changed."""
    title: str
    added: tuple[Who, ...]
    """With created: the first members."""
    removed: tuple[Who, ...]
    left: tuple[Who, ...]
    changed: tuple[Who, ...]
    """Whose role is now ``role``."""
    role: str
    is_readers_only: bool

    @classmethod
    def of(cls, notice: NoticeView, chat: ChatName, people: People) -> "NoticeRecord":
        """The record of a notice."""
        content = notice.content
        added: tuple[UserId, ...] = ()
        removed, left, changed, role = added, added, added, ""
        title, is_readers_only = "", False
        if isinstance(content, Created):
            kind, title, added = "created", content.title, content.members
        elif isinstance(content, MembersChanged):
            kind, role = "members_changed", content.role
            added, removed = content.added, content.removed
            left, changed = content.left, content.changed
        else:
            kind, title = "group_changed", content.title
            is_readers_only = content.is_readers_only
        return cls(
            id=format_id(notice.id),
            conversation=chat,
            number=notice.seq,
            sender=people.who(notice.sender),
            at=rfc3339(notice.at_ms),
            kind=kind,
            title=title,
            added=tuple(map(people.who, added)),
            removed=tuple(map(people.who, removed)),
            left=tuple(map(people.who, left)),
            changed=tuple(map(people.who, changed)),
            role=role,
            is_readers_only=is_readers_only,
        )


class GapRecord(Record, frozen=True, tag="gap"):
    """Changes of a conversation that are not on this computer."""

    conversation: ChatName
    first: int
    last: int

    @classmethod
    def of(cls, gap: GapView, chat: ChatName) -> "GapRecord":
        """The record of a gap."""
        return cls(chat, gap.first, gap.last)


class DraftRecord(Record, frozen=True, tag="draft"):
    """A text that was begun, the same on all devices."""

    conversation: ChatName
    text: str
    """Empty: there is none."""
    reply_to: str | None
    at: str | None

    @classmethod
    def of(cls, chat: ChatView) -> "DraftRecord":
        """The draft of a conversation."""
        draft = chat.draft
        if draft is None:
            return cls(ChatName.of(chat), "", None, None)
        reply_to = id_or_none(draft.reply_to)
        return cls(ChatName.of(chat), draft.text, reply_to, rfc3339(draft.at_ms))


class ChatRecord(Record, frozen=True, tag="chat"):
    """A conversation as it stands in the list."""

    id: str
    kind: str
    name: str
    peer: Who | None
    """Of a direct conversation."""
    department: str | None
    role: str
    """Ours: owner, admin, member or reader."""
    can_write: bool
    members: int
    unread: int
    mentions: int
    head: int
    """The number of the last change."""
    read: int
    """Everything up to this number was seen by us."""
    is_muted: bool
    is_pinned: bool
    is_over: bool
    """We are no member any more."""
    has_draft: bool
    queued: int
    failed: int
    last: MessageRecord | None
    last_change: str | None

    @classmethod
    def of(cls, chat: ChatView, people: People) -> "ChatRecord":
        """The record of a conversation."""
        name = ChatName.of(chat)
        return cls(
            id=name.id,
            kind=name.kind,
            name=name.name,
            peer=people.maybe(chat.peer),
            department=id_or_none(chat.department),
            role=chat.role,
            can_write=chat.can_write,
            members=chat.member_count,
            unread=chat.unread,
            mentions=chat.mentions,
            head=chat.head,
            read=chat.read,
            is_muted=chat.is_muted,
            is_pinned=chat.is_pinned,
            is_over=chat.is_over,
            has_draft=bool(chat.draft and chat.draft.text),
            queued=chat.queued,
            failed=chat.failed,
            last=None if chat.last is None else MessageRecord.of(chat.last, name, people),
            last_change=rfc3339(chat.last_ms),
        )


class MemberRecord(Record, frozen=True, tag="member"):
    """A member of a conversation."""

    conversation: ChatName
    user: Who
    role: str


def people_of(message: MessageView) -> Iterable[UserId | None]:
    """Everybody whom the record of a message names."""
    yield message.sender
    yield message.recalled_by
    if message.reply is not None:
        yield message.reply.sender
    if message.forwarded is not None:
        yield message.forwarded.sender
    for reaction in message.reactions:
        yield from reaction.users


def people_of_notice(notice: NoticeView) -> Iterable[UserId]:
    """Everybody whom the record of a notice names."""
    yield notice.sender
    content = notice.content
    if isinstance(content, Created):
        yield from content.members
    elif isinstance(content, MembersChanged):
        yield from (*content.added, *content.removed, *content.left, *content.changed)
