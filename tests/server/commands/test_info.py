# SPDX-License-Identifier: GPL-3.0-or-later
"""`status`, `reload` and `version`."""

from __future__ import annotations

from server.commands import info
from server.commands.arguments import Commands, Parser
from server.failures import Exit
from server.software import software, version
from tests.server.commands.conftest import Command


def test_status_without_a_server_tells_of_the_store(command: Command) -> None:
    status = command("status")
    assert (status["people"], status["sessions"]) == (1, 0)
    assert status["software"] == software() == f"lanyard-server {version()}"
    assert status["store_bytes"] > 0


def test_reload_needs_a_server(command: Command) -> None:
    assert "No server runs" in command("reload", code=Exit.UNAVAILABLE)["error"]


def test_the_commands_are_declared() -> None:
    parser = Parser(prog="x")
    info.add_commands(Commands(parser))
    assert parser.parse_args(["version"]).run
