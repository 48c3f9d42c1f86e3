# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' computers in live tests: a profile on disk and the real client core on it, over real sockets to a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

from client.core.app import Core, Surroundings
from client.core.clock import Clock
from client.core.store.database import Db
from client.core.views import MessageView
from protocol.ids import ConversationId, MessageId
from protocol.limits import MAX_HISTORY_EVENTS
from protocol.messages.chat import Chat, Event, GetChat, GetHistory
from tests.support.server_process import PASSWORD, TIMEOUT_S

POLL_S: Final = 0.02
YEAR_MS: Final = 365 * 24 * 3600 * 1000


class Impatient(Random):
    """Draws the shortest of the waits that a client may choose between attempts: a test of 50 restarts has no hour."""

    def uniform(self, a: float, b: float) -> float:
        """The lower bound."""
        return a


class Computer:
    """One profile of one person."""

    def __init__(self, folder: Path, login: str, *, clock_off_ms: int = 0) -> None:
        self.folder = folder
        self.login = login
        self.clock_off_ms = clock_off_ms
        self._core: Core | None = None

    @property
    def core(self) -> Core:
        """The core that runs now."""
        assert self._core is not None
        return self._core

    async def open(self, *, is_offline: bool = False) -> Core:
        """Open the profile; it connects when it knows whereto, unless ``is_offline``."""
        wall = Clock(lambda: time.time_ns() // 1_000_000 + self.clock_off_ms)
        around = Surroundings(clock=wall, random=Impatient(), browsers=())
        self._core = await Core.open(self.folder, software="test", surroundings=around)
        if not is_offline:
            self._core.start()
        return self._core

    async def sign_in(self, address: str) -> Core:
        """Open, trust whoever is there, sign in with PASSWORD, catch up."""
        core = await self.open()
        await core.servers.trust(await core.servers.probe(address))
        await core.account.sign_in(self.login, PASSWORD)
        await core.until_synchronised()
        return core

    async def close(self) -> None:
        """Close in order."""
        core, self._core = self._core, None
        if core is not None:
            await core.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def texts(self, conversation: ConversationId) -> list[str]:
        """The messages of a conversation as they are shown, oldest first; queued ones in brackets."""
        page = await self.core.messages.history(conversation, limit=100_000)
        assert page.is_start, page
        return [
            entry.text if entry.seq else f"[{entry.text}]"
            for entry in page.entries
            if isinstance(entry, MessageView) and entry.recalled_by is None
        ]

    async def until_sent_all(self, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until nothing is queued here any more."""

        async def is_empty() -> bool:
            return not await self.core.messages.outbox()

        await until(is_empty, timeout_s)


async def until(is_so: Callable[[], Awaitable[bool]], timeout_s: float = TIMEOUT_S) -> None:
    """Look again and again until it is so."""
    async with asyncio.timeout(timeout_s):
        while True:
            if await is_so():
                return
            await asyncio.sleep(POLL_S)


async def servers_history(core: Core, conversation: ConversationId) -> list[Event]:
    """All that the server shows of a conversation, asked anew; without a gap."""
    events: list[Event] = []
    head = -1
    while (after := events[-1].seq if events else 0) < head or head < 0:
        page = await core.request(GetHistory(conversation, after=after, limit=MAX_HISTORY_EVENTS))
        assert page.events or page.head < page.first, page
        events += page.events
        head = page.head
    first = events[0].seq if events else 0
    assert [event.seq for event in events] == list(range(first, first + len(events)))
    return events


async def servers_chat(core: Core, conversation: ConversationId) -> Chat:
    """What the server says of a conversation."""
    return (await core.request(GetChat(conversation))).chat


async def assert_copy_is_complete(core: Core) -> dict[ConversationId, list[Event]]:
    """The copy proves that it is complete, and is what the server has: events, counts, cursors. Returns the server's history."""
    everything: dict[ConversationId, list[Event]] = {}
    for shown in await core.chats.all():
        await core.chats.fetch_all(shown.id)
        theirs = await servers_history(core, shown.id)
        proof = await core.completeness(shown.id)
        assert proof.is_complete, proof
        assert proof.head == theirs[-1].seq, proof
        ours = await core._database.run(_contents, shown.id)
        assert ours == [_essence(event) for event in theirs]
        await until(lambda shown=shown: _counts_agree(core, shown.id))  # type: ignore[misc]
        everything[shown.id] = theirs
    return everything


async def _counts_agree(core: Core, conversation: ConversationId) -> bool:
    """Cursors travel apart from messages and need a moment."""
    theirs = await servers_chat(core, conversation)
    ours = await core.chats.get(conversation)
    return (ours.head, ours.unread, ours.mentions, ours.read) == (
        theirs.head,
        theirs.unread,
        theirs.mentions,
        theirs.read,
    )


def _essence(event: Event) -> tuple[int, MessageId, int, bytes, int, int, bytes]:
    content = bytes(event.content)
    return event.seq, event.id, event.stamp, event.sender, event.at_ms, event.ordinal, content


def _contents(
    db: Db, conversation: ConversationId
) -> list[tuple[int, MessageId, int, bytes, int, int, bytes]]:
    return db.execute(
        "SELECT e.seq, e.id, e.stamp, e.sender, e.at_ms, e.ordinal, e.content"
        " FROM event e JOIN conversation c ON c.key = e.conversation WHERE c.id = ? ORDER BY e.seq",
        (conversation,),
    ).fetchall()
