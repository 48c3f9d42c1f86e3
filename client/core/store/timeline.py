# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the copy as it is shown: messages with everything applied, pages of history, the list of conversations."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from client.core import ranges
from client.core.errors import NotFound
from client.core.status import (
    AtServer,
    Delivery,
    DeliveryState,
    Failure,
    MessageStatus,
    QueuedHere,
    RecipientStatus,
)
from client.core.store import conversations, events, outbox, people
from client.core.store.conversations import Conversation
from client.core.store.database import Db
from client.core.store.outbox import FORWARD, QueuedRow
from client.core.views import (
    ChatView,
    Completeness,
    Entry,
    GapView,
    HistoryPage,
    MessageView,
    NoticeView,
    PendingChange,
    Reaction,
    ReplyPreview,
)
from protocol.codec import decode_content
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.chat import ConversationKind, Receipt
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


_SELECT: Final = f"SELECT {', '.join(EventRow.__struct_fields__)} FROM event"  # noqa: S608 - our own names
_SHOWN: Final = f"(is_message OR kind IN {_NOTICES})"


class _Circle:
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


def history(
    db: Db, me: UserId, conversation: ConversationId, before: int | None, limit: int
) -> HistoryPage:
    """The newest shown entries below a number, as far as they are here, with gaps named."""
    row = _row(db, conversation)
    circle = _Circle(db, me, row)
    top = row.head if before is None else before - 1
    found = [
        EventRow(*each)
        for each in db.execute(
            f"{_SELECT} WHERE conversation = ? AND seq <= ? AND {_SHOWN} ORDER BY seq DESC LIMIT ?",
            (row.key, top, limit),
        )
    ]
    found.reverse()
    is_full = len(found) == limit
    bottom = found[0].seq if is_full else row.first
    gaps = ranges.missing(conversations.held(db, row.key), bottom, top)
    # A page never reaches across a gap: what is below it would move when the gap is filled.
    if gaps:
        bottom = gaps[-1][0]
        found = [each for each in found if each.seq > gaps[-1][1]]
    entries: list[Entry] = [GapView(conversation, *gaps[-1])] if gaps else []
    entries += _entries(db, circle, found)
    if before is None:
        entries += (_queued_view(db, circle, post) for post in circle.queued if _is_text(post))
    return HistoryPage(conversation, tuple(entries), bottom, not gaps and bottom <= row.first)


def run_below(db: Db, conversation: ConversationId, before: int | None) -> tuple[int, int, int]:
    """The missing numbers just below ``before``: first and last of the uppermost gap (0, 0: none), and the first visible number."""
    row = _row(db, conversation)
    top = row.head if before is None else before - 1
    gaps = ranges.missing(conversations.held(db, row.key), row.first, top)
    first, last = gaps[-1] if gaps else (0, 0)
    return first, last, row.first


def messages_between(
    db: Db, me: UserId, key: int, first: int, last: int
) -> tuple[MessageView, ...]:
    """The messages with numbers first..last that are here, ascending."""
    circle = _Circle(db, me, conversations.find_key(db, key))
    rows = db.execute(
        f"{_SELECT} WHERE conversation = ? AND seq BETWEEN ? AND ? AND is_message ORDER BY seq",
        (key, first, last),
    )
    found = _entries(db, circle, [EventRow(*each) for each in rows])
    return tuple(entry for entry in found if isinstance(entry, MessageView))


def message(db: Db, me: UserId, wanted: MessageId) -> MessageView:
    """One message, queued or not. Raises NotFound."""
    found = db.execute(f"{_SELECT} WHERE id = ? AND is_message", (wanted,)).fetchone()
    if found is not None:
        event = EventRow(*found)
        circle = _Circle(db, me, conversations.find_key(db, event.conversation))
        view = _entries(db, circle, [event])[0]
        if isinstance(view, MessageView):
            return view
    post = outbox.find(db, wanted)
    if post is not None and _is_text(post):
        return _queued_view(db, _Circle(db, me, _row(db, post.conversation)), post)
    raise NotFound("There is no such message on this computer.")


def messages_by_stamp(db: Db, me: UserId, stamps: Sequence[int]) -> tuple[MessageView, ...]:
    """The messages with these stamps, in the order asked for."""
    circles: dict[int, _Circle] = {}
    views: list[MessageView] = []
    for stamp in stamps:
        found = db.execute(f"{_SELECT} WHERE stamp = ? AND is_message", (stamp,)).fetchone()
        if found is None:
            continue
        event = EventRow(*found)
        circle = circles.get(event.conversation)
        if circle is None:
            circle = _Circle(db, me, conversations.find_key(db, event.conversation))
            circles[event.conversation] = circle
        views += (one for one in _entries(db, circle, [event]) if isinstance(one, MessageView))
    return tuple(views)


