# SPDX-License-Identifier: GPL-3.0-or-later
"""Two devices of one person, of which one has a stale copy: away for long, set back to an old backup of its disk, copied to another
computer, or newer than the server, which was set back. All end with what the server has, and nothing is shown wrongly."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from client.core.events import CopyReset, Event
from client.core.views import ChatView, GapView, MessageView
from protocol.ids import ConversationId
from tests.support.computers import Computer, assert_copy_is_complete, until
from tests.support.live_office import LiveOffice
from tests.support.server_process import ServerProcess, lanyard_json

AWAY: Final = 150
"""Messages that a device misses: several pages."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> LiveOffice:
    return LiveOffice.make(tmp_path_factory.mktemp("two") / "office", ("ann", "bob", "cal"))


@pytest.fixture(scope="module")
def spare(office: LiveOffice, tmp_path_factory: pytest.TempPathFactory) -> LiveOffice:
    """Another such office, for the test that sets its server back."""
    return office.copied_to(tmp_path_factory.mktemp("spare") / "office")


@pytest.fixture(scope="module")
def server(office: LiveOffice, spare: LiveOffice) -> Iterator[ServerProcess]:
    with office.server() as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.logged()


async def busy_weeks(desk: Computer, bob: Computer, talk: ConversationId) -> None:
    """Everything that can happen to a conversation while a device does not look."""
    page = await desk.core.messages.history(talk)
    first, second, third = [
        entry.id for entry in page.entries if isinstance(entry, MessageView) and entry.is_mine
    ][:3]
    for number in range(AWAY):
        await bob.core.messages.send(talk, f"week {number}")
    await desk.core.messages.edit(first, "edited meanwhile")
    await desk.core.messages.edit(first, "edited twice")
    await desk.core.messages.recall(second)
    await bob.core.messages.react(third, "👍")
    await bob.core.messages.react(third, "🎉")
    await bob.core.messages.react(third, "🎉", is_on=False)
    await bob.until_sent_all()
    await desk.until_sent_all()
    await desk.core.groups.rename(talk, "Roof and walls")
    await desk.core.chats.mark_read(talk)
    await desk.core.chats.set_draft(talk, "from the desk")
    await desk.core.chats.change(talk, is_pinned=True)


async def is_same(one: Computer, other: Computer) -> bool:
    """Whether both show the same list and the same messages, with all that belongs to them."""
    lists = [
        {chat.id: _listed(chat) for chat in await computer.core.chats.all()}
        for computer in (one, other)
    ]
    if lists[0] != lists[1]:
        return False
    for talk in lists[0]:
        pages = [
            await computer.core.messages.history(talk, limit=10_000) for computer in (one, other)
        ]
        shown = [[_shown(entry) for entry in page.entries] for page in pages]
        if shown[0] != shown[1]:
            return False
    return True


def _listed(chat: ChatView) -> object:
    """What of a conversation in the list does not depend on the device."""
    text = chat.draft.text if chat.draft is not None else ""
    return dataclasses.replace(chat, draft=None, last=None), text


def _shown(entry: object) -> object:
    """What of an entry does not depend on the device."""
    assert not isinstance(entry, GapView)
    if not isinstance(entry, MessageView):
        return entry
    return (
        entry.id,
        entry.seq,
        entry.sender,
        entry.at_ms,
        entry.text,
        entry.edited_ms,
        entry.recalled_by,
        sorted((each.emoji, sorted(each.users)) for each in entry.reactions),
    )


async def assert_converge(one: Computer, other: Computer) -> None:
    for computer in (one, other):
        await assert_copy_is_complete(computer.core)
    await until(lambda: is_same(one, other))


async def begin(
    stack: AsyncExitStack, office: LiveOffice, folder: Path, *names: tuple[str, str]
) -> list[Computer]:
    """Computers, signed in."""
    computers = []
    for name, login in names:
        computer = await stack.enter_async_context(Computer(folder / name, login))
        await computer.sign_in(office.address)
        computers.append(computer)
    return computers


async def new_group(desk: Computer, office: LiveOffice) -> ConversationId:
    """A group with a few messages of the desk's owner."""
    talk = (await desk.core.groups.create("Roof", office.people.values())).id
    for number in range(5):
        await desk.core.messages.send(talk, f"early {number}")
    await desk.until_sent_all()
    return talk


async def knows(computer: Computer, talk: ConversationId, head: int) -> bool:
    chats = {chat.id: chat for chat in await computer.core.chats.all()}
    return talk in chats and (await computer.core.completeness(talk)).held[-1:] == ((1, head),)


