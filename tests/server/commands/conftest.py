# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands run in this process, against an organisation whose server does not run."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from server.main import main
from server.organisation import Organisation

Command: TypeAlias = Callable[..., Any]

ADMIN = "admin"
PASSWORD = "a pass phrase of some length"


@pytest.fixture
def lanyard(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command with --json, checks its exit code, and returns the object that it printed."""

    def run(*arguments: str | Path, stdin: str = "", code: int = 0) -> Any:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        ended = main([*map(str, arguments), "--json"])
        said = capsys.readouterr().out
        assert ended == code, (arguments, said)
        return json.loads(said)

    return run


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An organisation with an administrator, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "office"
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    command = ["init", str(folder), "--name", "Example Ltd", "--names", "localhost,127.0.0.1"]
    command += ["--port", "0", "--admin", ADMIN, "--password-file", str(secret), "--permanent"]
    assert main(command) == 0
    return folder


@pytest.fixture
def organisation(original: Path, tmp_path: Path) -> Organisation:
    shutil.copytree(original, tmp_path / "office")
    return Organisation(tmp_path / "office")


@pytest.fixture
def command(lanyard: Command, organisation: Organisation) -> Command:
    """The same for commands with --dir."""

    def run(*arguments: str | Path, stdin: str = "", code: int = 0) -> Any:
        return lanyard(*arguments, "--dir", organisation.folder, stdin=stdin, code=code)

    return run