def where(db: Db, me: UserId, wanted: MessageId, asked: Sequence[Receipt] = ()) -> MessageStatus:
    """Where a post of ours is; ``asked``: cursors that the server told on request. Raises NotFound."""
    post = outbox.find(db, wanted)
    if post is not None:
        before = [
            each for each in outbox.of_conversation(db, post.conversation) if not each.is_failed
        ]
        position = sum(each.position < post.position for each in before)
        here = QueuedHere(post.created_ms, position, post.attempts, _failure_of(post))
        return MessageStatus(post.id, post.conversation, _queued_delivery(post), here=here)
    found = db.execute(f"{_SELECT} WHERE id = ?", (wanted,)).fetchone()
    if found is None:
        raise NotFound("There is no such message on this computer.")
    event = EventRow(*found)
    circle = _Circle(db, me, conversations.find_key(db, event.conversation))
    if asked:
        circle.receipts = [one for one in asked if one.user != me]
    recipients = tuple(_recipient(one, event.seq) for one in circle.receipts)
    return MessageStatus(
        event.id,
        circle.row.id,
        circle.delivery(event.seq),
        server=AtServer(event.at_ms, event.seq),
        recipients=recipients,
    )


def chats(db: Db, me: UserId) -> tuple[ChatView, ...]:
    """All conversations in the order of the list: pinned first, then those with something queued, then the latest."""
    views = [_chat_view(db, me, row) for row in conversations.every(db) if _is_listed(row)]
    # Stable: within each group the order by stamp stays.
    views.sort(key=lambda chat: (not chat.is_pinned, not (chat.queued or chat.failed)))
    return tuple(views)


def chat(db: Db, me: UserId, conversation: ConversationId) -> ChatView:
    """One conversation. Raises NotFound."""
    return _chat_view(db, me, _row(db, conversation))


def completeness(db: Db, conversation: ConversationId) -> Completeness:
    """What of a conversation is here. Raises NotFound."""
    row = _row(db, conversation)
    runs = conversations.held(db, row.key)
    missing = ranges.missing(runs, row.first, row.head)
    return Completeness(conversation, row.first, row.head, runs, missing)


def target_of(db: Db, wanted: MessageId) -> tuple[ConversationId, UserId | None]:
    """The conversation of a message, and its peer when it is a direct one. Raises NotFound."""
    row = db.execute(
        "SELECT c.id, c.peer FROM event e JOIN conversation c ON c.key = e.conversation"
        " WHERE e.id = ? AND e.is_message",
        (wanted,),
    ).fetchone()
    if row is None:
        post = outbox.find(db, wanted)
        if post is None or not _is_text(post):
            raise NotFound("There is no such message on this computer.")
        return post.conversation, post.peer
    return row[0], row[1]


def _row(db: Db, conversation: ConversationId) -> Conversation:
    row = conversations.find(db, conversation)
    if row is None:
        raise NotFound("There is no such conversation on this computer.")
    return row


def _is_listed(row: Conversation) -> bool:
    return row.kind in set(ConversationKind)


def _chat_view(db: Db, me: UserId, row: Conversation) -> ChatView:
    circle = _Circle(db, me, row)
    texts = [post for post in circle.queued if _is_text(post)]
    last: MessageView | None = None
    if texts:
        last = _queued_view(db, circle, texts[-1])
    else:
        newest = db.execute(
            f"{_SELECT} WHERE conversation = ? AND is_message ORDER BY seq DESC LIMIT 1", (row.key,)
        ).fetchone()
        if newest is not None:
            entry = _entries(db, circle, [EventRow(*newest)])[0]
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


def _entries(db: Db, circle: _Circle, rows: Sequence[EventRow]) -> list[MessageView | NoticeView]:
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
    circle: _Circle,
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


def _queued_view(db: Db, circle: _Circle, post: QueuedRow) -> MessageView:
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
        delivery=_queued_delivery(post, circle.recipients),
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


def _recipient(receipt: Receipt, seq: int) -> RecipientStatus:
    if receipt.read >= seq:
        state = DeliveryState.READ
    elif receipt.delivered >= seq:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.SENT
    return RecipientStatus(receipt.user, state)


def _is_text(post: QueuedRow) -> bool:
    return post.kind in ("text", FORWARD)


def _failure_of(post: QueuedRow) -> Failure | None:
    return Failure(post.code, post.sentence) if post.code else None


def _failure(post: QueuedRow) -> Failure | None:
    return _failure_of(post) if post.is_failed else None


def _queued_delivery(post: QueuedRow, recipients: int = 0) -> Delivery:
    state = DeliveryState.FAILED if post.is_failed else DeliveryState.QUEUED
    return Delivery(state, recipients, failure=_failure(post))
