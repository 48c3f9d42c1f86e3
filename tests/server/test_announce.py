# SPDX-License-Identifier: GPL-3.0-or-later
"""The announcement runs beside the server and ends with it."""

from __future__ import annotations

import pytest

from p2p.mdns import find_servers
from server.announce import announcement

IDENTITY = bytes(range(32))


@pytest.mark.multicast
async def test_a_server_is_announced_from_a_thread_of_its_own() -> None:
    announced = announcement("Example", IDENTITY, 7370, 1, ("127.0.0.1",))
    announced.start()
    try:
        (found,) = await find_servers(5.0, interfaces=("127.0.0.1",), wanted=1)
    finally:
        announced.stop()
    assert (found.addresses, found.port) == (("127.0.0.1",), 7370)
    assert found.organisation_id == IDENTITY


def test_what_was_never_started_can_be_stopped() -> None:
    announcement("Example", IDENTITY, 7370, 1).stop()
