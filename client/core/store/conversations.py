# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations as rows: what the server said of them, our cursors, drafts, receipts and held runs. No events here."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from client.core.ranges import Runs
from client.core.store.database import Db
from protocol.ids import ConversationId, DepartmentId, UserId
from protocol.messages.chat import Chat, ConversationKind, Cursor, Draft, Receipt


class Conversation(msgspec.Struct):
    """One row; what is changed here is written by ``write``."""

    key: int
    id: ConversationId
    kind: str
    title: str
    peer: UserId | None
    department: DepartmentId | None
    is_readers_only: int
    role: str
    member_count: int
    is_known: int
    first: int
    head: int
    ordinal: int
    stamp: int
    at_ms: int
    delivered: int
    read: int
    read_ordinal: int
    stated_delivered: int
    stated_read: int
    announced: int
    mentions: int
    is_muted: int
    is_pinned: int
    is_over: int
    draft: bytes | None
    is_draft_ours: int

    @property
    def unread(self) -> int:
        """Messages of others after the read cursor."""
        return max(0, self.ordinal - self.read_ordinal)


CONTESTED: Final = 2
"""Of ``is_draft_ours``: the server told of another draft while ours was on its way."""

_FIELDS: Final = Conversation.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_FIELDS)} FROM conversation"  # noqa: S608 - our own names
_CHANGEABLE: Final = tuple(name for name in _FIELDS if name not in ("key", "id"))
_UPDATE: Final = (
    f"UPDATE conversation SET {', '.join(f'{name} = ?' for name in _CHANGEABLE)} WHERE key = ?"  # noqa: S608 - our own names
)
_draft_decoder: Final = msgspec.msgpack.Decoder(Draft)


def find(db: Db, conversation: ConversationId) -> Conversation | None:
    """One conversation by its id."""
    row = db.execute(f"{_SELECT} WHERE id = ?", (conversation,)).fetchone()
    return None if row is None else Conversation(*row)


def find_key(db: Db, key: int) -> Conversation:
    """One conversation that is known to exist."""
    return Conversation(*db.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone())


def every(db: Db) -> list[Conversation]:
    """All conversations, those with the latest changes first."""
    rows = db.execute(f"{_SELECT} ORDER BY is_pinned DESC, stamp DESC, key DESC")
    return [Conversation(*row) for row in rows]


def write(db: Db, row: Conversation) -> None:
    """Keep the row as it is now."""
    db.execute(_UPDATE, (*(getattr(row, name) for name in _CHANGEABLE), row.key))


def begin(
    db: Db, conversation: ConversationId, kind: str, peer: UserId | None = None
) -> Conversation:
    """The row of a conversation, made when there is none yet."""
    db.execute(
        "INSERT OR IGNORE INTO conversation (id, kind, peer, member_count) VALUES (?, ?, ?, ?)",
        (conversation, kind, peer, 2 if kind == ConversationKind.DIRECT.value else 0),
    )
    return Conversation(*db.execute(f"{_SELECT} WHERE id = ?", (conversation,)).fetchone())


def take_chat(db: Db, chat: Chat, *, is_first_sync: bool = False) -> Conversation:
    """Merge what the server says of a conversation into its row; nothing that is newer here goes back.

    The row is written; its events are the caller's next step.
    """
    row = begin(db, chat.conversation, chat.kind, chat.peer)
    if not row.is_known:
        row.announced = chat.head if is_first_sync else max(chat.read, chat.first - 1)
    row.kind = chat.kind
    row.title = chat.title
    row.peer = chat.peer
    row.department = chat.department
    row.is_readers_only = chat.is_readers_only
    row.role = chat.role
    row.member_count = chat.member_count
    row.first = chat.first
    row.is_muted = chat.is_muted
    row.is_pinned = chat.is_pinned
    row.is_over = chat.is_over
    if chat.head >= row.head:
        row.head = chat.head
        row.ordinal = chat.ordinal
        if chat.read >= row.read:
            row.mentions = chat.mentions
    if chat.read >= row.read:
        row.read = chat.read
        row.read_ordinal = chat.ordinal - chat.unread
    row.delivered = max(row.delivered, chat.delivered, chat.first - 1)
    row.stated_delivered = chat.delivered
    row.stated_read = chat.read
    row.is_known = 1
    if not row.is_draft_ours:
        row.draft = encode_draft(chat.draft)
    elif _without_time(encode_draft(chat.draft)) != _without_time(row.draft):
        row.is_draft_ours = CONTESTED
    write(db, row)
    if chat.receipts:
        replace_receipts(db, row.key, chat.receipts)
    return row


def encode_draft(draft: Draft | None) -> bytes | None:
    """A draft as it is kept; an empty one is none."""
    return msgspec.msgpack.encode(draft) if draft and draft.text else None


def decode_draft(value: bytes | None) -> Draft | None:
    """A kept draft."""
    return None if value is None else _draft_decoder.decode(value)


# Drafts


def set_draft(db: Db, conversation: ConversationId, draft: Draft) -> bool:
    """Keep a draft of ours until the server has it; whether it differs from what was there."""
    row = find(db, conversation)
    if row is None:
        return False
    value = encode_draft(draft)
    if _without_time(value) == _without_time(row.draft):
        return False
    row.draft = value
    row.is_draft_ours = 1
    write(db, row)
    return True


