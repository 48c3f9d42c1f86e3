# SPDX-License-Identifier: GPL-3.0-or-later
"""Members' cursors that moved and are not on disk yet."""

from collections.abc import Iterable

from protocol.ids import ConversationId
from server.services.conversation import Conversation, Membership
from server.store.cursors import CursorRow


class MovedCursors:
    """What the next flush writes. The numbers themselves stand in the memberships."""

    def __init__(
        self,
        moved: dict[Membership, Conversation] | None = None,
        touched: dict[ConversationId, Conversation] | None = None,
    ) -> None:
        self._moved = moved or {}
        self._touched = touched or {}

    def add(self, conversation: Conversation, member: Membership) -> None:
        """A member's cursors moved."""
        self._moved[member] = conversation

    def touch(self, conversation: Conversation) -> None:
        """Others will want to know: the conversation counts as changed."""
        self._touched[conversation.id] = conversation

    def forget(self, member: Membership) -> None:
        """The membership was replaced by another."""
        self._moved.pop(member, None)

    def conversations(self) -> set[ConversationId]:
        """The conversations that may not leave the memory yet."""
        return {c.id for c in self._moved.values()} | self._touched.keys()

    def take(self) -> "MovedCursors":
        """What moved since the last time; from now on this starts anew."""
        taken = MovedCursors(self._moved, self._touched)
        self._moved, self._touched = {}, {}
        return taken

    def give_back(self, taken: "MovedCursors") -> None:
        """What was taken could not be written."""
        self._moved = dict(taken.moved()) | self._moved
        self._touched = {c.id: c for c in taken.touched()} | self._touched

    def moved(self) -> Iterable[tuple[Membership, Conversation]]:
        """Whose cursors moved, and where."""
        return self._moved.items()

    def touched(self) -> Iterable[Conversation]:
        """The conversations that count as changed."""
        return self._touched.values()

    def rows(self) -> list[CursorRow]:
        """The cursors as they are now, in the order of the store."""
        rows = [
            CursorRow(m.delivered, m.read, m.read_ordinal, m.stamp, c.key, m.key)
            for m, c in self._moved.items()
        ]
        rows.sort(key=lambda row: (row.conversation, row.user))
        return rows

    def touched_rows(self) -> list[tuple[int, int]]:
        """Stamp and key of the conversations that count as changed, in the order of the store."""
        return sorted(((c.touched, c.key) for c in self._touched.values()), key=lambda row: row[1])
