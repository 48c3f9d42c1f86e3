# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual says what the program does: every option as it is declared, every command, every guard, every exit code."""

from __future__ import annotations

import re
from pathlib import Path

from ldapsync import guard
from ldapsync.config_file import manual, parse
from ldapsync.exits import Exit
from ldapsync.main import build_parser

MANUAL = (Path(__file__).parents[2] / "docs" / "admin" / "ldap.md").read_text(encoding="utf-8")


def test_every_option_stands_as_it_is_declared() -> None:
    """Made by: python -c 'from ldapsync.config_file import manual; print(manual())'."""
    _, _, options = MANUAL.partition("## Every option\n")
    assert manual().strip() in options


def test_every_command_guard_and_exit_code_is_there() -> None:
    commands = re.findall(r"^    ([a-z-]+)(?: |$)", build_parser().format_help(), re.MULTILINE)
    assert len(commands) >= 9
    for command in commands:
        assert f"lanyard-ldapsync {command}" in MANUAL
    for name in guard.names():
        assert f"`{name}`" in MANUAL
    for code in Exit:
        if code < Exit.INTERNAL:
            assert f"| {code.value} |" in MANUAL


def test_what_the_manual_shows_can_be_used() -> None:
    roles = re.search(r"    (\[\[directory\.main\.roles\]\]\n(?:    .+\n)+)", MANUAL)
    assert roles is not None
    text = roles.group(1).replace("\n    ", "\n")
    made = parse(f'[directory.main]\nbase = "dc=example,dc=com"\nbind_user = "cn=x"\n{text}')
    assert made.directories["main"].roles[0].role == "Helpdesk"
