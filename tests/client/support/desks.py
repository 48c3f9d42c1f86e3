# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's computer in a test: a profile on disk, and the core on it, which may be killed and opened again."""

import asyncio
from pathlib import Path
from random import Random

from client.core.app import Core, Surroundings
from client.core.clock import Clock
from client.core.store.database import Db
from client.core.views import GapView, MessageView
from protocol.ids import ConversationId
from protocol.messages.chat import Draft
from tests.client.support.office import START_MS, Office
from tests.client.support.wires import Network, organisation


class Desk:
    """One profile of one person at the office."""

    def __init__(
        self, network: Network, folder: Path, login: str, *, clock_off_ms: int = 0
    ) -> None:
        self.network = network
        self.folder = folder
        self.login = login
        self.clock_off_ms = clock_off_ms
        self._random = Random(f"{login}{folder.name}")
        self._core: Core | None = None

    @property
    def core(self) -> Core:
        """The core that runs now."""
        assert self._core is not None
        return self._core

    @property
    def is_open(self) -> bool:
        """Whether a core runs now."""
        return self._core is not None

    async def open(self) -> Core:
        """Open the profile; begins to connect."""
        loop = asyncio.get_running_loop()
        surroundings = Surroundings(
            clock=Clock(lambda: START_MS + self.clock_off_ms, loop.time),
            dial=self.network.dial,
            random=self._random,
            entropy=self._random.randbytes,
            browsers=(),
            is_store_inline=True,
        )
        self._core = await Core.open(self.folder, surroundings=surroundings)
        if self.core.servers.trusted is None:
            identity = await self.core.servers.probe("office")
            assert identity.authority == organisation()[0]
            await self.core.servers.trust(identity)
        self.core.start()
        return self.core

    async def sign_in(self) -> Core:
        """Open, sign in with the password, and catch up."""
        core = await self.open()
        await core.account.sign_in(self.login, "secret")
        await core.until_synchronised()
        await self.settle()
        return core

    async def close(self) -> None:
        """Close in order."""
        core, self._core = self._core, None
        if core is not None:
            await core.stop()

    async def kill(self) -> None:
        """As kill -9 does it: nothing more is written or sent from this moment on."""
        core, self._core = self._core, None
        if core is None:
            return
        core._database._disconnect()
        link = core._line._link
        for wire in tuple(self.network.wires):
            if wire._link is link:
                wire.cut()
        await core.stop()

    async def settle(self) -> None:
        """Let everything happen that needs no more than a few seconds."""
        await asyncio.sleep(5.0)

    async def texts(self, conversation: ConversationId) -> list[str]:
        """The messages of a conversation as this desk shows them, gaps as ``...``, queued ones in brackets."""
        page = await self.core.messages.history(conversation, limit=10_000)
        shown = []
        for entry in page.entries:
            if isinstance(entry, GapView):
                shown.append("...")
            elif isinstance(entry, MessageView) and entry.recalled_by is None:
                shown.append(entry.text if entry.seq else f"[{entry.text}]")
        return shown

    async def assert_equal_to(self, office: Office) -> None:
        """The copy is the server's truth: all events, counts, cursors."""
        me = self.core.account.me
        assert me is not None
        for talk in office.talks.values():
            if me.user not in talk.seats:
                continue
            await self.core.chats.fetch_all(talk.id)
            proof = await self.core.completeness(talk.id)
            seat = talk.seats[me.user]
            head = len(talk.events) if seat.last is None else seat.last
            assert proof.is_complete, proof
            assert proof.head == head, proof
            rows = await self.core._database.run(_contents, talk.id)
            wanted = [
                (each.seq, each.id, bytes(each.content))
                for each in talk.events[seat.first - 1 : head]
            ]
            assert rows == wanted
            shown = await self.core.chats.get(talk.id)
            theirs = office._chat(me.user, talk, 0)
            assert (shown.unread, shown.mentions) == (theirs.unread, theirs.mentions)
            assert shown.read == theirs.read
            assert _text(shown.draft) == _text(theirs.draft)


def _contents(db: Db, conversation: ConversationId) -> list[tuple[int, bytes, bytes]]:
    return db.execute(
        "SELECT e.seq, e.id, e.content FROM event e JOIN conversation c ON c.key = e.conversation"
        " WHERE c.id = ? ORDER BY e.seq",
        (conversation,),
    ).fetchall()


def _text(draft: Draft | None) -> str:
    return draft.text if draft is not None else ""
