# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the server how far our cursors are: collected for a moment, repeated after a reconnect until it is known to have them."""

from typing import Final

from client.core.errands import Errands
from client.core.session import Session
from client.core.store import conversations
from client.core.store.database import Database
from protocol.ids import ConversationId
from protocol.limits import MAX_CURSORS_PER_MESSAGE
from protocol.messages.chat import Cursor, Cursors

COLLECT_S: Final = 0.3
"""Long enough to put a burst into one message, short enough that ticks seem to move at once."""


class CursorTeller:
    """Our delivered and read cursors on their way to the server."""

    def __init__(self, session: Session, database: Database, errands: Errands) -> None:
        self._session = session
        self._database = database
        self._errand = errands.new("cursors", self.tell)
        self._told: dict[ConversationId, Cursor] = {}
        session.on_close(self._told.clear)

    def moved(self) -> None:
        """A cursor of ours may have moved."""
        self._errand.wake(COLLECT_S)

    async def tell(self) -> None:
        """Tell what the server was not told in this session. A note has no answer: see ``told``."""
        if not self._session.is_open:
            return
        cursors = await self._database.run(conversations.cursors_to_tell)
        news = [one for one in cursors if self._told.get(one.conversation) != one]
        for start in range(0, len(news), MAX_CURSORS_PER_MESSAGE):
            batch = tuple(news[start : start + MAX_CURSORS_PER_MESSAGE])
            if not self._session.note(Cursors(batch)):
                return
            self._told.update((one.conversation, one) for one in batch)

    def told(self) -> list[Cursor]:
        """What was told so far. Any later answer of the server proves that it has them: it takes messages in order."""
        return list(self._told.values())
