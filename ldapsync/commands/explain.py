# SPDX-License-Identifier: GPL-3.0-or-later
"""`explain`: why somebody is what they are in Lanyard, from the entry in the directory to what they see."""

import argparse
from typing import Any

import msgspec

from ldapsync import explanation, reading
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.current import fetch
from ldapsync.exits import Exit, Outcome
from ldapsync.rounds import Choices, compare, now_ms


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(
        commands, "explain", "say why somebody is what they are, and what they see", explain
    )
    parser.add_argument("person", metavar="PERSON", help="login, mail, name, DN, or anchor")
    arguments.add_directory(parser)


def explain(options: argparse.Namespace) -> Outcome:
    """Look in each directory; found in none is a finding."""
    config = arguments.config_of(options)
    texts: list[str] = []
    found: list[Any] = []
    for directory in arguments.directories_of(config, options):
        wanted = reading.read(directory, now_ms())
        with arguments.server_line(config) as line:
            current = fetch(line.ask, wanted.source, wanted)
            organisation = line.organisation
        made = compare(wanted, current, config, organisation, Choices())
        told = explanation.of(options.person, made, directory)
        if told is not None:
            texts.append(explanation.text(told))
            found.append(msgspec.to_builtins(told))
    if not texts:
        names = ", ".join(one.name for one in arguments.directories_of(config, options))
        text = (
            f"Nobody in {names} is called {options.person!r}: neither among those who were read, nor among those set aside, "
            f"nor at the server. `{arguments.PROGRAM} check` looks at entries that are not read."
        )
        return Outcome(text, {"people": []}, Exit.FINDINGS)
    return Outcome("\n\n".join(texts), {"people": found})
