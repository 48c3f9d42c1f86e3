# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command line is read: words and options in any order, and what is wrong with it in one sentence."""

from __future__ import annotations

import pytest

from client.cli.failures import Exit, Failure
from client.cli.grammar import COMMANDS, parse


def test_the_options_of_all_commands_stand_anywhere_and_the_later_one_counts() -> None:
    before = parse(["--json", "--profile", "a", "people", "li"])
    behind = parse(["people", "li", "--json", "--profile", "a"])
    between = parse(["people", "--json", "li", "--profile", "b", "--profile", "a"])
    for options in (before, behind, between):
        assert (options.json, options.profile, options.text) == (True, "a", ["li"])
    verb = parse(["--json", "group", "--offline", "add", "G", "bob", "--timeout", "3", "eve"])
    assert (verb.json, verb.offline, verb.timeout) == (True, True, 3.0)
    assert (verb.group, verb.who) == ("G", ["bob", "eve"])


def test_a_command_that_has_no_end_is_known_as_one() -> None:
    assert parse(["watch"]).is_endless
    assert not parse(["chats"]).is_endless
    assert not parse(["group", "leave", "G"]).is_endless


def test_a_text_may_begin_with_a_dash_after_two_of_them() -> None:
    options = parse(["send", "bob", "--", "--not an option", "-v"])
    assert options.text == ["--not an option", "-v"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("senf bob x", "Similar: send"),
        ("group crate X", "Similar: create"),
        ("group", "Say what to do: create"),
        ("admin user", "Say what to do: add"),
        ("people --limit 0", "no number from 1"),
        ("watch --seconds never", "no number of seconds"),
        ("group mute X maybe", "neither on nor off"),
        ("chats --unknown", "--unknown"),
        ("people --lim 3", "--lim"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_way_to_the_help(line: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        parse(line.split())
    failure = caught.value
    assert said in failure.sentence
    assert "--help`" in failure.sentence
    assert "\n" not in failure.sentence
    assert failure.exit_code is Exit.USAGE


def test_every_command_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in [name for commands in COMMANDS.values() for name in commands]:
        with pytest.raises(SystemExit) as ended:
            parse([command, "--help"])
        assert ended.value.code in (0, None)
        printed = capsys.readouterr().out
        assert f"lanyard-cli {command}" in printed
        assert max(map(len, printed.splitlines())) <= 120
