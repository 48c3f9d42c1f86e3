# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that comes back after a holiday: how long until its list of conversations can be used."""

import asyncio
import shutil
import socket
import ssl
import time
from pathlib import Path
from typing import Final, Self

from bench.failures import BenchFailed
from bench.premises import PASSWORD, Seat
from client.core.app import Core
from protocol.client_connection import ClientConnection
from protocol.events import ConnectionEvent, ReplyReceived, RequestFailed, WelcomeReceived
from protocol.messages.chat import ChatsPage, Sync
from protocol.messages.kinds import ReplyT_co, Request
from protocol.messages.session import DeviceInfo, Resume

TIMEOUT_S: Final = 60.0


class Away:
    """What a device should find when it is back."""

    def __init__(self, chats: int, messages: int) -> None:
        self.chats = chats
        self.messages = messages

    def check(self, chats: int, unread: int) -> None:
        """Raises BenchFailed when it found something else."""
        if (chats, unread) != (self.chats, self.messages):
            raise BenchFailed(
                f"came back to {chats} conversations with {unread} unread messages"
                f" instead of {self.chats} with {self.messages}"
            )


class Caller:
    """A blocking connection with the plain protocol."""

    def __init__(self, address: tuple[str, int], authority: Path, seat: Seat) -> None:
        """Connect and return by token. Raises BenchFailed."""
        context = ssl.create_default_context(cafile=str(authority))
        raw = socket.create_connection(address, timeout=TIMEOUT_S)
        self._socket = context.wrap_socket(raw, server_hostname=address[0])
        self._connection = ClientConnection(time.monotonic(), software="bench")
        while not any(isinstance(event, WelcomeReceived) for event in self._more()):
            pass
        self.ask(Resume(seat.user, DeviceInfo(seat.device, "bench"), seat.token))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer. Raises BenchFailed."""
        number = self._connection.request(request, time.monotonic())
        while True:
            for event in self._more():
                if isinstance(event, ReplyReceived) and event.number == number:
                    return event.message  # type: ignore[return-value]  # a reply to this request
                if isinstance(event, RequestFailed):
                    raise BenchFailed(f"the server refused: {event.sentence}")

    def changed(self, since: int) -> tuple[int, int, int]:
        """All pages of what changed since a stamp: conversations, unread messages, and the new stamp."""
        chats = unread = 0
        page: ChatsPage = self.ask(Sync(since))
        while True:
            chats += len(page.chats)
            unread += sum(chat.unread for chat in page.chats)
            if not page.cursor:
                return chats, unread, page.stamp
            page = self.ask(Sync(since, page.cursor))

    def _more(self) -> list[ConnectionEvent]:
        self._socket.sendall(self._connection.data_to_send())
        data = self._socket.recv(1 << 18)
        if not data:
            raise BenchFailed("the server closed the connection")
        return self._connection.receive(data, time.monotonic())


def by_protocol(
    address: tuple[str, int], authority: Path, seat: Seat, since: int, away: Away
) -> float:
    """Seconds from the first packet to the last page. Raises BenchFailed."""
    began = time.perf_counter()
    with Caller(address, authority, seat) as caller:
        chats, unread, _ = caller.changed(since)
        seconds = time.perf_counter() - began
    away.check(chats, unread)
    return seconds


def prepare_profile(folder: Path, address: tuple[str, int], seat: Seat) -> None:
    """Sign in with the real client once, so that it has the directory and a token, and close it."""

    async def work() -> None:
        async with await Core.open(folder, device_kind="cli", software="bench") as core:
            await core.servers.trust(await core.servers.probe(f"{address[0]}:{address[1]}"))
            await core.account.sign_in(seat.login, PASSWORD)
            await core.until_synchronised(TIMEOUT_S)
            until = time.monotonic() + TIMEOUT_S
            while not await core.people.by_login(seat.login):
                if time.monotonic() > until:
                    raise BenchFailed("the client did not get the directory")
                await asyncio.sleep(0.05)

    asyncio.run(work())


def by_client(profile: Path, away: Away) -> float:
    """Seconds from opening a copy of the profile to the list that is equal to the server's. Raises BenchFailed."""
    copy = profile.with_name(f"{profile.name}-copy")
    shutil.copytree(profile, copy)

    async def work() -> tuple[float, int, int]:
        began = time.perf_counter()
        async with await Core.open(copy, device_kind="cli", software="bench") as core:
            await core.until_synchronised(TIMEOUT_S)
            views = await core.chats.all()
            seconds = time.perf_counter() - began
            return seconds, len(views), sum(view.unread for view in views)

    try:
        seconds, chats, unread = asyncio.run(work())
    finally:
        shutil.rmtree(copy)
    away.check(chats, unread)
    return seconds
