# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what is shown from what is stored: messages with everything applied, conversations as they stand in the list."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from client.core.status import (
    Delivery,
    DeliveryState,
    Failure,
)
from client.core.store import conversations, events, outbox, people
from client.core.store.conversations import Conversation
from client.core.store.database import Db
from client.core.store.outbox import FORWARD, QueuedRow
from client.core.views import (
    ChatView,
    MessageView,
    NoticeView,
    PendingChange,
    Reaction,
    ReplyPreview,
)
from protocol.codec import decode_content
from protocol.ids import MessageId, UserId
from protocol.messages.chat import ConversationKind
from protocol.messages.content import (
    Created,
    EventContent,
    GroupChanged,
    MemberRole,
    MembersChanged,
    Recalled,
    Text,
)

PREVIEW_CHARS: Final = 200
"""Of the message that another one answers: more than one line of any window."""
_NOTICES: Final = ("created", "members_changed", "group_changed")


class EventRow(msgspec.Struct):
    """What a view is made of."""

    stamp: int
    conversation: int
    seq: int
    id: MessageId
    sender: UserId
    at_ms: int
    is_message: int
    mentions_me: int
    content: bytes


SELECT: Final = f"SELECT {', '.join(EventRow.__struct_fields__)} FROM event"  # noqa: S608 - our own names
SHOWN: Final = f"(is_message OR kind IN {_NOTICES})"


class Circle:
    """What the views of one conversation share, read once."""

    def __init__(self, db: Db, me: UserId, row: Conversation) -> None:
        self.row = row
        self.me = me
        self.receipts = conversations.receipts(db, row.key)
        self.queued = outbox.of_conversation(db, row.id)
        self.pending: dict[MessageId, list[PendingChange]] = {}
        for post in self.queued:
            if post.target is not None and post.kind != FORWARD:
                change = PendingChange(post.id, post.kind, _failure(post))
                self.pending.setdefault(post.target, []).append(change)

    @property
    def recipients(self) -> int:
        """Everybody but me, as far as it is known."""
        return max(len(self.receipts), self.row.member_count - 1)

    def delivery(self, seq: int) -> Delivery:
        """The ticks of our message with that number."""
        delivered = sum(one.delivered >= seq for one in self.receipts)
        read = sum(one.read >= seq for one in self.receipts)
        if read and read >= self.recipients:
            state = DeliveryState.READ
        elif delivered:
            state = DeliveryState.DELIVERED
        else:
            state = DeliveryState.SENT
        return Delivery(state, self.recipients, delivered, read)


def chat_view(db: Db, me: UserId, row: Conversation) -> ChatView:
    circle = Circle(db, me, row)
    texts = [post for post in circle.queued if is_text(post)]
    last: MessageView | None = None
    if texts:
        last = queued_view(db, circle, texts[-1])
    else:
        newest = db.execute(
            f"{SELECT} WHERE conversation = ? AND is_message ORDER BY seq DESC LIMIT 1", (row.key,)
        ).fetchone()
        if newest is not None:
            entry = entries_of(db, circle, [EventRow(*newest)])[0]
            last = entry if isinstance(entry, MessageView) else None
    is_keeper = row.role in (MemberRole.OWNER.value, MemberRole.ADMIN.value)
    may_write = row.role != MemberRole.READER.value and (is_keeper or not row.is_readers_only)
    return ChatView(
        id=row.id,
        kind=row.kind,
        name=_name(db, row),
        peer=row.peer,
        department=row.department,
        role=row.role,
        can_write=may_write and not row.is_over,
        member_count=row.member_count,
        unread=row.unread,
        mentions=row.mentions,
        head=row.head,
        read=row.read,
        is_muted=bool(row.is_muted),
        is_pinned=bool(row.is_pinned),
        is_over=bool(row.is_over),
        draft=conversations.decode_draft(row.draft),
        last=last,
        last_ms=row.at_ms,
        queued=sum(not post.is_failed for post in circle.queued),
        failed=sum(bool(post.is_failed) for post in circle.queued),
    )


def _name(db: Db, row: Conversation) -> str:
    if row.kind == ConversationKind.DIRECT.value and row.peer is not None:
        person = people.by_id(db, row.peer)
        return person.name if person else row.title
    if row.kind == ConversationKind.DEPARTMENT.value and row.department is not None:
        department = people.department(db, row.department)
        return department.name if department else row.title
    return row.title


