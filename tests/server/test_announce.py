# SPDX-License-Identifier: GPL-3.0-or-later
"""The announcement runs beside the server and ends with it."""

from __future__ import annotations

import os

import pytest

from p2p.mdns import FoundServer, find_servers
from server.announce import announcement

IDENTITY = os.urandom(32)  # other servers on this machine don't count


@pytest.mark.multicast
async def test_a_server_is_announced_from_a_thread_of_its_own() -> None:
    announced = announcement("Example", IDENTITY, 7370, 1, ("127.0.0.1",))
    announced.start()
    found: list[FoundServer] = []
    try:
        for _ in range(60):
            servers = await find_servers(0.5, interfaces=("127.0.0.1",))
            found = [server for server in servers if server.organisation_id == IDENTITY]
            if found:
                break
    finally:
        announced.stop()
    assert [(server.addresses, server.port) for server in found] == [(("127.0.0.1",), 7370)]


def test_what_was_never_started_can_be_stopped() -> None:
    announcement("Example", IDENTITY, 7370, 1).stop()
