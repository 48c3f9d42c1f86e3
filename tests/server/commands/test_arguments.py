# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folder is meant, and what happens to a command line that can't be understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.commands.arguments import FOLDER_VARIABLE, USUAL_FOLDER, Parser, UsageError, folder_of
from server.failures import Exit


def test_the_folder_is_named_or_in_the_environment_or_here_or_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of(None) == USUAL_FOLDER
    (tmp_path / "config.toml").touch()
    assert folder_of(None) == tmp_path
    monkeypatch.setenv(FOLDER_VARIABLE, "/srv/office")
    assert folder_of(None) == Path("/srv/office")
    assert folder_of("/srv/other") == Path("/srv/other")


def test_a_mistake_points_to_the_help() -> None:
    with pytest.raises(UsageError, match="Try: x --help") as caught:
        Parser(prog="x").parse_args(["--fly"])
    assert caught.value.exit_code == Exit.USAGE
