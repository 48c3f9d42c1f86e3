# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the copy equal to the server: catches up after each sign-in, takes pushes in order, asks about what it does not know."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from client.core.announce import announce
from client.core.board import Board
from client.core.cursors import CursorTeller
from client.core.errands import Errands
from client.core.errors import Refused
from client.core.feed import Feed
from client.core.session import Session
from client.core.status import Phase, Progress
from client.core.store import landing, meta
from client.core.store.database import Database
from client.core.store.landing import Landing
from protocol.errors import ErrorCode
from protocol.ids import ConversationId
from protocol.messages.chat import ChatChanged, Events, GetChat, Receipts, Sync
from protocol.messages.kinds import Push
from protocol.messages.session import Behind

LOG = logging.getLogger("lanyard.core.sync")

MAX_WAITING_PUSHES: Final = 2_000
"""Pushes that wait for the disk; then nothing more is read, and the server keeps or drops what it has for us."""
MAX_BATCH_PUSHES: Final = 500
"""Pushes written in one transaction: nobody waits for it longer than some ten milliseconds."""
RESYNC_AFTER_S: Final = 3600.0
"""A long session is compared with the server from time to time: the stamp moves on, so that a reconnect has less to fetch."""


class Synchroniser:
    """Pages of synchronisation and pushes, on their way into the copy."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        feed: Feed,
        board: Board,
        cursors: CursorTeller,
        errands: Errands,
    ) -> None:
        self._session = session
        self._database = database
        self._feed = feed
        self._board = board
        self._cursors = cursors
        self._pushes: deque[Push] = deque()
        self._is_paused = False
        self._is_synchronised = False
        self._unknown: set[ConversationId] = set()
        self._on_landing: list[Callable[[Landing], None]] = []
        self._sync = errands.new("synchronisation", self._synchronise)
        self._intake = errands.new("pushes", self._take_pushes)
        self._inquiry = errands.new("inquiries", self._inquire)
        session.on_open(self._sync.wake)
        session.on_push(Events, self._pushed)
        session.on_push(ChatChanged, self._pushed)
        session.on_push(Receipts, self._pushed)
        session.on_push(Behind, self._fell_behind)
        session.on_close(self._session_closed)

    def on_landing(self, take: Callable[[Landing], None]) -> None:
        """Call with everything that lands: gaps, cursors and queued posts are other rooms' affairs."""
        self._on_landing.append(take)

    async def land(self, function: Callable[..., Landing], *args: object) -> Landing:
        """Run a landing function of the store and announce what it changed."""
        landed = await self._database.run(function, self._session.me, *args)
        self._landed(landed, is_live=False)
        return landed

    @property
    def is_idle(self) -> bool:
        """Nothing that came waits to be written."""
        return not self._pushes

    # Errands

    async def _synchronise(self) -> None:
        """Fetch what changed since the last time, page by page."""
        if not self._session.is_open:
            return
        await self._cursors.tell()
        told = self._cursors.told()
        stamp = await self._database.run(meta.load, meta.STAMP)
        is_first, since = stamp is None, stamp or 0
        cursor = b""
        done = 0
        while True:
            page = await self._session.request(Sync(since=since, cursor=cursor))
            landed = await self._database.run(
                landing.land_page, self._session.me, page, is_first_sync=is_first
            )
            done += len(page.chats)
            self._board.set(progress=Progress(done, done + (1 if page.cursor else 0)))
            self._landed(landed, is_live=False)
            if not page.cursor:
                break
            cursor = page.cursor
        await self._database.run(landing.finish_sync, page.stamp, is_first_sync=is_first, told=told)
        self._is_synchronised = True
        if self._board.status.connection.phase is Phase.SYNCING:
            self._board.enter(Phase.CONNECTED)
        LOG.info("synchronised up to stamp %d, %d conversations had changed", page.stamp, done)
        self._inquiry.wake()
        self._sync.wake(RESYNC_AFTER_S)

    async def _take_pushes(self) -> None:
        """Write the pushes that wait."""
        while self._pushes:
            count = min(len(self._pushes), MAX_BATCH_PUSHES)
            batch = [self._pushes[place] for place in range(count)]
            landed = await self._database.run(landing.land_pushes, self._session.me, batch)
            for _ in range(count):
                self._pushes.popleft()
            if self._is_paused and len(self._pushes) < MAX_WAITING_PUSHES // 2:
                self._is_paused = False
                self._session.resume()
            self._landed(landed, is_live=True)

    async def _inquire(self) -> None:
        """Ask about conversations of which pushes told before the copy knew them, or whose facts may have changed in a gap."""
        # While a synchronisation runs, it may bring them by itself.
        while self._unknown and self._is_synchronised:
            conversation = next(iter(self._unknown))
            try:
                reply = await self._session.request(GetChat(conversation))
            except Refused as refusal:
                if refusal.is_transient:
                    raise
                if refusal.code is not ErrorCode.NOT_FOUND:
                    LOG.warning("a conversation can't be read: %s", refusal)
            else:
                await self.land(landing.land_chat, reply.chat)
            self._unknown.discard(conversation)

    # Private

    def _landed(self, landed: Landing, *, is_live: bool) -> None:
        announce(self._feed, landed, is_live=is_live)
        self._unknown.update(landed.unknown)
        if landed.unknown:
            self._inquiry.wake()
        for take in self._on_landing:
            take(landed)

    def _pushed(self, push: Push) -> None:
        self._pushes.append(push)
        if len(self._pushes) >= MAX_WAITING_PUSHES and not self._is_paused:
            self._is_paused = True
            self._session.pause()
        self._intake.wake()

    def _fell_behind(self, push: Behind) -> None:
        LOG.info("< the server left out pushes")
        self._sync.wake()

    def _session_closed(self) -> None:
        self._is_synchronised = False
        self._is_paused = False
