# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what is queued: in order within a conversation, conversations side by side, until the server has it.

Theory: one lane for each conversation with something to send, one request at a time in it. The row goes only with the
server's acknowledgement, in the transaction that puts the message into the copy. Whatever happens in between, the same id is
posted again, and the server answers as it did before.
"""

import asyncio
import logging
from functools import partial
from random import Random
from typing import Final

import msgspec

from client.core import errands
from client.core.backoff import Backoff
from client.core.board import Board
from client.core.errands import Errands
from client.core.errors import NotSignedIn, Offline, Refused, StoreFailed
from client.core.events import ChatsChanged, MessageFailed, MessagesChanged
from client.core.feed import Feed
from client.core.session import Session
from client.core.status import Outgoing
from client.core.store import landing
from client.core.store import outbox as rows
from client.core.store.database import Database
from client.core.store.landing import Landing
from client.core.store.outbox import FORWARD, QueuedRow
from client.core.sync import Synchroniser
from protocol.errors import ErrorCode
from protocol.ids import ConversationId
from protocol.messages.chat import Forward, GetHistory, Post, Posted

LOG = logging.getLogger("lanyard.core.outbox")

MAX_LANES: Final = 16
"""Conversations that are sent to at once; leaves most of the requests in flight to what people wait for."""
ABOUT_THE_SESSION: Final = frozenset(
    (ErrorCode.NOT_SIGNED_IN, ErrorCode.SESSION_ENDED, ErrorCode.PASSWORD_CHANGE_REQUIRED)
)
"""Refusals that say nothing about the message: it waits for the next session."""


class Outbox:
    """The queue and its lanes."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        synchroniser: Synchroniser,
        feed: Feed,
        board: Board,
        errands: Errands,
        random: Random,
    ) -> None:
        self._session = session
        self._database = database
        self._synchroniser = synchroniser
        self._feed = feed
        self._board = board
        self._random = random
        self._lanes: dict[ConversationId, asyncio.Task[None]] = {}
        self._held_back: dict[ConversationId, asyncio.TimerHandle] = {}
        self._backoffs: dict[ConversationId, Backoff] = {}
        self._is_stopped = False
        self._scan = errands.new("outbox", self._open_lanes)
        self._count = errands.new("outbox count", self.count)
        session.on_open(self._begin)
        synchroniser.on_landing(self._landed)

    def wake(self) -> None:
        """Something was queued, retried or discarded."""
        self._scan.wake()
        self._count.wake()

    async def count(self) -> None:
        """Bring the status up to date."""
        queued, failed = await self._database.run(rows.counts)
        self._board.set(outgoing=Outgoing(queued, failed))

    async def stop(self) -> None:
        """End all lanes where they stand; nothing is lost by it."""
        self._is_stopped = True
        self._release_all()
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        if lanes:
            await asyncio.wait(lanes)

    def _begin(self) -> None:
        # A new session: what was held back for the old one is tried at once.
        self._release_all()
        self._scan.wake()

    def _landed(self, landed: Landing) -> None:
        if landed.sent:
            self._count.wake()

    def _release_all(self) -> None:
        for timer in self._held_back.values():
            timer.cancel()
        self._held_back.clear()

    async def _open_lanes(self) -> None:
        if not self._session.is_open or self._is_stopped:
            return
        for conversation in await self._database.run(rows.waiting_conversations):
            if len(self._lanes) >= MAX_LANES:
                break
            if conversation in self._lanes or conversation in self._held_back:
                continue
            lane = asyncio.get_running_loop().create_task(
                self._send_all(conversation), name="lanyard lane"
            )
            self._lanes[conversation] = lane
            lane.add_done_callback(partial(self._lane_ended, conversation))

    def _lane_ended(self, conversation: ConversationId, lane: "asyncio.Task[None]") -> None:
        del self._lanes[conversation]
        if lane.cancelled():
            return
        if (error := lane.exception()) is not None:
            LOG.critical("a lane of the outbox died of a fault of its own", exc_info=error)
        elif self._session.is_open and not self._is_stopped:
            # Others may have waited for a free lane, or something was queued as this one ended.
            self._scan.wake()

    async def _send_all(self, conversation: ConversationId) -> None:
        backoff = self._backoffs.get(conversation) or Backoff(
            self._random, first_s=errands.FIRST_RETRY_S, longest_s=errands.LONGEST_RETRY_S
        )
        try:
            while queued := await self._database.run(rows.next_of, conversation):
                try:
                    posted = await self._send(queued)
                except Refused as refusal:
                    if not await self._refused(queued, refusal, backoff):
                        return
                else:
                    await self._synchroniser.land(landing.land_posted, queued, posted)
                    self._backoffs.pop(conversation, None)
        except (Offline, NotSignedIn):
            self._hold_back(conversation, None)
        except StoreFailed as error:
            LOG.warning("the outbox waits: %s", error)
            self._hold_back(conversation, backoff.next_s())

    async def _send(self, queued: QueuedRow) -> Posted:
        if queued.kind == FORWARD:
            return await self._forward(queued)
        content = msgspec.Raw(queued.content)
        return await self._session.request(
            Post(queued.conversation, queued.id, content, queued.peer)
        )

    async def _forward(self, queued: QueuedRow) -> Posted:
        """Forward, and fetch what the server made of it before the post counts as sent."""
        conversation, source = queued.conversation, queued.target or b""
        posted = await self._session.request(Forward(conversation, queued.id, source, queued.peer))
        history = await self._session.request(
            GetHistory(conversation, after=posted.seq - 1, limit=1)
        )
        await self._synchroniser.land(landing.land_history, history, posted.seq, posted.seq)
        return posted

    async def _refused(self, queued: QueuedRow, refusal: Refused, backoff: Backoff) -> bool:
        """Note a refusal; whether the next post of the conversation may be sent."""
        code = refusal.code.value
        if refusal.code in ABOUT_THE_SESSION:
            self._hold_back(queued.conversation, None)
            return False
        if refusal.is_transient:
            await self._database.run(rows.attempted, queued.id, code, refusal.sentence)
            self._backoffs[queued.conversation] = backoff
            delay_s = backoff.next_s(at_least_s=refusal.retry_after_ms / 1000)
            LOG.info("a post is tried again in %.1f s: %s", delay_s, code)
            self._hold_back(queued.conversation, delay_s)
            return False
        await self._database.run(rows.fail, queued.id, code, refusal.sentence)
        LOG.info("a post was refused for good: %s", code)
        self._feed.publish(MessageFailed(queued.conversation, queued.id, code, refusal.sentence))
        if queued.target is not None:
            self._feed.publish(MessagesChanged(queued.conversation, frozenset((queued.target,))))
        self._feed.publish(ChatsChanged(frozenset((queued.conversation,))))
        self._count.wake()
        return True

    def _hold_back(self, conversation: ConversationId, delay_s: float | None) -> None:
        """Leave a conversation alone for a while; None: until the next session."""
        if delay_s is None:
            if self._session.is_open:
                delay_s = errands.FIRST_RETRY_S
            else:
                return

        def release() -> None:
            self._held_back.pop(conversation, None)
            self._scan.wake()

        self._held_back[conversation] = asyncio.get_running_loop().call_later(delay_s, release)