async def test_a_device_that_was_away(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    """It has written itself, moved cursors and begun a draft meanwhile, without a network."""
    async with AsyncExitStack() as stack:
        desk, laptop, bob = await begin(
            stack, office, tmp_path, ("desk", "ann"), ("laptop", "ann"), ("bob", "bob")
        )
        talk = await new_group(desk, office)
        for computer in (laptop, bob):
            await until(lambda computer=computer: knows(computer, talk, 6))  # type: ignore[misc]
        await laptop.close()
        await busy_weeks(desk, bob, talk)
        core = await laptop.open(is_offline=True)
        await core.messages.send(talk, "written on the train")
        await core.chats.set_draft(talk, "from the train")
        await core.chats.mark_read(talk)
        stale = await laptop.texts(talk)
        assert stale == [f"early {number}" for number in range(5)] + ["[written on the train]"]
        await laptop.close()

        core = await laptop.open()
        await core.until_synchronised()
        await laptop.until_sent_all()
        await assert_converge(desk, laptop)
        assert (await laptop.texts(talk))[-1] == "written on the train"
        assert (await laptop.texts(talk))[0] == "edited twice"
        assert (await core.chats.get(talk)).name == "Roof and walls"


async def test_a_device_that_was_set_back_to_an_old_backup(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    """What it had queued then was sent long ago and is not sent again; what it knew since then it learns again."""
    async with AsyncExitStack() as stack:
        desk, laptop, bob = await begin(
            stack, office, tmp_path, ("desk", "ann"), ("laptop", "ann"), ("bob", "bob")
        )
        talk = await new_group(desk, office)
        for computer in (laptop, bob):
            await until(lambda computer=computer: knows(computer, talk, 6))  # type: ignore[misc]
        laptop.core._outbox._is_stopped = True  # the backup is made while a message waits
        await laptop.core.messages.send(talk, "in the backup")
        await laptop.close()
        shutil.copytree(laptop.folder, tmp_path / "backup")
        await laptop.open()
        await laptop.core.until_synchronised()
        await laptop.until_sent_all()
        await busy_weeks(desk, bob, talk)
        await laptop.core.messages.send(talk, "after the backup")
        await laptop.until_sent_all()
        await laptop.close()

        shutil.rmtree(laptop.folder)
        shutil.copytree(tmp_path / "backup", laptop.folder)
        core = await laptop.open()
        await core.until_synchronised()
        await laptop.until_sent_all()
        assert core.status.outgoing.failed == 0
        await assert_converge(desk, laptop)
        texts = await laptop.texts(talk)
        assert texts.count("in the backup") == 1
        assert texts.count("after the backup") == 1


async def test_a_profile_that_was_copied_to_a_second_computer(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    """Both are the same device to the server, at the same time; neither loses or repeats anything."""
    async with AsyncExitStack() as stack:
        desk, bob = await begin(stack, office, tmp_path, ("desk", "ann"), ("bob", "bob"))
        talk = await new_group(desk, office)
        await desk.close()
        shutil.copytree(desk.folder, tmp_path / "twin")
        twin = await stack.enter_async_context(Computer(tmp_path / "twin", "ann"))
        for computer in (desk, twin):
            await computer.open()
            await computer.core.until_synchronised()
        for number in range(10):
            for computer in (desk, twin, bob):
                await until(lambda computer=computer: has_begun(computer, talk))  # type: ignore[misc]
                await computer.core.messages.send(talk, f"{computer.folder.name} {number}")
        for computer in (desk, twin, bob):
            await computer.until_sent_all()
        await until(lambda: is_same(desk, twin))
        await assert_converge(desk, twin)
        assert len(set(await twin.texts(talk))) == len(await twin.texts(talk)) == 35


async def has_begun(computer: Computer, talk: ConversationId) -> bool:
    return talk in {chat.id for chat in await computer.core.chats.all()}


async def test_a_server_that_was_set_back_to_a_backup(spare: LiveOffice, tmp_path: Path) -> None:
    """Both copies are newer than the server. They forget what it does not know any more, say so, keep what is queued, and go on."""
    resets: list[Event] = []
    async with AsyncExitStack() as stack:
        running = stack.enter_context(spare.server())
        desk, laptop, bob = await begin(
            stack, spare, tmp_path, ("desk", "ann"), ("laptop", "ann"), ("bob", "bob")
        )
        talk = await new_group(desk, spare)
        for computer in (laptop, bob):
            await until(lambda computer=computer: knows(computer, talk, 6))  # type: ignore[misc]
        folder = ("--dir", spare.organisation.folder)
        backup = tmp_path / "backup"
        await asyncio.to_thread(lanyard_json, "backup", backup, *folder)
        await busy_weeks(desk, bob, talk)
        lost = (await desk.core.groups.create("Lost", spare.people.values())).id
        await until(lambda: has_begun(laptop, lost))
        await laptop.close()
        desk.core.on_event(lambda event: resets.append(event))
        assert await asyncio.to_thread(running.stop) == 0
        await asyncio.to_thread(lanyard_json, "restore", backup, *folder)
        queued = await desk.core.messages.send(talk, "queued across the restore")
        vain = await desk.core.messages.send(lost, "to a group that is gone")
        await asyncio.to_thread(running.start)
        await desk.core.messages.until_sent(queued)
        await laptop.open()
        for computer in (desk, laptop, bob):
            await computer.core.until_synchronised()
        assert any(isinstance(event, CopyReset) for event in resets)
        await until(lambda: has_failed(desk, vain))
        await desk.core.messages.discard(vain)
        wanted = [f"early {number}" for number in range(5)] + ["queued across the restore"]
        for computer in (desk, laptop):
            await until(lambda computer=computer: shows(computer, talk, wanted))  # type: ignore[misc]
            assert lost not in {chat.id for chat in await computer.core.chats.all()}
        await assert_converge(desk, laptop)
        # Numbers that were given out before the restore are given out again, for other messages.
        for number in range(AWAY + 20):
            await bob.core.messages.send(talk, f"new {number}")
        await bob.until_sent_all()
        wanted += [f"new {number}" for number in range(AWAY + 20)]
        for computer in (desk, laptop, bob):
            await until(lambda computer=computer: shows(computer, talk, wanted))  # type: ignore[misc]
            await computer.core.chats.mark_read(talk)
        await assert_converge(desk, laptop)
        await assert_copy_is_complete(bob.core)
        for computer in (desk, laptop, bob):
            await computer.close()
        assert await asyncio.to_thread(running.stop) == 0
        assert "Traceback" not in running.logged()
    spare.assert_sound()


async def shows(computer: Computer, talk: ConversationId, wanted: list[str]) -> bool:
    return await computer.texts(talk) == wanted


async def has_failed(computer: Computer, message: bytes) -> bool:
    return any(
        post.id == message and post.failure for post in await computer.core.messages.outbox()
    )
