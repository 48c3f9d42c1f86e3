# SPDX-License-Identifier: GPL-3.0-or-later
"""The server is killed 50 times in a row while everybody writes: what was acknowledged is there, once and in order, and every
client comes back by itself and proves that it has everything. Takes about 75 seconds; set SEED to repeat a run."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from client.core.events import Event as CoreEvent
from client.core.events import SignedIn
from protocol.ids import ConversationId, MessageId
from protocol.messages.chat import Event
from tests.support.computers import Computer, assert_copy_is_complete, until
from tests.support.couriers import Courier
from tests.support.live_office import LiveOffice
from tests.support.server_process import ServerProcess

KILLS: Final = 50
KILLS_WHILE_STARTING: Final = 8
"""Of these: before the server was ready, while it mends what the kill before has left."""
LONGEST_LIFE_S: Final = 0.4
"""After the first acknowledgement of a life."""
START_S: Final = 0.7
"""What a start takes about; a kill falls anywhere into it."""
COURIERS: Final = ("cal", "dan", "eve", "fay")
COURIER_PAUSE_S: Final = 0.1
PERSON_PAUSE_S: Final = 0.35
DRAIN_S: Final = 60.0


class Person:
    """Somebody who writes on and on, whether the server is there or not."""

    def __init__(self, computer: Computer, talks: Sequence[ConversationId]) -> None:
        self.computer = computer
        self.talks = talks
        self.said: dict[ConversationId, list[MessageId]] = {talk: [] for talk in talks}
        self.sign_ins = 0
        computer.core.on_event(self._count)

    def _count(self, event: CoreEvent) -> None:
        self.sign_ins += isinstance(event, SignedIn)

    async def chatter(self, stop: asyncio.Event) -> None:
        """Write to the talks in turn until ``stop`` is set."""
        number = 0
        while not stop.is_set():
            talk = self.talks[number % len(self.talks)]
            text = f"{self.computer.folder.name} {number}"
            self.said[talk].append(await self.computer.core.messages.send(talk, text))
            number += 1
            await asyncio.sleep(PERSON_PAUSE_S)


@pytest.mark.expected_log("asyncio", r"socket\.send\(\) raised|SSL connection is closed")
@pytest.mark.timeout(240)
async def test_the_server_is_killed_fifty_times_under_load(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", secrets.randbelow(1 << 32)))
    print(f"SEED={seed}")  # noqa: T201 - shown when it fails
    office = await asyncio.to_thread(
        LiveOffice.make, tmp_path / "office", ("ann", "bob", *COURIERS)
    )
    async with AsyncExitStack() as stack:
        computers = [
            await stack.enter_async_context(Computer(tmp_path / name, login))
            for name, login in (("desk", "ann"), ("laptop", "ann"), ("bob", "bob"))
        ]
        couriers = [
            await stack.enter_async_context(Courier(office.address, login)) for login in COURIERS
        ]
        server = stack.enter_context(office.server())
        for computer in computers:
            await computer.sign_in(office.address)
        core = computers[0].core
        groups = [
            (await core.groups.create(title, [*office.people.values()])).id
            for title in ("Roof", "Cellar")
        ]
        direct = core.chats.direct_with(office.people["bob"])
        await core.messages.until_sent(await core.messages.send_to(office.people["bob"], "hello"))
        await until_known(computers, [*groups, direct])
        people = [Person(computer, [*groups, direct]) for computer in computers]

        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for courier in couriers:
                tasks.create_task(courier.chatter(groups, stop, COURIER_PAUSE_S))
            for person in people:
                tasks.create_task(person.chatter(stop))
            await kill_again_and_again(server, random.Random(seed), couriers, people[:2])
            stop.set()
        for computer in computers:
            await computer.core.until_synchronised(DRAIN_S)
            await computer.until_sent_all(DRAIN_S)

        copies = [await assert_copy_is_complete(computer.core) for computer in computers]
        assert copies[0] == copies[1]
        for talk in (*groups, direct):
            assert copies[0][talk] == copies[2][talk]
            assert_each_once(copies[0][talk])
        everything = copies[0]
        for courier in couriers:
            assert_acknowledged(courier, everything)
            for group in groups:
                sent = [post.id for post in courier.posts if post.conversation == group]
                assert_in_order(sent, everything[group])
            assert courier.sign_ins > KILLS // 2, "the couriers were not under way"
        for person in people:
            assert person.sign_ins > (KILLS // 2 if person in people[:2] else 2)
            for talk, said in person.said.items():
                assert_in_order(said, everything[talk])
        for computer in computers:
            await computer.close()
        for courier in couriers:
            await courier.close()
        assert await asyncio.to_thread(server.stop) == 0
        assert "Traceback" not in server.logged()
    office.assert_sound()


async def kill_again_and_again(
    server: ServerProcess,
    rng: random.Random,
    couriers: Sequence[Courier],
    watched: Sequence[Person],
) -> None:
    """Kill the server KILLS times, start it again each time, and leave it running. Who is watched presses "connect now"."""
    while_starting = set(rng.sample(range(KILLS), KILLS_WHILE_STARTING))
    for number in range(KILLS):
        if number in while_starting:
            server.kill()
            await start_and_kill(server, rng.uniform(0.0, START_S))
        else:
            before = acknowledged(couriers)

            async def is_under_load(before: int = before) -> bool:
                return acknowledged(couriers) > before

            await until(is_under_load)
            await asyncio.sleep(rng.uniform(0.0, LONGEST_LIFE_S))
            server.kill()
        await asyncio.to_thread(server.start)
        for person in watched:
            person.computer.core.retry_now()


async def start_and_kill(server: ServerProcess, after_s: float) -> None:
    """Start the server and kill it after a while, ready or not."""
    starting = asyncio.create_task(asyncio.to_thread(server.start))

    async def is_born() -> bool:
        return server._process is not None

    await until(is_born)
    await asyncio.sleep(after_s)
    server.signal(signal.SIGKILL)
    (outcome,) = await asyncio.gather(starting, return_exceptions=True)
    if outcome is None:
        server.wait()  # it was faster
    else:
        assert f"ended with -{signal.SIGKILL:d}" in str(outcome)


def acknowledged(couriers: Sequence[Courier]) -> int:
    return sum(len(courier.acknowledged) for courier in couriers)


async def until_known(computers: Sequence[Computer], talks: Sequence[ConversationId]) -> None:
    """Wait until every computer knows the conversations."""

    async def are_known() -> bool:
        known = [{chat.id for chat in await one.core.chats.all()} for one in computers]
        return all(each.issuperset(talks) for each in known)

    await until(are_known)


def assert_acknowledged(courier: Courier, everything: dict[ConversationId, list[Event]]) -> None:
    """What the server has said to have is what it has."""
    assert len(courier.acknowledged) == len(courier.posts)
    there = {event.id: event for events in everything.values() for event in events}
    for id, posted in courier.acknowledged.items():
        event = there[id]
        assert (event.conversation, event.seq, event.stamp, event.at_ms, event.ordinal) == (
            posted.conversation,
            posted.seq,
            posted.stamp,
            posted.at_ms,
            posted.ordinal,
        )


def assert_each_once(events: Sequence[Event]) -> None:
    """No id and no content came twice, numbers and stamps only rise."""
    assert max(Counter(event.id for event in events).values()) == 1
    assert max(Counter(bytes(event.content) for event in events).values()) == 1
    stamps = [event.stamp for event in events]
    assert stamps == sorted(set(stamps))
    ordinals = [event.ordinal for event in events]
    assert all(b - a in (0, 1) for a, b in pairwise(ordinals))


def assert_in_order(said: Sequence[MessageId], events: Sequence[Event]) -> None:
    """All that somebody has said is there, in the order in which it was said."""
    wanted = set(said)
    assert [event.id for event in events if event.id in wanted] == list(said)
