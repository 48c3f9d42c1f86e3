# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the core of one profile and is its only public face. What can be done stands in its rooms; what happens is published."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from types import TracebackType
from typing import Final, Self

from client.core.account import AccountRoom
from client.core.backfill import Backfill
from client.core.backoff import Backoff
from client.core.board import Board
from client.core.chats import ChatsRoom
from client.core.clock import Clock
from client.core.credentials import Credentials
from client.core.cursors import CursorTeller
from client.core.dial import Dial, dial_tls
from client.core.discovery import Browse, find_by_srv, find_on_network
from client.core.drafts import Drafts
from client.core.enrolment import Enrolment
from client.core.errands import Errands
from client.core.errors import (
    IdentityChanged,
    NotSignedIn,
    Offline,
    PasswordChangeRequired,
    Refused,
    ServerNotTrusted,
)
from client.core.events import Event
from client.core.feed import SUBSCRIBER_CAPACITY, Feed, Subscription
from client.core.groups import GroupsRoom
from client.core.line import Line
from client.core.messages import MessagesRoom
from client.core.outbox import Outbox
from client.core.people import PeopleRoom
from client.core.presence import PresenceRoom
from client.core.profile import Profile
from client.core.search import SearchRoom
from client.core.servers import Servers
from client.core.session import Session
from client.core.signin import device_info
from client.core.status import Phase, Status
from client.core.store import meta
from client.core.store.database import Database
from client.core.sync import Synchroniser
from client.core.typists import Typists
from client.core.views import Completeness
from protocol.errors import ErrorCode
from protocol.ids import ConversationId, uuid7
from protocol.messages.kinds import ReplyT_co, Request

FLUSH_POLL_S: Final = 0.05
"""At the end: how often to look whether everything has left."""


@dataclass(frozen=True)
class Surroundings:
    """What the core takes from the world; tests pass their own."""

    clock: Clock = field(default_factory=Clock)
    dial: Dial = dial_tls
    random: Random = field(default_factory=SystemRandom)
    entropy: Callable[[int], bytes] = os.urandom
    browsers: Sequence[Browse] = (find_by_srv, find_on_network)
    is_store_inline: bool = False


