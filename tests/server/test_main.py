# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what the manual shows is understood, mistakes are answered with a sentence and a code, JSON everywhere."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from server.failures import Exit
from server.main import build_parser, main

MANUAL = (Path(__file__).parents[2] / "docs" / "admin" / "server.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^ {4}lanyard-server (.+?)(?: {2,}#.*)?$", MANUAL, re.MULTILINE)


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_manuals_examples_are_understood(line: str) -> None:
    arguments = shlex.split(line)
    assert callable(build_parser().parse_args([*arguments, "--json"]).run)
    assert build_parser().parse_args(["--json", *arguments]).json


def test_the_manual_shows_every_command() -> None:
    shown = {tuple(line.split()[:1]) for line in EXAMPLES}
    parser = build_parser()
    usage = parser.format_help()
    commands = re.findall(r"^    (\w+) ", usage, re.MULTILINE)
    assert len(commands) > 8
    missing = {each for each in commands if (each,) not in shown and f"`{each}`" not in MANUAL}
    assert missing <= {"status", "reload", "version"}


def test_the_manual_lists_every_exit_code() -> None:
    for code in Exit:
        assert f"| {code:d} | " in MANUAL


def test_a_reader_that_has_seen_enough_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    stream = os.fdopen(theirs, "w")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["version"]) == 0
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert "lanyard-server" in capsys.readouterr().out
    assert main(["version", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["protocol"] == [1, 1]
    assert data["schema"] >= 2


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("", Exit.USAGE),
        ("fly", Exit.USAGE),
        ("user add x", Exit.USAGE),
        ("user list --dir {0}/gone", Exit.NO_INPUT),
        ("user list --dir {0}", Exit.NO_INPUT),
        ("check {0}/gone", Exit.NO_INPUT),
        ("run {0}/gone", Exit.NO_INPUT),
        ("import x.csv --dir {0}/gone", Exit.NO_INPUT),
        ("backup --dir {0}", Exit.NO_INPUT),
        ("restore {0}/x --dir {0}/new", Exit.NO_INPUT),
        ("reload --dir {0}", Exit.NO_INPUT),
        ("init {0}/new --names a..b", Exit.CONFIG),
        ("init {0}/new --port 70000", Exit.CONFIG),
        ("init {0}/new --password-file {0}/gone", Exit.NO_INPUT),
    ],
)
def test_a_mistake_is_answered_with_a_sentence_and_a_code(
    line: str, code: Exit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shlex.split(line.format(tmp_path))
    assert main(arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("lanyard-server: ")
    assert "Traceback" not in said.err
    assert main([*arguments, "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert data["exit_code"] == code
    assert data["error"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x")
    assert main(["init", str(tmp_path)]) == Exit.CANT_CREATE
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
