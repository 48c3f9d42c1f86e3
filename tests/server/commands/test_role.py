# SPDX-License-Identifier: GPL-3.0-or-later
"""`role`: what people may do, given and taken; somebody always may do everything."""

from __future__ import annotations

from server.failures import Exit
from tests.server.commands.conftest import ADMIN, Command


def test_roles_are_made_given_and_taken(command: Command) -> None:
    command("dept", "add", "Sales")
    command("role", "add", "Helpdesk", "--permission", "admin.sessions")
    command("role", "grant", "helpdesk", ADMIN, "--dept", "Sales")
    command("role", "set", "Helpdesk", "--name", "Desk")
    roles = {role["name"]: role for role in command("role", "list")["roles"]}
    assert roles["Desk"]["permissions"] == ["admin.sessions"]
    assert roles["Desk"]["holders"] == [{"login": ADMIN, "department": "Sales"}]
    command("role", "revoke", "Desk", ADMIN, code=Exit.REFUSED)
    command("role", "revoke", "Desk", ADMIN, "--dept", "Sales")
    command("role", "remove", "Desk")
    wrong = command("role", "add", "X", "--permission", "admin.session", code=Exit.USAGE)
    assert "Did you mean admin.sessions?" in wrong["error"]


def test_the_last_administrator_stays(command: Command) -> None:
    refused = command("role", "revoke", "Administrator", ADMIN, code=Exit.REFUSED)
    assert refused["code"]
    assert command("role", "list")["roles"][0]["holders"]