def drafts_to_tell(db: Db) -> list[tuple[ConversationId, bytes | None, bool]]:
    """Drafts of ours that the server has not accepted yet, and whether it has told of their conversations."""
    return db.execute("SELECT id, draft, is_known FROM conversation WHERE is_draft_ours").fetchall()


def draft_told(db: Db, conversation: ConversationId, told: bytes | None) -> bool:
    """The server has this draft; unless it was changed since, it is not ours alone any more.

    True: another one came meanwhile, and only the server knows which of the two was later.
    """
    row = find(db, conversation)
    if row is None or row.draft != told:
        return False
    is_contested = row.is_draft_ours == CONTESTED
    row.is_draft_ours = 0
    write(db, row)
    return is_contested


def _without_time(value: bytes | None) -> Draft | None:
    draft = decode_draft(value)
    return None if draft is None else msgspec.structs.replace(draft, at_ms=0)


# Cursors


def cursors_to_tell(db: Db) -> list[Cursor]:
    """Cursors that are ahead of what the server has said to know."""
    rows = db.execute(
        "SELECT id, delivered, read FROM conversation"
        " WHERE is_known AND (delivered > stated_delivered OR read > stated_read)"
    )
    return [Cursor(*row) for row in rows]


def cursors_stated(db: Db, cursors: Iterable[Cursor]) -> None:
    """The server has these cursors."""
    db.executemany(
        "UPDATE conversation SET stated_delivered = max(stated_delivered, ?),"
        " stated_read = max(stated_read, ?) WHERE id = ?",
        [(cursor.delivered, cursor.read, cursor.conversation) for cursor in cursors],
    )


# Receipts of others


def replace_receipts(db: Db, key: int, receipts: Sequence[Receipt]) -> None:
    """These are all the other members; cursors never go back."""
    known = {
        user for (user,) in db.execute("SELECT user FROM receipt WHERE conversation=?", (key,))
    }
    gone = known.difference(receipt.user for receipt in receipts)
    remove_receipts(db, key, gone)
    move_receipts(db, key, receipts)


def move_receipts(db: Db, key: int, receipts: Iterable[Receipt]) -> None:
    """Move cursors of others forward; who was not known becomes known."""
    db.executemany(
        "INSERT INTO receipt (conversation, user, delivered, read) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered),"
        " read = max(read, excluded.read)",
        [(key, one.user, max(one.delivered, one.read), one.read) for one in receipts],
    )


def advance_receipts(db: Db, key: int, receipts: Iterable[Receipt]) -> set[UserId]:
    """The same of those alone whose cursors are known here; whose moved."""
    moved = set()
    for one in receipts:
        done = db.execute(
            "UPDATE receipt SET delivered = max(delivered, ?), read = max(read, ?)"
            " WHERE conversation = ? AND user = ? AND (delivered < ? OR read < ?)",
            (one.delivered, one.read, key, one.user, one.delivered, one.read),
        )
        if done.rowcount:
            moved.add(one.user)
    return moved


def remove_receipts(db: Db, key: int, users: Iterable[UserId]) -> None:
    """These are no members any more."""
    db.executemany(
        "DELETE FROM receipt WHERE conversation = ? AND user = ?", [(key, user) for user in users]
    )


def receipts(db: Db, key: int) -> list[Receipt]:
    """How far the others have got, as far as it is known here."""
    rows = db.execute(
        "SELECT user, delivered, read FROM receipt WHERE conversation = ? ORDER BY user", (key,)
    )
    return [Receipt(*row) for row in rows]


# Held runs


def held(db: Db, key: int) -> Runs:
    """The runs of numbers of which every event is here."""
    rows: list[Any] = db.execute(
        "SELECT first, last FROM held WHERE conversation = ? ORDER BY first", (key,)
    ).fetchall()
    return tuple(rows)


def keep_held(db: Db, key: int, before: Runs, after: Runs) -> None:
    """Write the runs that differ."""
    gone = set(before).difference(after)
    come = set(after).difference(before)
    db.executemany(
        "DELETE FROM held WHERE conversation = ? AND first = ?", [(key, run[0]) for run in gone]
    )
    db.executemany(
        "INSERT INTO held (conversation, first, last) VALUES (?, ?, ?)",
        [(key, *run) for run in come],
    )


# The whole copy


def forget_copy(db: Db) -> None:
    """Forget everything that the server can tell again. Queued posts, drafts of ours and the directory stay."""
    for table in ("event", "held", "reaction", "receipt", "word"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    db.execute(
        "UPDATE conversation SET is_known = 0, first = 1, head = 0, ordinal = 0, stamp = 0,"
        " at_ms = 0, delivered = 0, read = 0, read_ordinal = 0, stated_delivered = 0,"
        " stated_read = 0, announced = 0, mentions = 0,"
        " draft = CASE WHEN is_draft_ours THEN draft END"
    )


def drop_unknown(db: Db) -> None:
    """After a synchronisation from the start: forget conversations that the server has not and nothing here needs."""
    db.execute(
        "DELETE FROM conversation WHERE NOT is_known AND NOT is_draft_ours"
        " AND id NOT IN (SELECT conversation FROM outbox)"
    )
