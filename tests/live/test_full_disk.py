# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's disk is full, for real: sending is refused in clear words, people still sign in and read, nothing acknowledged is
lost, and everything goes on by itself when there is room. About 50 seconds, because a client that was refused waits for 30."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from client.core.status import DeliveryState
from client.core.views import MessageView
from protocol.codec import decode_content, encode_content
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, MessageId, direct_conversation_id, uuid7
from protocol.limits import MAX_HISTORY_EVENTS
from protocol.messages.chat import GetHistory, OpenDirect, Post
from protocol.messages.content import Text
from server.organisation import Organisation
from tests.support.computers import Computer, assert_copy_is_complete, servers_history, until
from tests.support.live_office import LiveOffice
from tests.support.server_process import Caller
from tests.support.small_disks import Disk, FileSizeLimit, small_disk

PEOPLE: Final = ("ann", "bob", "cal", "dan")
MOST_POSTS: Final = 2_000
"""More than fit into what the log of the database still has."""
LONG_TEXT: Final = "x" * 4_000
OWN_WAIT_S: Final = 45.0
"""The server asks a client that was refused for a full disk to come back in half a minute."""
NO_ROOM: Final = (ErrorCode.STORE_FULL, ErrorCode.UNAVAILABLE)
"""A file that may not grow is not known to be a full disk."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> LiveOffice:
    return LiveOffice.make(tmp_path_factory.mktemp("made") / "office", PEOPLE)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


def office_on(disk: Disk, original: LiveOffice) -> LiveOffice:
    """The organisation on that disk. What the server logs lies beside it."""
    folder = disk.folder
    for path in original.organisation.folder.iterdir():
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, folder / path.name)
    return LiveOffice(Organisation(folder), original.people)


class Writer:
    """Somebody with a plain client, who hears each answer of the server."""

    def __init__(self, caller: Caller, login: str, talk: ConversationId) -> None:
        caller.sign_in(login)
        self.caller = caller
        self.talk = talk
        self.acknowledged: list[MessageId] = []

    def post(self) -> None:
        """Raises RequestRefused."""
        id = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
        self.caller.ask(Post(self.talk, id, encode_content(Text(LONG_TEXT))))
        self.acknowledged.append(id)

    def post_until_refused(self) -> RequestRefused:
        """Use up what room there is; how the server says that there is no more."""
        for _ in range(MOST_POSTS):
            try:
                self.post()
            except RequestRefused as refusal:
                return refusal
        raise AssertionError("there is still room")


# A computer that is new while nothing can be stored is let in and not noted: it gets no certificate, and later gives its
# password once more.
@pytest.mark.expected_log("lanyard.core", "certificate was refused: This device was signed out")
@pytest.mark.timeout(180)
async def test_the_disk_is_full_and_has_room_again(
    original: LiveOffice, disk: Disk, tmp_path: Path
) -> None:
    office = office_on(disk, original)
    async with AsyncExitStack() as stack:
        ann, bob, cal = [
            await stack.enter_async_context(Computer(tmp_path / login, login))
            for login in ("ann", "bob", "cal")
        ]
        server = stack.enter_context(office.server())
        await ann.sign_in(office.address)
        await bob.sign_in(office.address)
        talk = (await ann.core.groups.create("Roof", office.people.values())).id
        early = await ann.core.messages.send(talk, "before")
        await ann.core.messages.until_sent(early)
        writer = Writer(stack.enter_context(Caller(server)), "dan", talk)
        writer.post()

        disk.fill(server)
        refusal = writer.post_until_refused()
        assert refusal.code in (
            (ErrorCode.UNAVAILABLE,) if isinstance(disk, FileSizeLimit) else (ErrorCode.STORE_FULL,)
        )
        assert refusal.sentence.endswith(".")
        late = await ann.core.messages.send(talk, "meanwhile")
        await until(lambda: is_refused_for_a_while(ann, late, refusal.code))

        # Whoever returns by token and whoever signs in on a new computer get in and can read everything.
        await bob.close()
        await bob.open()
        await bob.core.until_synchronised()
        await cal.sign_in(office.address)
        for reader in (bob, cal):
            there = [event.id for event in await servers_history(reader.core, talk)]
            assert set(there) >= {early, *writer.acknowledged}
            assert late not in there
            await reader.core.chats.fetch_all(talk)
            assert (await reader.core.completeness(talk)).is_complete
            assert await reader.core.people.everyone()
        assert (await ann.texts(talk))[-1] == "[meanwhile]"

        disk.make_room(server)
        writer.post()
        # By itself: nobody presses anything.
        status = await ann.core.messages.until_sent(late, OWN_WAIT_S)
        assert status.delivery.state is not DeliveryState.FAILED
        for computer in (ann, bob, cal):
            await until(lambda computer=computer: has(computer, talk, late))  # type: ignore[misc]
            there = [event.id for event in (await assert_copy_is_complete(computer.core))[talk]]
            posts = [early, *writer.acknowledged, late]
            assert [id for id in there if id in posts] == posts
            await computer.close()
        writer.caller.close()
        assert await asyncio.to_thread(server.stop) == 0
        if not isinstance(
            disk, FileSizeLimit
        ):  # a disk that fails in another way is logged with its trace
            assert "Traceback" not in server.logged()
    office.assert_sound(but={"disk"})


async def is_refused_for_a_while(computer: Computer, message: MessageId, code: ErrorCode) -> bool:
    """The client says where the message is, and why it is still there."""
    where = await computer.core.messages.where(message)
    assert where.server is None
    assert where.delivery.state is DeliveryState.QUEUED
    assert where.here is not None
    reason = where.here.last_reason
    assert reason is None or (reason.code == code and reason.sentence.endswith("."))
    return reason is not None


async def has(computer: Computer, talk: ConversationId, message: MessageId) -> bool:
    """Whether a message has come to a computer."""
    page = await computer.core.messages.history(talk)
    return any(isinstance(entry, MessageView) and entry.id == message for entry in page.entries)


def test_files_that_may_not_grow(original: LiveOffice, tmp_path: Path) -> None:
    """The same from the server's side alone, with a disk that says no in another way; and the server is killed meanwhile."""
    folder = tmp_path / "limited"
    folder.mkdir(mode=0o700)
    disk = FileSizeLimit(folder)
    office = office_on(disk, original)
    ann, bob = office.people["ann"], office.people["bob"]
    with office.server() as server:
        with Caller(server) as caller:
            talk = direct_conversation_id(ann, bob)
            writer = Writer(caller, "ann", talk)
            caller.ask(OpenDirect(bob))
            writer.post()
            disk.fill(server)
            for _ in range(3):
                assert writer.post_until_refused().code in NO_ROOM
            assert read(caller, talk) == writer.acknowledged
            disk.make_room(server)
            writer.post()
            disk.fill(server)
            assert writer.post_until_refused().code in NO_ROOM
            server.kill()
        server.start()
        with Caller(server) as caller:
            caller.sign_in("ann")
            assert read(caller, talk) == writer.acknowledged
        assert server.stop() == 0
    office.assert_sound()


def read(caller: Caller, talk: ConversationId) -> list[MessageId]:
    """The messages that the server shows."""
    history = caller.ask(GetHistory(talk, after=0, limit=MAX_HISTORY_EVENTS))
    return [e.id for e in history.events if isinstance(decode_content(e.content), Text)]


def test_a_server_on_a_full_disk_says_why_it_does_not_start(
    original: LiveOffice, disk: Disk
) -> None:
    office = office_on(disk, original)
    ann, bob = office.people["ann"], office.people["bob"]
    with office.server() as server:
        with Caller(server) as caller:
            talk = direct_conversation_id(ann, bob)
            writer = Writer(caller, "ann", talk)
            caller.ask(OpenDirect(bob))
            writer.post()
            disk.fill(server)
            writer.post_until_refused()  # not even the log of the database has room
            server.kill()
        if not isinstance(disk, FileSizeLimit):  # which ends with the process
            with pytest.raises(AssertionError, match="lanyard-server: The disk is full"):
                server.start()
            disk.make_room(server)
        server.start()
        with Caller(server) as caller:
            caller.sign_in("ann")
            assert read(caller, talk) == writer.acknowledged
        assert server.stop() == 0
