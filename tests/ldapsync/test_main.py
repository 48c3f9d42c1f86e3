# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line itself: what it offers, and how failures become exit codes."""

from __future__ import annotations

import json

import pytest

from ldapsync.exits import Exit, exit_code_of
from ldapsync.failures import ConfigInvalid, ReadFailed, SecretMissing, Unreachable
from ldapsync.main import build_parser, main
from ldapsync.refusals import DecisionRefused, PlanStale, PlanUnusable, ServerError, ServerRefused

COMMANDS = ["init", "check", "plan", "apply", "undo", "history", "watch", "explain", "test-login"]


def test_every_command_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    overview = build_parser().format_help()
    for command in COMMANDS:
        assert command in overview
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert "--json" in capsys.readouterr().out


def test_failures_have_their_codes() -> None:
    codes = {
        ReadFailed("x"): Exit.READ_FAILED,
        Unreachable("x"): Exit.READ_FAILED,
        ConfigInvalid("x"): Exit.CONFIG,
        SecretMissing("x"): Exit.CONFIG,
        PlanStale("x"): Exit.STALE,
        PlanUnusable("x"): Exit.DECISION,
        DecisionRefused("x"): Exit.DECISION,
        ServerError("x"): Exit.SERVER,
        ServerRefused("x", "forbidden"): Exit.SERVER,
    }
    assert {error: exit_code_of(error) for error in codes} == codes


@pytest.mark.parametrize(
    "words", [["plan", "--nonsense"], ["nonsense"], [], ["history", "--limit", "x"]]
)
def test_a_wrong_command_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == Exit.USAGE
    assert "--help" in capsys.readouterr().err


def test_a_failure_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json", "--config", "nowhere.toml"]) == Exit.CONFIG
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == Exit.CONFIG
    assert "nowhere.toml" in said["error"]
