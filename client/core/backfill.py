# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches what is missing: in the background what is between and after what is held, on request what is older."""

import logging
from collections import deque
from typing import Final

from client.core.board import Board
from client.core.errands import Errands
from client.core.errors import Refused
from client.core.session import Session
from client.core.status import Progress
from client.core.store import landing, timeline
from client.core.store.database import Database
from client.core.store.landing import Landing
from client.core.sync import Synchroniser
from protocol.ids import ConversationId
from protocol.limits import MAX_HISTORY_EVENTS
from protocol.messages.chat import GetHistory

LOG = logging.getLogger("lanyard.core.sync")

MAX_LOOKED_AT: Final = 8
"""Conversations whose gaps go first: as many as somebody has had open lately."""


class Backfill:
    """Gaps on their way to being filled."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        synchroniser: Synchroniser,
        board: Board,
        errands: Errands,
    ) -> None:
        self._session = session
        self._database = database
        self._synchroniser = synchroniser
        self._board = board
        self._looked_at: deque[ConversationId] = deque(maxlen=MAX_LOOKED_AT)
        self._hopeless: set[ConversationId] = set()
        self._most_missing = 0
        self._errand = errands.new("gaps", self._fill)
        session.on_open(self._begin)
        synchroniser.on_landing(self._landed)

    def look_at(self, conversation: ConversationId) -> None:
        """Somebody looks at this conversation: its gaps go first."""
        if conversation in self._looked_at:
            self._looked_at.remove(conversation)
        self._looked_at.appendleft(conversation)
        self._errand.wake()

    async def fetch(self, conversation: ConversationId, first: int, last: int) -> Landing:
        """Fetch the newest page of first..last. Raises Refused, Offline, NotSignedIn."""
        limit = min(MAX_HISTORY_EVENTS, max(1, last - first + 1))
        request = GetHistory(conversation, before=last + 1, limit=limit)
        history = await self._session.request(request)
        return await self._synchroniser.land(landing.land_history, history, first, last)

    async def fetch_all(self, conversation: ConversationId) -> None:
        """Fetch everything back to the first number that we may see. Raises Refused, Offline, NotSignedIn, NotFound."""
        before: tuple[int, int] | None = None
        while True:
            first, last, _ = await self._database.run(timeline.run_below, conversation, None)
            if not last or (first, last) == before:
                return
            before = first, last
            await self.fetch(conversation, first, last)

    def _begin(self) -> None:
        self._hopeless.clear()
        self._errand.wake()

    def _landed(self, landed: Landing) -> None:
        if landed.has_gaps:
            self._errand.wake()

    async def _fill(self) -> None:
        before: landing.Gap | None = None
        while self._session.is_open:
            gaps = await self._database.run(
                landing.wanted_gaps, tuple(self._looked_at), self._hopeless
            )
            self._most_missing = max(self._most_missing, gaps.missing)
            done = self._most_missing - gaps.missing
            self._board.set(progress=Progress(done, self._most_missing))
            gap = gaps.next
            if gap is None:
                self._most_missing = 0
                return
            if gap == before:
                # The server has nothing there for us; it would be asked for ever.
                LOG.warning("numbers %d to %d of a conversation can't be had", gap.first, gap.last)
                self._hopeless.add(gap.conversation)
                continue
            before = gap
            try:
                await self.fetch(gap.conversation, gap.first, gap.last)
            except Refused as refusal:
                if refusal.is_transient:
                    raise
                LOG.warning("a gap can't be filled: %s", refusal)
                self._hopeless.add(gap.conversation)
