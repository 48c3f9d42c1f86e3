# SPDX-License-Identifier: GPL-3.0-or-later
"""The client core against the real server, over TLS: people, talks, changes, devices, catching up, being put out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from client.core.errors import Refused
from client.core.events import MessagesArrived, SignedIn, SignedOut, StatusChanged
from client.core.status import DeliveryState, Phase
from protocol.errors import ErrorCode
from protocol.messages.admin import ChangeDirectory, PutPerson
from tests.support.computers import Computer, assert_copy_is_complete, until
from tests.support.couriers import Courier
from tests.support.live_office import LiveOffice
from tests.support.server_process import ADMIN, PASSWORD, ServerProcess

MESSAGES_MISSED = 3_000
BURST = 250
"""Fewer than one person may post in one go."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> LiveOffice:
    writers = tuple(f"writer{number}" for number in range(MESSAGES_MISSED // BURST))
    folder = tmp_path_factory.mktemp("core") / "office"
    return LiveOffice.make(folder, ("ann", "bob", "cal", "dan", "eve", *writers))


@pytest.fixture(scope="module")
def spare(office: LiveOffice, tmp_path_factory: pytest.TempPathFactory) -> LiveOffice:
    """Another such office, for a test that stops the server."""
    return office.copied_to(tmp_path_factory.mktemp("spare") / "office")


@pytest.fixture(scope="module")
def server(office: LiveOffice, spare: LiveOffice) -> Iterator[ServerProcess]:
    with office.server() as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.logged()


async def test_signing_in_finding_people_and_talking(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "a", "ann") as ann, Computer(tmp_path / "b", "bob") as bob:
        await ann.sign_in(office.address)
        await bob.sign_in(office.address)
        assert ann.core.status.organisation == "Lanyard"
        assert ann.core.account.me is not None
        assert ann.core.account.me.user == office.people["ann"]

        async def knows_bob() -> bool:
            return bool(await ann.core.people.find("bob"))

        await until(knows_bob)
        (found,) = await ann.core.people.find("bo")
        assert found.id == office.people["bob"]
        with bob.core.subscribe() as heard:
            message = await ann.core.messages.send_to(found.id, "Good morning, Bob")
            await ann.core.messages.until_sent(message)
            async with asyncio.timeout(10):
                async for event in heard:
                    if isinstance(event, MessagesArrived):
                        break
        assert isinstance(event, MessagesArrived)
        assert [one.text for one in event.messages] == ["Good morning, Bob"]
        talk = ann.core.chats.direct_with(found.id)
        assert (await bob.core.chats.get(talk)).unread == 1
        await bob.core.chats.mark_read(talk)

        async def is_read() -> bool:
            where = await ann.core.messages.where(message)
            return where.delivery.state is DeliveryState.READ

        await until(is_read)


async def test_a_group_in_which_messages_are_changed(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "a", "ann") as ann, Computer(tmp_path / "b", "bob") as bob:
        await ann.sign_in(office.address)
        await bob.sign_in(office.address)
        group = (await ann.core.groups.create("Budget", [office.people["bob"]])).id
        first = await ann.core.messages.send(group, "The sum is 71")
        second = await ann.core.messages.send(group, "And I quit")
        await ann.core.messages.until_sent(second)

        async def has_both() -> bool:
            return (await bob.core.chats.get(group)).unread == 2

        await until(has_both)
        await ann.core.messages.edit(first, "The sum is 17")
        await ann.core.messages.recall(second)
        await bob.core.messages.react(first, "👍")
        await ann.until_sent_all()
        await bob.until_sent_all()
        for computer in (ann, bob):

            async def is_settled(computer: Computer = computer) -> bool:
                shown = await computer.core.messages.get(first)
                return await computer.texts(group) == ["The sum is 17"] and bool(shown.reactions)

            await until(is_settled)
            shown = await computer.core.messages.get(first)
            assert shown.edited_ms
            assert shown.reactions[0].users == (office.people["bob"],)
            await assert_copy_is_complete(computer.core)
        forbidden = await bob.core.messages.edit(first, "The sum is mine")
        with pytest.raises(Refused) as refused:
            await bob.core.messages.until_sent(forbidden)
        assert refused.value.code is ErrorCode.FORBIDDEN


async def test_what_is_written_offline_leaves_when_the_server_is_back(
    spare: LiveOffice, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "c", "cal") as cal:
        with spare.server() as server:
            await cal.sign_in(spare.address)
            assert await asyncio.to_thread(server.stop) == 0
            friend = spare.people["dan"]
            posts = [await cal.core.messages.send_to(friend, f"note {n}") for n in range(3)]
            where = await cal.core.messages.where(posts[2])
            assert where.server is None
            assert where.here is not None
            assert where.here.position == 2
            await cal.close()
            core = await cal.open()
            talk = core.chats.direct_with(friend)
            assert await cal.texts(talk) == ["[note 0]", "[note 1]", "[note 2]"]
            await asyncio.to_thread(server.start)
            for post in posts:
                await core.messages.until_sent(post)
            assert await cal.texts(talk) == ["note 0", "note 1", "note 2"]
            await core.until_synchronised()
            await assert_copy_is_complete(core)
            await cal.close()
            assert await asyncio.to_thread(server.stop) == 0


async def test_thousands_of_messages_that_were_missed(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    """A device that comes back and one that is new both end with all that the server has."""
    async with (
        AsyncExitStack() as stack,
        Computer(tmp_path / "1", "eve") as old,
        Computer(tmp_path / "2", "eve") as new,
    ):
        logins = [login for login in office.people if login.startswith("writer")]
        writers = [
            await stack.enter_async_context(Courier(office.address, login)) for login in logins
        ]
        core = await old.sign_in(office.address)
        group = (await core.groups.create("Night", [office.people[one] for one in logins])).id
        await old.close()
        async with asyncio.TaskGroup() as tasks:
            for writer in writers:
                for number in range(BURST):
                    writer.say(group, f"{writer.login} {number}")
                tasks.create_task(writer.deliver())
        core = await old.open()
        await core.until_synchronised()
        assert (await core.chats.get(group)).unread == MESSAGES_MISSED

        async def has_everything() -> bool:
            return (await core.completeness(group)).is_complete

        await until(has_everything)  # by itself: nobody scrolls
        theirs = (await assert_copy_is_complete(core))[group]
        posted = {post.id for writer in writers for post in writer.posts}
        assert posted <= {event.id for event in theirs}
        await new.sign_in(office.address)
        assert (await assert_copy_is_complete(new.core))[group] == theirs
        assert await new.texts(group) == await old.texts(group)
        found = await core.search.messages("writer7 249")
        assert [one.text for one in found.messages] == ["writer7 249"]


async def test_two_devices_know_of_each_other(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "1", "ann") as desk, Computer(tmp_path / "2", "ann") as laptop:
        await desk.sign_in(office.address)
        await laptop.sign_in(office.address)
        friend = office.people["eve"]
        message = await desk.core.messages.send_to(friend, "from the desk")
        await desk.core.messages.until_sent(message)
        talk = desk.core.chats.direct_with(friend)
        await desk.core.chats.set_draft(talk, "and then")

        async def is_on_the_laptop() -> bool:
            chats = {chat.id: chat for chat in await laptop.core.chats.all()}
            return (
                talk in chats
                and chats[talk].draft is not None
                and await laptop.texts(talk) == ["from the desk"]
            )

        await until(is_on_the_laptop)
        assert (await laptop.core.chats.get(talk)).unread == 0
        devices = await laptop.core.account.devices()
        assert sum(device.is_online for device in devices) == 2
        (other,) = [device for device in devices if device.is_online and not device.is_this]
        await laptop.core.account.remove_device(other.id)
        await until_signed_out(desk)
        assert laptop.core.status.connection.phase is Phase.CONNECTED


async def until_signed_out(computer: Computer) -> None:
    async def is_out() -> bool:
        return computer.core.status.connection.phase is Phase.SIGNED_OUT

    await until(is_out)


async def test_an_administrator_ends_a_session(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "a", ADMIN) as admin, Computer(tmp_path / "b", "bob") as bob:
        await admin.sign_in(office.address)
        await bob.sign_in(office.address)
        queued = office.people["ann"]
        await admin.core.account.remove_device(user=office.people["bob"])
        await until_signed_out(bob)
        connection = bob.core.status.connection
        assert connection.reason == "session_ended"
        assert connection.sentence
        kept = await bob.core.messages.send_to(queued, "I was not finished")
        await bob.core.account.sign_in("bob", PASSWORD)
        assert (await bob.core.messages.until_sent(kept)).server is not None


async def test_whoever_is_disabled_is_out_within_a_second(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "a", ADMIN) as admin, Computer(tmp_path / "d", "dan") as dan:
        await admin.sign_in(office.address)
        await dan.sign_in(office.address)
        with dan.core.subscribe() as heard:
            close = PutPerson(office.people["dan"], "dan", "Dan", is_disabled=True)
            began = time.monotonic()
            await admin.core.request(ChangeDirectory((close,)))
            async with asyncio.timeout(10):
                async for event in heard:
                    if isinstance(event, SignedOut):
                        break
            took_s = time.monotonic() - began
        assert isinstance(event, SignedOut)
        assert event.reason == "account_disabled"
        assert took_s < 1.0
        with pytest.raises(Refused) as refused:
            await dan.core.account.sign_in("dan", PASSWORD)
        assert refused.value.code is ErrorCode.ACCOUNT_DISABLED
        open_again = PutPerson(office.people["dan"], "dan", "Dan")
        await admin.core.request(ChangeDirectory((open_again,)))
        await dan.core.account.sign_in("dan", PASSWORD)


@pytest.mark.parametrize("how", ["removed", "spoilt"])
async def test_a_certificate_that_is_lost_while_the_program_runs(
    office: LiveOffice, server: ServerProcess, tmp_path: Path, how: str
) -> None:
    """Some tool tidies up the profile's folder: the device comes back by its token, at the latest at its next start."""
    async with Computer(tmp_path / "a", "ann") as ann:
        core = await ann.sign_in(office.address)
        certificate = ann.folder / "device.crt"
        await until(lambda: is_there(certificate))
        if how == "removed":
            certificate.unlink()
        else:
            certificate.write_bytes(b"")
        with core.subscribe() as heard:
            assert core._line._link is not None
            core._line._link.abort("pulled")
            async with asyncio.timeout(10):
                async for event in heard:
                    if isinstance(event, SignedIn) or (
                        isinstance(event, StatusChanged)
                        and "certificate" in event.status.connection.sentence
                    ):
                        break
        if how == "spoilt":
            await ann.close()
            core = await ann.open()
        await core.until_synchronised()


async def is_there(path: Path) -> bool:
    return bool(await asyncio.to_thread(path.is_file))
