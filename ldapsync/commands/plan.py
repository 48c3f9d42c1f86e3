# SPDX-License-Identifier: GPL-3.0-or-later
"""`plan`: what would change, and why. Changes nothing."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from ldapsync import reading, words
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import fetch
from ldapsync.exits import Exit, Outcome, UsageError
from ldapsync.plan_file import save
from ldapsync.rounds import Round, compare, now_ms


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(commands, "plan", "show what a run would change, and why", plan)
    arguments.add_directory(parser)
    arguments.add_choices(parser)
    parser.add_argument("--out", metavar="FILE", help="also write the plan, for apply")
    parser.add_argument("--all", action="store_true", help="show every action, however many")


def plan(options: argparse.Namespace) -> Outcome:
    """Read, compare, show. The exit code says whether there is something to do."""
    config = arguments.config_of(options)
    directories = arguments.directories_of(config, options)
    if options.out and len(directories) > 1:
        raise UsageError("--out writes the plan of one directory; say which with --directory.")
    rounds = [round_of(each, config, options) for each in directories]
    if options.out:
        save(rounds[0].document(), Path(options.out))
    text = "\n\n".join(text_of(each, options) for each in rounds)
    return Outcome(
        text, {"plans": [data_of(each, options) for each in rounds]}, exit_code_of(rounds)
    )


def round_of(directory: DirectoryConfig, config: Config, options: argparse.Namespace) -> Round:
    """One directory's round. The server is asked after the directory was read: a line must not idle."""
    wanted = reading.read(directory, now_ms())
    with arguments.server_line(config) as line:
        current = fetch(line.ask, wanted.source, wanted)
        organisation = line.organisation
    choices = arguments.choices_of(options, current)
    return compare(wanted, current, config, organisation, choices, seek=directory)


def text_of(made: Round, options: argparse.Namespace) -> str:
    """The plan for people."""
    if options.json:
        return ""
    most = None if options.all else words.SHOWN_PER_KIND
    return words.plan_text(made.document(most), made.plan, shows_all=options.all)


def data_of(made: Round, options: argparse.Namespace) -> Any:
    """The plan for programs."""
    return msgspec.to_builtins(made.document()) if options.json else {}


def exit_code_of(rounds: list[Round]) -> Exit:
    """A guard says more than a change."""
    if any(each.plan.tripped for each in rounds):
        return Exit.GUARDED
    return Exit.CHANGES if any(not each.plan.is_empty for each in rounds) else Exit.OK