def entries_of(db: Db, circle: Circle, rows: Sequence[EventRow]) -> list[MessageView | NoticeView]:
    decoded = [(row, decode_content(row.content)) for row in rows]
    replies = _replies(db, (content for _, content in decoded))
    reactions = _reactions(db, circle.me, [row.id for row in rows if row.is_message])
    entries: list[MessageView | NoticeView] = []
    for row, content in decoded:
        if isinstance(content, Created | MembersChanged | GroupChanged):
            entries.append(
                NoticeView(circle.row.id, row.id, row.seq, row.sender, row.at_ms, content)
            )
        else:
            entries.append(_view(circle, row, content, replies, reactions.get(row.id, ())))
    return entries


def _view(
    circle: Circle,
    row: EventRow,
    content: EventContent | None,
    replies: dict[MessageId, ReplyPreview],
    reactions: tuple[Reaction, ...],
) -> MessageView:
    text = content if isinstance(content, Text) else Text("")
    is_mine = row.sender == circle.me
    return MessageView(
        conversation=circle.row.id,
        id=row.id,
        seq=row.seq,
        sender=row.sender,
        at_ms=row.at_ms,
        text=text.text,
        spans=text.spans,
        attachments=text.attachments,
        reply=replies[text.reply_to] if text.reply_to else None,
        forwarded=text.forwarded,
        edited_ms=text.edited_ms,
        recalled_by=content.by if isinstance(content, Recalled) else None,
        reactions=reactions,
        mentions_me=bool(row.mentions_me),
        is_mine=is_mine,
        is_known=isinstance(content, Text | Recalled),
        delivery=circle.delivery(row.seq) if is_mine else None,
        pending=tuple(circle.pending.get(row.id, ())),
    )


def queued_view(db: Db, circle: Circle, post: QueuedRow) -> MessageView:
    if post.kind == FORWARD and post.target is not None:
        found = db.execute("SELECT content FROM event WHERE id = ?", (post.target,)).fetchone()
        content = decode_content(found[0]) if found is not None else None
    else:
        content = decode_content(post.content)
    text = content if isinstance(content, Text) else Text("")
    return MessageView(
        conversation=post.conversation,
        id=post.id,
        seq=0,
        sender=circle.me,
        at_ms=post.created_ms,
        text=text.text,
        spans=text.spans,
        attachments=text.attachments,
        reply=_replies(db, (content,)).get(text.reply_to or b"") if post.kind != FORWARD else None,
        mentions_me=events.mentions(content, circle.me),
        is_mine=True,
        delivery=queued_delivery(post, circle.recipients),
        pending=tuple(circle.pending.get(post.id, ())),
    )


def _replies(db: Db, contents: Iterable[EventContent | None]) -> dict[MessageId, ReplyPreview]:
    previews: dict[MessageId, ReplyPreview] = {}
    for content in contents:
        wanted = content.reply_to if isinstance(content, Text) else None
        if wanted is None or wanted in previews:
            continue
        found = db.execute(
            "SELECT sender, content FROM event WHERE id = ? AND is_message", (wanted,)
        ).fetchone()
        if found is None:
            previews[wanted] = ReplyPreview(wanted)
            continue
        source = decode_content(found[1])
        text = source.text[:PREVIEW_CHARS] if isinstance(source, Text) else ""
        previews[wanted] = ReplyPreview(wanted, found[0], text, isinstance(source, Recalled))
    return previews


def _reactions(
    db: Db, me: UserId, messages: Sequence[MessageId]
) -> dict[MessageId, tuple[Reaction, ...]]:
    found: dict[MessageId, tuple[Reaction, ...]] = {}
    for wanted in messages:
        users: dict[str, list[UserId]] = {}
        for emoji, user in db.execute(
            "SELECT emoji, user FROM reaction WHERE target = ? AND is_on ORDER BY seq", (wanted,)
        ):
            users.setdefault(emoji, []).append(user)
        if users:
            found[wanted] = tuple(
                Reaction(emoji, tuple(who), me in who) for emoji, who in users.items()
            )
    return found


def is_text(post: QueuedRow) -> bool:
    return post.kind in ("text", FORWARD)


def failure_of(post: QueuedRow) -> Failure | None:
    return Failure(post.code, post.sentence) if post.code else None


def _failure(post: QueuedRow) -> Failure | None:
    return failure_of(post) if post.is_failed else None


def queued_delivery(post: QueuedRow, recipients: int = 0) -> Delivery:
    state = DeliveryState.FAILED if post.is_failed else DeliveryState.QUEUED
    return Delivery(state, recipients, failure=_failure(post))
