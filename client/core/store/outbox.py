# SPDX-License-Identifier: GPL-3.0-or-later
"""Posts that the server has not confirmed, in the order in which they were made. A row goes only when the server has the post,
or when the user discards it."""

from typing import Final

import msgspec

from client.core.errors import NotFound
from client.core.store import conversations, events
from client.core.store.conversations import Conversation
from client.core.store.database import Db
from client.core.store.events import Taken
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.chat import ConversationKind, Event, Posted

FORWARD: Final = "forward"
"""The kind of a post whose content the server makes; ``target`` is the message to copy."""


class QueuedRow(msgspec.Struct, frozen=True):
    """One queued post."""

    position: int
    id: MessageId
    conversation: ConversationId
    peer: UserId | None
    kind: str
    """The kind of its content (``text``, ``edit``, ``recall``, ``react``), or FORWARD."""
    content: bytes
    target: MessageId | None
    created_ms: int
    attempts: int
    is_failed: int
    code: str
    sentence: str


_SELECT: Final = f"SELECT {', '.join(QueuedRow.__struct_fields__)} FROM outbox"  # noqa: S608 - our own names


def put(
    db: Db,
    *,
    post: MessageId,
    conversation: ConversationId,
    peer: UserId | None,
    kind: str,
    content: bytes,
    target: MessageId | None,
    created_ms: int,
) -> None:
    """Queue a post; its conversation begins when it is the first one to a person. Raises NotFound for a group that is not here."""
    if conversations.find(db, conversation) is None:
        if peer is None:
            raise NotFound("There is no such conversation on this computer.")
        conversations.begin(db, conversation, ConversationKind.DIRECT.value, peer)
    db.execute(
        "INSERT INTO outbox (id, conversation, peer, kind, content, target, created_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (post, conversation, peer, kind, content, target, created_ms),
    )


def waiting_conversations(db: Db) -> list[ConversationId]:
    """Conversations with something to send, the longest waiting first."""
    rows = db.execute(
        "SELECT conversation FROM outbox WHERE NOT is_failed"
        " GROUP BY conversation ORDER BY min(position)"
    )
    return [row[0] for row in rows]


def next_of(db: Db, conversation: ConversationId) -> QueuedRow | None:
    """What is to be sent next in a conversation."""
    row = db.execute(
        f"{_SELECT} WHERE conversation = ? AND NOT is_failed ORDER BY position LIMIT 1",
        (conversation,),
    ).fetchone()
    return None if row is None else QueuedRow(*row)


def find(db: Db, post: MessageId) -> QueuedRow | None:
    """A queued post."""
    row = db.execute(f"{_SELECT} WHERE id = ?", (post,)).fetchone()
    return None if row is None else QueuedRow(*row)


def of_conversation(db: Db, conversation: ConversationId) -> list[QueuedRow]:
    """All queued posts of a conversation, failed ones included."""
    rows = db.execute(f"{_SELECT} WHERE conversation = ? ORDER BY position", (conversation,))
    return [QueuedRow(*row) for row in rows]


def every(db: Db) -> list[QueuedRow]:
    """All queued posts."""
    return [QueuedRow(*row) for row in db.execute(f"{_SELECT} ORDER BY position")]


def counts(db: Db) -> tuple[int, int]:
    """How many posts wait, and how many have failed."""
    queued, failed = db.execute(
        "SELECT count(*) FILTER (WHERE NOT is_failed), count(*) FILTER (WHERE is_failed) FROM outbox"
    ).fetchone()
    return queued, failed


def confirm(db: Db, me: UserId, queued: QueuedRow, posted: Posted) -> Taken | None:
    """The server has the post: out of the outbox and into the copy, in one step. None when it was confirmed before."""
    db.execute("DELETE FROM outbox WHERE id = ?", (queued.id,))
    row = conversations.find(db, queued.conversation)
    if row is None:
        row = conversations.begin(
            db, queued.conversation, ConversationKind.DIRECT.value, queued.peer
        )
    if queued.kind == FORWARD:
        # What the server made of it has to be fetched: until then it is a gap.
        if posted.seq <= row.head:
            return None
        row.head, row.ordinal = posted.seq, posted.ordinal
        row.stamp, row.at_ms = posted.stamp, posted.at_ms
        row.read, row.read_ordinal, row.mentions = posted.seq, posted.ordinal, 0
        conversations.write(db, row)
        return Taken(row.key, row.id, is_changed=True, has_gap=True)
    event = Event(
        conversation=queued.conversation,
        seq=posted.seq,
        stamp=posted.stamp,
        id=queued.id,
        sender=me,
        at_ms=posted.at_ms,
        ordinal=posted.ordinal,
        content=msgspec.Raw(queued.content),
    )
    return events.take_events(db, me, row, [event])


def attempted(db: Db, post: MessageId, code: str, sentence: str) -> None:
    """An attempt met a refusal that may pass."""
    db.execute(
        "UPDATE outbox SET attempts = attempts + 1, code = ?, sentence = ? WHERE id = ?",
        (code, sentence, post),
    )


def fail(db: Db, post: MessageId, code: str, sentence: str) -> None:
    """The post was refused for good."""
    db.execute(
        "UPDATE outbox SET attempts = attempts + 1, is_failed = 1, code = ?, sentence = ?"
        " WHERE id = ?",
        (code, sentence, post),
    )


def retry(db: Db, post: MessageId) -> QueuedRow | None:
    """Queue a failed post again, behind what was queued since; None when there is none."""
    queued = find(db, post)
    if queued is None:
        return None
    if queued.is_failed:
        db.execute("DELETE FROM outbox WHERE id = ?", (post,))
        db.execute(
            "INSERT INTO outbox (id, conversation, peer, kind, content, target, created_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                queued.id,
                queued.conversation,
                queued.peer,
                queued.kind,
                queued.content,
                queued.target,
                queued.created_ms,
            ),
        )
    return queued


def discard(db: Db, post: MessageId) -> QueuedRow | None:
    """Forget a queued post; a conversation that only it had begun goes with it. None when there is none."""
    queued = find(db, post)
    if queued is None:
        return None
    db.execute("DELETE FROM outbox WHERE id = ?", (post,))
    row: Conversation | None = conversations.find(db, queued.conversation)
    if row is not None and not row.is_known and not of_conversation(db, queued.conversation):
        db.execute("DELETE FROM conversation WHERE key = ? AND NOT is_draft_ours", (row.key,))
    return queued
