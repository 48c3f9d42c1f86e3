# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients are killed at any moment, again and again: what their outbox had accepted arrives, once and in order. About 25 seconds;
set SEED to repeat a run."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from protocol.codec import decode_content
from protocol.ids import ConversationId, MessageId
from protocol.messages.chat import Event
from protocol.messages.content import Text
from tests.support.computers import Computer, assert_copy_is_complete, until
from tests.support.live_office import LiveOffice

TYPISTS: Final = (("desk", "ann"), ("laptop", "ann"), ("bob", "bob"))
LIVES: Final = 13
"""Of each typist."""
LIVES_CUT_SHORT: Final = 3
"""Of these: killed while the program starts, most often before it has accepted anything."""
LONG_LIVES: Final = 2
"""Of these: long enough that the kill falls near the moment at which the device gets its certificate."""
START_S: Final = 0.8
LONGEST_LIFE_S: Final = 0.4
"""After the first message of a life."""
CERTIFICATE_AFTER_S: Final = (1.8, 2.3)
DRAIN_S: Final = 60.0


class Typist:
    """A program that writes on and on, killed and started again on the same profile."""

    def __init__(self, computer: Computer, talks: Sequence[ConversationId], notes: Path) -> None:
        self.computer = computer
        self.lives = 0
        self._talks = talks
        self._notes = notes
        self._notes.touch()

    def noted(self) -> list[tuple[ConversationId, MessageId, str]]:
        """What the outbox had accepted and the program could tell before its end."""
        lines = self._notes.read_text(encoding="utf-8").splitlines()
        words = [line.split() for line in lines]
        return [(bytes.fromhex(talk), bytes.fromhex(id), text) for talk, id, text in words]

    def _born(self) -> subprocess.Popen[bytes]:
        self.lives += 1
        command = [sys.executable, "-m", "tests.support.typist", str(self.computer.folder)]
        # A kill may have left a number used and not noted: each life has a thousand of its own.
        command += [str(self.lives * 1000), *(talk.hex() for talk in self._talks)]
        with self._notes.open("ab") as notes:
            return subprocess.Popen(command, stdout=notes)

    async def live(self, *, after_start_s: float = 0.0, after_message_s: float | None) -> None:
        """Start the program, kill it after a time from its start, or from its first message."""
        before = len(self.noted())
        process = self._born()

        async def has_begun() -> bool:
            assert process.poll() is None, f"the program ended with {process.returncode}"
            return len(self.noted()) > before

        try:
            if after_message_s is not None:
                await until(has_begun)
            await asyncio.sleep(after_message_s if after_message_s is not None else after_start_s)
            assert process.poll() is None, f"the program ended with {process.returncode}"
        finally:
            process.kill()
            process.wait()

    async def live_often(self, rng: random.Random) -> None:
        """All lives of a typist."""
        kinds = ["short"] * LIVES_CUT_SHORT + ["long"] * LONG_LIVES
        kinds += ["usual"] * (LIVES - len(kinds))
        rng.shuffle(kinds)
        for kind in kinds:
            if kind == "short":
                await self.live(after_start_s=rng.uniform(0.0, START_S), after_message_s=None)
            elif kind == "long":
                await self.live(after_message_s=rng.uniform(*CERTIFICATE_AFTER_S))
            else:
                await self.live(after_message_s=rng.uniform(0.0, LONGEST_LIFE_S))


@pytest.mark.timeout(180)
async def test_what_the_outbox_accepted_arrives_once(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", secrets.randbelow(1 << 32)))
    print(f"SEED={seed}")  # noqa: T201 - shown when it fails
    office = await asyncio.to_thread(LiveOffice.make, tmp_path / "office", ("ann", "bob", "cal"))
    async with AsyncExitStack() as stack:
        server = stack.enter_context(office.server())
        typists, talks = await begin(stack, office, tmp_path)
        async with asyncio.TaskGroup() as tasks:
            for typist in typists:
                tasks.create_task(
                    typist.live_often(random.Random(f"{seed}{typist.computer.login}"))
                )
        for typist in typists:
            await typist.computer.open()
        for typist in typists:
            await typist.computer.core.until_synchronised(DRAIN_S)
            await typist.computer.until_sent_all(DRAIN_S)
            assert typist.computer.core.status.outgoing.failed == 0
        there = await everything_there(typists)
        for talk in talks:
            assert_each_once(there[talk])
            for typist in typists:
                assert_arrived(typist, talk, there[talk])
        for typist in typists:
            await typist.computer.close()
        assert await asyncio.to_thread(server.stop) == 0
        assert "Traceback" not in server.logged()
    office.assert_sound()


async def begin(
    stack: AsyncExitStack, office: LiveOffice, folder: Path
) -> tuple[list[Typist], list[ConversationId]]:
    """Typists who have signed in and know where to write."""
    computers = [
        await stack.enter_async_context(Computer(folder / name, login)) for name, login in TYPISTS
    ]
    first = await computers[0].sign_in(office.address)
    everybody = list(office.people.values())
    talks = [(await first.groups.create(title, everybody)).id for title in ("Roof", "Cellar")]
    for computer in computers[1:]:
        await computer.sign_in(office.address)
    for computer in computers:
        assert {chat.id for chat in await computer.core.chats.all()} >= set(talks)
        await computer.close()
    typists = [
        Typist(computer, talks, folder / f"{computer.folder.name}.notes") for computer in computers
    ]
    return typists, talks


async def everything_there(typists: Sequence[Typist]) -> dict[ConversationId, list[Event]]:
    """The server's history, which is every computer's copy."""
    copies = [await assert_copy_is_complete(typist.computer.core) for typist in typists]
    assert all(copy == copies[0] for copy in copies)
    return copies[0]


def assert_each_once(events: Sequence[Event]) -> None:
    """No message came twice, be it under the same id or another."""
    assert max(Counter(event.id for event in events).values()) == 1
    assert max(Counter(bytes(event.content) for event in events).values()) == 1


def assert_arrived(typist: Typist, talk: ConversationId, events: Sequence[Event]) -> None:
    """What was noted is there, in order; and of each life at most the one message that there was no time to note."""
    noted = [(id, text) for where, id, text in typist.noted() if where == talk]
    own = [(event.id, text) for event in events if (text := said_by(typist, event))]
    known = set(noted)
    assert [each for each in own if each in known] == noted
    assert len(noted) <= len(own) <= len(noted) + typist.lives


def said_by(typist: Typist, event: Event) -> str:
    """The text of a message of this typist, else nothing."""
    content = decode_content(event.content)
    is_own = isinstance(content, Text) and content.text.startswith(
        f"{typist.computer.folder.name}-"
    )
    return content.text if is_own and isinstance(content, Text) else ""
