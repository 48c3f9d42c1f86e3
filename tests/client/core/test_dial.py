# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server can't be reached, in words that somebody can act on."""

import socket

import pytest

from client.core.addresses import parse_address
from client.core.dial import dial_tls
from client.core.errors import ServerUnreachable
from client.core.link import Link


def _no_link() -> Link:
    raise AssertionError("nobody was reached")


async def test_a_name_that_is_not_known_is_said_to_be_so() -> None:
    with pytest.raises(ServerUnreachable, match=r"office\.invalid is not known"):
        await dial_tls(parse_address("office.invalid"), _no_link, None, None)


async def test_a_port_on_which_nobody_listens_is_said_to_be_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(
        ServerUnreachable, match=rf"127\.0\.0\.1:{port} can't be reached: connection"
    ):
        await dial_tls(parse_address(f"127.0.0.1:{port}"), _no_link, None, None)
