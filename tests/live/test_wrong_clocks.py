# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients whose clocks are wrong by years, in both directions: order, catching up, counts and time limits stay right."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from client.core.credentials import Credentials
from client.core.errors import Refused
from client.core.store.database import Db
from protocol.errors import ErrorCode
from protocol.ids import ConversationId, direct_conversation_id
from protocol.messages.admin import SetPolicy
from protocol.messages.session import Policy
from tests.support.computers import (
    YEAR_MS,
    Computer,
    assert_copy_is_complete,
    servers_chat,
    servers_history,
    until,
)
from tests.support.live_office import LiveOffice
from tests.support.server_process import ADMIN, PASSWORD, TIMEOUT_S, ServerProcess

AHEAD_MS: Final = 30 * YEAR_MS
BEHIND_MS: Final = -40 * YEAR_MS
"""Before certificates, tokens and the server itself were made, and long after they end."""
EDIT_WITHIN_S: Final = 2
MINUTE_MS: Final = 60_000


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> LiveOffice:
    return LiveOffice.make(tmp_path_factory.mktemp("clocks") / "office", ("ann", "bob", "cal"))


@pytest.fixture(scope="module")
def server(office: LiveOffice) -> Iterator[ServerProcess]:
    with office.server() as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.logged()


async def test_order_counts_and_copies_are_the_servers(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    """Three clocks, decades apart, in one conversation; each is also away for a while and catches up."""
    async with (
        Computer(tmp_path / "a", "ann", clock_off_ms=AHEAD_MS) as ann,
        Computer(tmp_path / "b", "bob", clock_off_ms=BEHIND_MS) as bob,
        Computer(tmp_path / "c", "cal") as cal,
    ):
        began_ms = time.time_ns() // 1_000_000
        for computer in (ann, bob, cal):
            await computer.sign_in(office.address)
        talk = (await ann.core.groups.create("Roof", office.people.values())).id
        wanted = []
        for number in range(4):
            for computer in (ann, bob, cal):
                text = f"{computer.login} {number}"
                await until(lambda computer=computer: knows(computer, talk))  # type: ignore[misc]
                await computer.core.messages.until_sent(
                    await computer.core.messages.send(talk, text)
                )
                wanted.append(text)
        for away, other in ((ann, bob), (bob, ann)):
            unread = (await servers_chat(away.core, talk)).unread
            await away.close()
            for number in range(30):  # more than a synchronisation brings by itself
                text = f"{other.login} writes {number} while {away.login} is away"
                await other.core.messages.send(talk, text)
                wanted.append(text)
            await other.until_sent_all()
            await away.open()
            await away.core.until_synchronised()
            assert (await away.core.chats.get(talk)).unread == unread + 30
        for computer in (ann, bob, cal):
            events = (await assert_copy_is_complete(computer.core))[talk]
            assert await computer.texts(talk) == wanted
            assert all(abs(event.at_ms - began_ms) < MINUTE_MS for event in events)
            assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
            await computer.core.chats.mark_read(talk)
            await until(lambda computer=computer: has_read(computer, talk))  # type: ignore[misc]
            await assert_copy_is_complete(computer.core)
        assert ann.core.status.is_clock_wrong
        assert bob.core.status.is_clock_wrong
        assert not cal.core.status.is_clock_wrong
        assert ann.core.status.clock_ahead_s == pytest.approx(AHEAD_MS / 1000, abs=60)


async def test_what_is_queued_is_shown_with_the_servers_time(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    async with Computer(tmp_path / "a", "ann", clock_off_ms=AHEAD_MS) as ann:
        await ann.sign_in(office.address)
        now_ms = time.time_ns() // 1_000_000
        ann.core._outbox._is_stopped = True  # keeps it here for the moment
        message = await ann.core.messages.send_to(office.people["cal"], "when?")
        shown = await ann.core.messages.get(message)
        assert shown.seq == 0
        assert abs(shown.at_ms - now_ms) < MINUTE_MS
        ann.core._outbox._is_stopped = False
        ann.core._outbox.wake()
        await ann.core.messages.until_sent(message)
        assert abs((await ann.core.messages.get(message)).at_ms - now_ms) < MINUTE_MS


@pytest.mark.parametrize("clock_off_ms", [AHEAD_MS, BEHIND_MS], ids=["ahead", "behind"])
async def test_a_message_that_is_sent_twice_is_known_by_its_id(
    office: LiveOffice, server: ServerProcess, tmp_path: Path, clock_off_ms: int
) -> None:
    """Ids carry the clock of their maker; the server must find an old one again, however it sorts."""
    async with Computer(tmp_path / "b", "bob", clock_off_ms=clock_off_ms) as bob:
        await bob.sign_in(office.address)
        first = await bob.core.messages.send_to(office.people["cal"], "once")
        talk = bob.core.chats.direct_with(office.people["cal"])
        await bob.core.messages.until_sent(first)
        before = await bob.texts(talk)
        await bob.core._database.run(_queue_again, talk, first)
        bob.core._outbox.wake()
        await bob.until_sent_all()
        await assert_copy_is_complete(bob.core)
        assert await bob.texts(talk) == before


@pytest.mark.parametrize("clock_off_ms", [AHEAD_MS, BEHIND_MS], ids=["ahead", "behind"])
async def test_time_limits_are_the_servers(
    office: LiveOffice, server: ServerProcess, tmp_path: Path, clock_off_ms: int
) -> None:
    async with (
        Computer(tmp_path / "admin", ADMIN) as admin,
        Computer(tmp_path / "a", "ann", clock_off_ms=clock_off_ms) as ann,
    ):
        await admin.sign_in(office.address)
        limits = Policy(edit_within_s=EDIT_WITHIN_S, recall_within_s=EDIT_WITHIN_S)
        await admin.core.request(SetPolicy(limits))
        await ann.sign_in(office.address)
        messages = ann.core.messages
        first = await messages.send_to(office.people["cal"], "frist")
        sent = await messages.until_sent(first)
        await messages.until_sent(await messages.edit(first, "first"))
        assert (await messages.get(first)).text == "first"
        assert sent.server is not None
        ends_at_ms = sent.server.since_ms + EDIT_WITHIN_S * 1000

        async def is_over() -> bool:
            return time.time_ns() // 1_000_000 > ends_at_ms

        await until(is_over)
        for change in (await messages.edit(first, "furst"), await messages.recall(first)):
            with pytest.raises(Refused) as refused:
                await messages.until_sent(change)
            assert refused.value.code is ErrorCode.TOO_LATE
            await messages.discard(change)
        assert (await messages.get(first)).text == "first"


async def test_the_device_gets_and_uses_a_certificate(
    office: LiveOffice, server: ServerProcess, tmp_path: Path
) -> None:
    """Its clock says that the certificate has ended long ago, or that it is not valid for decades; the server's clock counts."""
    async with (
        Computer(tmp_path / "a", "ann", clock_off_ms=AHEAD_MS) as ann,
        Computer(tmp_path / "b", "bob", clock_off_ms=BEHIND_MS) as bob,
    ):
        for computer in (ann, bob):
            await computer.sign_in(office.address)
        for computer in (ann, bob):
            await until(lambda computer=computer: has_certificate(computer))  # type: ignore[misc]
            await computer.close()
            (computer.folder / "session.token").unlink()
            core = await computer.open()
            await core.until_synchronised()


@pytest.mark.parametrize("off", ["+14610d", "-10950d"], ids=["in 40 years", "30 years ago"])
async def test_a_computer_that_lives_in_another_time(
    office: LiveOffice, server: ServerProcess, tmp_path: Path, off: str
) -> None:
    """A process whose every clock is wrong, that of its TLS library, too: it signs in, by password, token and certificate."""
    profile = tmp_path / "bob"
    assert abs(clock_of(off) - time.time()) > 25 * YEAR_MS / 1000, "is libfaketime installed?"
    async with Computer(tmp_path / "a", "ann") as ann:
        await ann.sign_in(office.address)
        talk = direct_conversation_id(office.people["ann"], office.people["bob"])
        trust = ("--fingerprint", str(server.ready["organisation_id"]))
        run_cli(off, profile, "login", office.address, "bob", *trust)
        run_cli(off, profile, "send", "ann", f"greetings, {off}")
        await until(lambda: shows(ann, talk, f"greetings, {off}"))
        for number in (1, 2):
            with typing(off, profile, talk, number * 1_000):
                await until(lambda number=number: shows(ann, talk, f"bob-{number}000"))  # type: ignore[misc]
                await until(lambda: is_certified(profile))
            (profile / "session.token").unlink(missing_ok=True)
        times = [event.at_ms for event in await servers_history(ann.core, talk)]
        assert max(times) - time.time_ns() // 1_000_000 < MINUTE_MS
        assert times == sorted(times)


def living(off: str) -> dict[str, str]:
    """The environment of a process whose clock is off (Debian: faketime). Its timers are right."""
    preload = "/usr/$LIB/faketime/libfaketime.so.1"  # the loader knows $LIB
    return {
        **os.environ,
        "LD_PRELOAD": preload,
        "FAKETIME": off,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def clock_of(off: str) -> float:
    """What time a process takes it to be, Unix seconds."""
    command = [sys.executable, "-c", "import time; print(time.time())"]
    return float(subprocess.check_output(command, env=living(off), text=True, timeout=TIMEOUT_S))


def run_cli(off: str, profile: Path, *words: str) -> None:
    """Run a command to its end."""
    command = [sys.executable, "-m", "client.cli.main", *words, "--profile", str(profile)]
    done = subprocess.run(
        command,
        input=PASSWORD,
        env=living(off),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done


@contextlib.contextmanager
def typing(off: str, profile: Path, talk: ConversationId, number: int) -> Iterator[None]:
    """Somebody writes until they are killed."""
    program = [sys.executable, "-m", "tests.support.typist", str(profile), str(number), talk.hex()]
    process = subprocess.Popen(program, env=living(off), stdout=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


async def shows(computer: Computer, talk: ConversationId, text: str) -> bool:
    chats = {chat.id for chat in await computer.core.chats.all()}
    return talk in chats and text in await computer.texts(talk)


async def is_certified(profile: Path) -> bool:
    return Credentials(profile).certificate is not None


async def knows(computer: Computer, talk: ConversationId) -> bool:
    return talk in {chat.id for chat in await computer.core.chats.all()}


async def has_read(computer: Computer, talk: ConversationId) -> bool:
    return (await computer.core.chats.get(talk)).unread == 0


async def has_certificate(computer: Computer) -> bool:
    return computer.core._credentials.certificate is not None


def _queue_again(db: Db, talk: ConversationId, message: bytes) -> None:
    """As if the acknowledgement had never come: the message is not in the copy, and in the outbox."""
    (content,) = db.execute("SELECT content FROM event WHERE id = ?", (message,)).fetchone()
    db.execute(
        "INSERT INTO outbox (id, conversation, peer, kind, content, target, created_ms)"
        " SELECT ?, id, peer, 'text', ?, NULL, 0 FROM conversation WHERE id = ?",
        (message, content, talk),
    )