class Core:
    """One profile: its server, its account, its copy. Everything runs on one event loop."""

    def __init__(
        self,
        profile: Profile,
        database: Database,
        device: bytes,
        surroundings: Surroundings,
        *,
        device_kind: str,
        software: str,
    ) -> None:
        """Use ``open``."""
        clock, random = surroundings.clock, surroundings.random
        self._profile = profile
        self._database = database
        self._credentials = Credentials(profile.folder)
        self._feed = Feed()
        self._board = Board(self._feed)
        self._session = Session()
        self._errands = Errands(random)
        self._is_stopped = asyncio.Event()
        self._line = Line(
            session=self._session,
            board=self._board,
            feed=self._feed,
            database=database,
            credentials=self._credentials,
            clock=clock,
            dial=surroundings.dial,
            backoff=Backoff(random),
            device=device_info(device, device_kind),
            software=software,
        )
        # The order of construction is the order in which a sign-in rings the rooms.
        self._cursors = CursorTeller(self._session, database, self._errands)
        self._synchroniser = Synchroniser(
            session=self._session,
            database=database,
            feed=self._feed,
            board=self._board,
            cursors=self._cursors,
            errands=self._errands,
        )
        self._synchroniser.on_landing(lambda landed: self._cursors.moved())
        self._outbox = Outbox(
            session=self._session,
            database=database,
            synchroniser=self._synchroniser,
            feed=self._feed,
            board=self._board,
            errands=self._errands,
            random=random,
        )
        self._backfill = Backfill(
            session=self._session,
            database=database,
            synchroniser=self._synchroniser,
            board=self._board,
            errands=self._errands,
        )
        self._drafts = Drafts(self._session, database, self._synchroniser, self._errands)
        self._typists = Typists(self._session, self._feed)
        self._enrolment = Enrolment(self._session, self._credentials, clock, self._errands)

        def new_id() -> bytes:
            # The clock only makes ids of one device sort; it may be years off.
            return uuid7(max(0, clock.wall_ms()) % (1 << 48), surroundings.entropy(10))

        self.servers = Servers(
            database=database,
            line=self._line,
            dial=surroundings.dial,
            browsers=surroundings.browsers,
            software=software,
        )
        self.account = AccountRoom(
            session=self._session, line=self._line, board=self._board, erase=self._erase
        )
        self.people = PeopleRoom(
            session=self._session,
            database=database,
            feed=self._feed,
            errands=self._errands,
            random=random,
        )
        self.presence = PresenceRoom(session=self._session, feed=self._feed, errands=self._errands)
        self.chats = ChatsRoom(
            session=self._session,
            database=database,
            feed=self._feed,
            synchroniser=self._synchroniser,
            backfill=self._backfill,
            cursors=self._cursors,
            drafts=self._drafts,
            typists=self._typists,
        )
        self.groups = GroupsRoom(
            session=self._session,
            synchroniser=self._synchroniser,
            chats=self.chats,
            new_id=new_id,
        )
        self.messages = MessagesRoom(
            session=self._session,
            database=database,
            feed=self._feed,
            outbox=self._outbox,
            backfill=self._backfill,
            clock=clock,
            new_id=new_id,
        )
        self.search = SearchRoom(
            session=self._session,
            database=database,
            synchroniser=self._synchroniser,
            errands=self._errands,
        )

    @classmethod
    async def open(
        cls,
        folder: Path | str,
        *,
        device_kind: str = "desktop",
        software: str = "lanyard",
        surroundings: Surroundings | None = None,
    ) -> Self:
        """Open a profile; a new folder is a new one. Uses no network. Raises ProfileInUse, ProfileUnusable."""
        around = surroundings or Surroundings()
        profile = Profile(Path(folder))
        database = Database(profile.store_path, is_inline=around.is_store_inline)
        try:
            await database.open()
            device = await database.run(meta.device, uuid7(0, around.entropy(10)))
            core = cls(
                profile, database, device, around, device_kind=device_kind, software=software
            )
            await core._load()
        except BaseException:
            await database.close()
            profile.close()
            raise
        return core

    # Life

    @property
    def status(self) -> Status:
        """Where things stand now."""
        return self._board.status

    def start(self) -> None:
        """Begin to hold a connection."""
        self._line.start()

    async def run(self) -> None:
        """Hold a connection until ``stop`` is called from elsewhere."""
        self.start()
        await self._is_stopped.wait()

    async def stop(self, flush_s: float = 0.0) -> None:
        """Close in order. ``flush_s``: how long queued posts and cursors may take to leave, when the server is there."""
        if self._is_stopped.is_set():
            return
        if flush_s:
            await self._flush(flush_s)
        self._is_stopped.set()
        await self._outbox.stop()
        await self._errands.stop()
        await self._line.stop()
        self._typists.forget()
        self._feed.close()
        await self._database.close()
        self._profile.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def until_synchronised(self, timeout_s: float = 30.0) -> None:
        """Wait until the copy is equal to the server's.

        Raises what stands in the way: ServerNotTrusted, IdentityChanged, NotSignedIn, Refused, PasswordChangeRequired; Offline
        after the time.
        """
        self.start()
        try:
            async with asyncio.timeout(timeout_s):
                # The line needs its first turn before what it shows means something.
                await asyncio.sleep(0)
                while not self._is_synchronised():
                    await self._board.next_change()
        except TimeoutError as error:
            connection = self.status.connection
            raise Offline(connection.sentence or "The server did not answer in time.") from error

    def retry_now(self) -> None:
        """The user wants the server: skip the wait before the next attempt."""
        self._line.retry_now()

    def network_changed(self) -> None:
        """The computer's network is another one: try at once, and see whether an open connection still leads somewhere."""
        self._line.network_changed()

    # What happens

    def subscribe(self, capacity: int = SUBSCRIBER_CAPACITY) -> Subscription:
        """Collect events from now on: ``with core.subscribe() as events: async for event in events``."""
        return self._feed.subscribe(capacity)

    def on_event(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call back with each event, on the loop; returns what ends it."""
        return self._feed.on_event(callback)

    # Doors that belong to no room

    async def completeness(self, conversation: ConversationId) -> Completeness:
        """What of a conversation is on this computer: held runs against the head. Raises NotFound."""
        return await self.chats.completeness(conversation)

    async def request(self, message: Request[ReplyT_co]) -> ReplyT_co:
        """Ask the server anything, typed: for administration. Raises Refused, Offline, NotSignedIn."""
        return await self._session.request(message)

    # Private

    async def _load(self) -> None:
        account = await self._database.run(meta.load, meta.ACCOUNT)
        if account is not None:
            self._line.remembers(account)
        await self.servers.load()
        await self._outbox.count()
        self.search.begin()

    async def _erase(self) -> None:
        """Forget account, copy, outbox and trust; what follows is a new profile."""
        await self._database.start_anew()
        self._line.forgets()
        await self.servers.load()
        await self._outbox.count()

    def _is_synchronised(self) -> bool:
        connection = self.status.connection
        match connection.phase:
            case Phase.CONNECTED:
                return True
            case Phase.STOPPED if self.servers.trusted is None:
                raise ServerNotTrusted("No server is trusted yet.")
            case Phase.UNTRUSTED:
                raise IdentityChanged(connection.sentence, expected=b"", found=b"")
            case Phase.MUST_CHANGE_PASSWORD:
                raise PasswordChangeRequired(connection.sentence)
            case Phase.SIGNED_OUT if connection.reason:
                raise Refused(ErrorCode.parse(connection.reason), connection.sentence)
            case Phase.SIGNED_OUT:
                raise NotSignedIn(connection.sentence or "Sign in first.")
            case _:
                return False

    async def _flush(self, flush_s: float) -> None:
        try:
            async with asyncio.timeout(flush_s):
                while self._session.is_open:
                    await self._outbox.count()
                    await self._cursors.tell()
                    if not self.status.outgoing.queued and self._synchroniser.is_idle:
                        return
                    await asyncio.sleep(FLUSH_POLL_S)
        except TimeoutError:
            pass
