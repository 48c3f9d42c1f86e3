# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: finding messages in the copy. The index follows behind the writes, in batches; a query waits until it has caught up."""

from dataclasses import dataclass
from typing import Final

from client.core.errands import Errands
from client.core.session import Session
from client.core.store import timeline, words
from client.core.store.database import Database, Db
from client.core.store.landing import Landing
from client.core.sync import Synchroniser
from client.core.views import MessageView
from protocol.ids import ConversationId, UserId

SETTLE_S: Final = 0.5
"""After a write: what people wait for goes first."""
MAX_FOUND: Final = 200
"""Messages in one answer."""
CATCH_UP_BATCHES: Final = 50
"""Batches that a query waits for: ten thousand messages, about half a second; what is older than those comes with the next query."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Messages that match, newest first."""

    messages: tuple[MessageView, ...]
    before: int | None
    """Ask for the next page with it; None: there is no more."""


class SearchRoom:
    """Words of messages. Works without the server; finds what is on this computer."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        synchroniser: Synchroniser,
        errands: Errands,
    ) -> None:
        self._session = session
        self._database = database
        self._errand = errands.new("search index", self._index)
        synchroniser.on_landing(self._landed)

    def begin(self) -> None:
        """Index what an earlier run left."""
        self._errand.wake(SETTLE_S)

    async def messages(
        self,
        text: str,
        *,
        conversation: ConversationId | None = None,
        sender: UserId | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> SearchPage:
        """Messages in which all words occur, newest first. In scripts without spaces any part of a word is found."""
        for _ in range(CATCH_UP_BATCHES):
            if await self._database.run(words.index_some) < words.INDEX_BATCH:
                break
        limit = min(limit, MAX_FOUND)
        stamps, views = await self._database.run(
            _find, self._session.me, text, conversation, sender, before, limit
        )
        return SearchPage(views, stamps[-1] if len(stamps) == limit else None)

    def _landed(self, landed: Landing) -> None:
        if landed.chats:
            self._errand.wake(SETTLE_S)

    async def _index(self) -> None:
        while await self._database.run(words.index_some) == words.INDEX_BATCH:
            pass  # one batch after the other; between two of them others have their turn


def _find(
    db: Db,
    me: UserId,
    text: str,
    conversation: ConversationId | None,
    sender: UserId | None,
    before: int | None,
    limit: int,
) -> tuple[list[int], tuple[MessageView, ...]]:
    stamps = words.find(
        db, text, conversation=conversation, sender=sender, before=before, limit=limit
    )
    return stamps, timeline.messages_by_stamp(db, me, stamps)
