# SPDX-License-Identifier: GPL-3.0-or-later
"""The announcement runs beside the server and ends with it."""

from __future__ import annotations

import os

import pytest

from p2p.mdns import Announced, Announcer, FoundServer, find_servers
from server.announce import Announcement, announcement

IDENTITY = os.urandom(32)  # other servers on this machine don't count


async def heard_of() -> list[FoundServer]:
    """What the network says of our server, once it says anything."""
    for _ in range(60):
        servers = await find_servers(0.5, interfaces=("127.0.0.1",))
        found = [server for server in servers if server.organisation_id == IDENTITY]
        if found:
            return found
    return []


@pytest.mark.multicast
async def test_a_server_is_announced_from_a_thread_of_its_own() -> None:
    announced = announcement("Example", IDENTITY, 7370, 1, ("127.0.0.1",))
    announced.start()
    try:
        found = await heard_of()
    finally:
        announced.stop()
    assert [(server.addresses, server.port) for server in found] == [(("127.0.0.1",), 7370)]


@pytest.mark.multicast
async def test_a_new_name_reaches_the_network() -> None:
    announcer = Announcer(
        Announced("Example", IDENTITY, 7370, 1),
        interfaces=("127.0.0.1",),
        list_addresses=lambda: ["127.0.0.1"],
        poll_interval_s=0.1,
    )
    announced = Announcement(announcer)
    announced.start()
    names: list[str] = []
    try:
        names += [server.organisation for server in await heard_of()]
        announced.rename("Sample")
        for _ in range(60):
            names += [server.organisation for server in await heard_of()]
            if names[-1:] == ["Sample"]:
                break
    finally:
        announced.stop()
    assert (names[0], names[-1]) == ("Example", "Sample")


def test_what_was_never_started_can_be_stopped() -> None:
    announcement("Example", IDENTITY, 7370, 1).stop()
