# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the copy as it is shown: messages with everything applied, pages of history, the list of conversations."""

from collections.abc import Sequence

from client.core import ranges
from client.core.errors import NotFound
from client.core.status import (
    AtServer,
    DeliveryState,
    MessageStatus,
    QueuedHere,
    RecipientStatus,
)
from client.core.store import conversations, outbox
from client.core.store.conversations import Conversation
from client.core.store.database import Db
from client.core.store.shown import (
    SELECT,
    SHOWN,
    Circle,
    EventRow,
    chat_view,
    entries_of,
    failure_of,
    is_text,
    queued_delivery,
    queued_view,
)
from client.core.views import (
    ChatView,
    Completeness,
    Entry,
    GapView,
    HistoryPage,
    MessageView,
)
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.chat import ConversationKind, Receipt


def history(
    db: Db, me: UserId, conversation: ConversationId, before: int | None, limit: int
) -> HistoryPage:
    """The newest shown entries below a number, as far as they are here, with gaps named."""
    row = _row(db, conversation)
    circle = Circle(db, me, row)
    top = row.head if before is None else before - 1
    found = [
        EventRow(*each)
        for each in db.execute(
            f"{SELECT} WHERE conversation = ? AND seq <= ? AND {SHOWN} ORDER BY seq DESC LIMIT ?",
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
    entries += entries_of(db, circle, found)
    if before is None:
        entries += (queued_view(db, circle, post) for post in circle.queued if is_text(post))
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
    circle = Circle(db, me, conversations.find_key(db, key))
    rows = db.execute(
        f"{SELECT} WHERE conversation = ? AND seq BETWEEN ? AND ? AND is_message ORDER BY seq",
        (key, first, last),
    )
    found = entries_of(db, circle, [EventRow(*each) for each in rows])
    return tuple(entry for entry in found if isinstance(entry, MessageView))


def message(db: Db, me: UserId, wanted: MessageId) -> MessageView:
    """One message, queued or not. Raises NotFound."""
    found = db.execute(f"{SELECT} WHERE id = ? AND is_message", (wanted,)).fetchone()
    if found is not None:
        event = EventRow(*found)
        circle = Circle(db, me, conversations.find_key(db, event.conversation))
        view = entries_of(db, circle, [event])[0]
        if isinstance(view, MessageView):
            return view
    post = outbox.find(db, wanted)
    if post is not None and is_text(post):
        return queued_view(db, Circle(db, me, _row(db, post.conversation)), post)
    raise NotFound("There is no such message on this computer.")


def messages_by_stamp(db: Db, me: UserId, stamps: Sequence[int]) -> tuple[MessageView, ...]:
    """The messages with these stamps, in the order asked for."""
    circles: dict[int, Circle] = {}
    views: list[MessageView] = []
    for stamp in stamps:
        found = db.execute(f"{SELECT} WHERE stamp = ? AND is_message", (stamp,)).fetchone()
        if found is None:
            continue
        event = EventRow(*found)
        circle = circles.get(event.conversation)
        if circle is None:
            circle = Circle(db, me, conversations.find_key(db, event.conversation))
            circles[event.conversation] = circle
        views += (one for one in entries_of(db, circle, [event]) if isinstance(one, MessageView))
    return tuple(views)


def where(db: Db, me: UserId, wanted: MessageId, asked: Sequence[Receipt] = ()) -> MessageStatus:
    """Where a post of ours is; ``asked``: cursors that the server told on request. Raises NotFound."""
    post = outbox.find(db, wanted)
    if post is not None:
        before = [
            each for each in outbox.of_conversation(db, post.conversation) if not each.is_failed
        ]
        position = sum(each.position < post.position for each in before)
        here = QueuedHere(post.created_ms, position, post.attempts, failure_of(post))
        return MessageStatus(post.id, post.conversation, queued_delivery(post), here=here)
    found = db.execute(f"{SELECT} WHERE id = ?", (wanted,)).fetchone()
    if found is None:
        raise NotFound("There is no such message on this computer.")
    event = EventRow(*found)
    circle = Circle(db, me, conversations.find_key(db, event.conversation))
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
    views = [chat_view(db, me, row) for row in conversations.every(db) if _is_listed(row)]
    # Stable: within each group the order by stamp stays.
    views.sort(key=lambda chat: (not chat.is_pinned, not (chat.queued or chat.failed)))
    return tuple(views)


def chat(db: Db, me: UserId, conversation: ConversationId) -> ChatView:
    """One conversation. Raises NotFound."""
    return chat_view(db, me, _row(db, conversation))


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
        if post is None or not is_text(post):
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


def _recipient(receipt: Receipt, seq: int) -> RecipientStatus:
    if receipt.read >= seq:
        state = DeliveryState.READ
    elif receipt.delivered >= seq:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.SENT
    return RecipientStatus(receipt.user, state)
