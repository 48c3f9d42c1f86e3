# SPDX-License-Identifier: GPL-3.0-or-later
"""`run`, as far as it goes without becoming the server; the rest: tests/live/test_server_process.py."""

from __future__ import annotations

import sys
from pathlib import Path

from server.commands import run
from server.commands.arguments import Commands, Parser
from server.failures import Exit
from tests.server.commands.conftest import Command


def test_a_wrong_folder_is_told_before_anything_is_begun(lanyard: Command, tmp_path: Path) -> None:
    before = "twisted.internet.reactor" in sys.modules
    assert "init" in lanyard("run", tmp_path, code=Exit.NO_INPUT)["error"]
    assert ("twisted.internet.reactor" in sys.modules) == before
    assert list(tmp_path.iterdir()) == []


def test_the_ready_file_is_an_option() -> None:
    parser = Parser(prog="x")
    run.add_commands(Commands(parser))
    assert parser.parse_args(["run", "/srv", "--ready-file", "/x"]).ready_file == Path("/x")
