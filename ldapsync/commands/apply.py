# SPDX-License-Identifier: GPL-3.0-or-later
"""`apply`: carries a plan out, whole or not at all."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ldapsync import plan_file, reading, words
from ldapsync.actions import Decisions
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.commands.plan import data_of, text_of
from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import fetch
from ldapsync.exits import Exit, Outcome, UsageError
from ldapsync.plan_file import Document
from ldapsync.refusals import PlanUnusable
from ldapsync.rounds import Choices, Round, applied, check_same, compare, is_worth_a_run, now_ms
from protocol.ids import format_id, parse_id
from protocol.messages.sync import RunCommitted


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(commands, "apply", "carry out a plan, whole or not at all", apply)
    parser.add_argument(
        "plan", metavar="PLAN", nargs="?", help="file of plan --out; without it, plan and apply"
    )
    arguments.add_directory(parser)
    arguments.add_choices(parser)
    parser.add_argument("--yes", action="store_true", help="don't ask, even on a terminal")
    parser.add_argument("--all", action="store_true", help="show every action, however many")


def apply(options: argparse.Namespace) -> Outcome:
    """Read, compare, and carry out what that comes to."""
    config = arguments.config_of(options)
    promised = plan_file.load(Path(options.plan)) if options.plan else None
    if promised is not None:
        if options.merge or options.new or options.directory:
            raise UsageError(
                "A plan file holds its decisions; --merge, --new and --directory go with plan."
            )
        if promised.source not in config.directories:
            raise PlanUnusable(
                f"The plan is for the directory {promised.source}, which is not in {config.path}."
            )
        return _one(config.directories[promised.source], config, options, promised)
    outcomes = [
        _one(each, config, options, None) for each in arguments.directories_of(config, options)
    ]
    text = "\n\n".join(each.text for each in outcomes if each.text)
    data = {"runs": [each.data for each in outcomes]}
    return Outcome(text, data, max(each.exit_code for each in outcomes))


def _one(
    directory: DirectoryConfig,
    config: Config,
    options: argparse.Namespace,
    promised: Document | None,
) -> Outcome:
    wanted = reading.read(directory, now_ms())
    with arguments.server_line(config) as line:
        current = fetch(line.ask, wanted.source, wanted)
        organisation = line.organisation
    choices = (
        _promised_choices(promised, options)
        if promised is not None
        else arguments.choices_of(options, current)
    )
    made = compare(wanted, current, config, organisation, choices, seek=directory)
    if promised is not None:
        check_same(promised, made)
    text = text_of(made, options)
    data: dict[str, Any] = {"plan": data_of(made, options)}
    if made.plan.tripped:
        return Outcome(text, data, Exit.GUARDED)
    if not is_worth_a_run(made.plan):
        return Outcome(text, data)
    if not made.plan.is_empty and not _is_agreed(options, text):
        return Outcome("Nothing was changed.", data, Exit.DECLINED)
    made, done = applied(made, config, directory, lambda: arguments.server_line(config))
    return Outcome(_said(text, made, done), data | {"run": _run(done)})


def _promised_choices(promised: Document, options: argparse.Namespace) -> Choices:
    merges = {anchor: parse_id(user) for anchor, user in promised.merges.items()}
    allowed = promised.allowed | arguments.allowed_of(options.allow)
    return Choices(Decisions(merges, frozenset(promised.apart)), allowed)


def _is_agreed(options: argparse.Namespace, text: str) -> bool:
    if sys.stdin.isatty() and not (options.yes or options.json):
        sys.stderr.write(f"{text}\n\n")
    return arguments.is_agreed(options, "Carry this out?")


def _said(text: str, made: Round, done: RunCommitted) -> str:
    if made.plan.is_empty:
        return f"{text}\nHow the directory is read was noted at the server."
    ended = ""
    if done.ended_sessions:
        ended = f" {words.count(done.ended_sessions, 'session')} ended."
    run = words.short(done.run)
    carried_out = (
        f"Carried out as run {run}; the server's directory is at version {done.version}.{ended}\n"
        f"To take it back: {arguments.PROGRAM} undo {run}"
    )
    return f"{text}\n{carried_out}"


def _run(done: RunCommitted) -> dict[str, Any]:
    return {
        "id": format_id(done.run),
        "version": done.version,
        "created": done.created,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "ended_sessions": done.ended_sessions,
    }
