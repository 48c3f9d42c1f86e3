# SPDX-License-Identifier: GPL-3.0-or-later
"""A server announced and found by real multicast datagrams on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import pytest

from p2p.mdns import Announced, Announcer, FoundServer, find_servers

LOOPBACK = ("127.0.0.1",)
ORGANISATION = "Example 株式会社"
ROUNDS_S = (0.5, 0.5, 1, 2, 4, 8, 16)
"""How long each round asks: short while all is well, long on a machine that has other things to do."""

pytestmark = pytest.mark.multicast


@contextlib.asynccontextmanager
async def announced(
    identity: bytes, addresses: list[str], poll_interval_s: float = 10.0
) -> AsyncIterator[None]:
    announcer = Announcer(
        Announced(ORGANISATION, identity, 7370, 1),
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


async def find(identity: bytes, addresses: tuple[str, ...]) -> FoundServer:
    """Ask until this organisation's server has these addresses; others on this machine don't count."""
    found: list[FoundServer] = []
    for timeout_s in ROUNDS_S:
        found = await find_servers(timeout_s, interfaces=LOOPBACK)
        for server in found:
            if server.organisation_id == identity and server.addresses == addresses:
                return server
    raise AssertionError(f"not found: {found}")


async def test_a_client_finds_the_server() -> None:
    identity = os.urandom(32)
    async with announced(identity, ["192.0.2.7", "192.0.2.8"]):
        found = await find(identity, ("192.0.2.7", "192.0.2.8"))
    assert found == FoundServer(("192.0.2.7", "192.0.2.8"), 7370, ORGANISATION, identity, 1)


async def test_new_addresses_of_the_machine_are_announced() -> None:
    identity, addresses = os.urandom(32), ["192.0.2.7"]
    async with announced(identity, addresses, poll_interval_s=0.1):
        await find(identity, ("192.0.2.7",))
        addresses[:] = ["192.0.2.9"]
        await find(identity, ("192.0.2.9",))


async def test_who_has_said_farewell_is_not_found() -> None:
    identity = os.urandom(32)
    async with announced(identity, ["192.0.2.7"]):
        await find(identity, ("192.0.2.7",))
    found = await find_servers(0.5, interfaces=LOOPBACK)
    assert identity not in [server.organisation_id for server in found]


async def test_enough_is_enough() -> None:
    async with announced(os.urandom(32), ["192.0.2.7"]):
        assert len(await find_servers(600.0, interfaces=LOOPBACK, wanted=1)) == 1
