# SPDX-License-Identifier: GPL-3.0-or-later
"""A server announced and found by real multicast datagrams on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from p2p.mdns import Announced, Announcer, FoundServer, find_servers

LOOPBACK = ("127.0.0.1",)
ANNOUNCED = Announced("Example 株式会社", bytes(range(32)), 7370, 1)

pytestmark = pytest.mark.multicast


@contextlib.asynccontextmanager
async def announced(addresses: list[str], poll_interval_s: float = 10.0) -> AsyncIterator[None]:
    announcer = Announcer(
        ANNOUNCED,
        interfaces=LOOPBACK,
        list_addresses=lambda: list(addresses),
        poll_interval_s=poll_interval_s,
    )
    task = asyncio.create_task(announcer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def find(addresses: tuple[str, ...]) -> list[FoundServer]:
    """Ask until these addresses are announced; gives up after a while."""
    found: list[FoundServer] = []
    for _ in range(100):
        found = await find_servers(3.0, interfaces=LOOPBACK, wanted=1)
        if found and found[0].addresses == addresses:
            break
        await asyncio.sleep(0.2)
    return found


async def test_a_client_finds_the_server() -> None:
    async with announced(["192.0.2.7", "192.0.2.8"]):
        found = await find(("192.0.2.7", "192.0.2.8"))
    assert found == [
        FoundServer(("192.0.2.7", "192.0.2.8"), 7370, "Example 株式会社", bytes(range(32)), 1)
    ]


async def test_new_addresses_of_the_machine_are_announced() -> None:
    addresses = ["192.0.2.7"]
    async with announced(addresses, poll_interval_s=0.1):
        assert [server.addresses for server in await find(("192.0.2.7",))] == [("192.0.2.7",)]
        addresses[:] = ["192.0.2.9"]
        assert [server.addresses for server in await find(("192.0.2.9",))] == [("192.0.2.9",)]


async def test_where_nobody_is_nobody_is_found() -> None:
    assert await find_servers(0.3, interfaces=LOOPBACK) == []
