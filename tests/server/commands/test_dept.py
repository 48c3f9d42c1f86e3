# SPDX-License-Identifier: GPL-3.0-or-later
"""`dept`: the tree of departments."""

from __future__ import annotations

from server.failures import Exit
from tests.server.commands.conftest import Command


def test_the_tree_is_made_moved_renamed_and_pruned(command: Command) -> None:
    assert command("dept", "add", "Sales/North/Harbour", "--order", "3")["made"] == 3
    command("dept", "add", "Board")
    assert command("dept", "move", "Sales/North", "Board")["path"] == "Board/North"
    assert command("dept", "rename", "Board/North", "Nord")["path"] == "Board/Nord"
    assert command("dept", "move", "Board/Nord", "/")["path"] == "Nord"
    paths = [each["path"] for each in command("dept", "list")["departments"]]
    assert paths == ["Board", "Nord", "Nord/Harbour", "Sales"]
    command("dept", "remove", "Nord", code=Exit.REFUSED)
    command("dept", "remove", "Nord/Harbour")


def test_what_is_there_and_what_is_not_is_said(command: Command) -> None:
    command("dept", "add", "Sales/North")
    assert "already" in command("dept", "add", "Sales/North", code=Exit.REFUSED)["error"]
    missing = command("dept", "rename", "Sales/Nort", "X", code=Exit.REFUSED)
    assert "Did you mean Sales/North or Sales?" in missing["error"]
