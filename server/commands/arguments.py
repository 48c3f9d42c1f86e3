# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command line is declared: nouns with verbs, the folder, ``--json`` everywhere."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from server.commands.office import Office, open_office
from server.commands.outcome import Outcome
from server.failures import Exit, Failure
from server.organisation import CONFIG_NAME, Organisation

FOLDER_VARIABLE: Final = "LANYARD_DIR"
USUAL_FOLDER: Final = Path("/var/lib/lanyard")

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no other name for it
OfficeCommand: TypeAlias = Callable[[Office, argparse.Namespace], Outcome]
Command: TypeAlias = Callable[[argparse.Namespace], Outcome]


class UsageError(Failure):
    """The command line can't be understood."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Exit.USAGE)


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the program, and takes ``--json``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print one JSON object instead of text",
        )

    def error(self, message: str) -> NoReturn:
        """What argparse calls for a mistake."""
        raise UsageError(f"{message}\nTry: {self.prog} --help")


class Commands:
    """All commands of the program."""

    def __init__(self, parser: Parser) -> None:
        self._verbs: Verbs = parser.add_subparsers(
            metavar="COMMAND", required=True, dest="command", parser_class=Parser
        )

    def noun(self, name: str, meaning: str) -> Verbs:
        """A command with commands of its own."""
        parser = self._verbs.add_parser(name, help=meaning, description=_sentence(meaning))
        return parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def command(self, name: str, meaning: str, run: Command) -> Parser:
        """A command of its own."""
        parser = self._verbs.add_parser(name, help=meaning, description=_sentence(meaning))
        parser.set_defaults(run=run)
        return parser

    def office_command(self, name: str, meaning: str, run: OfficeCommand) -> Parser:
        """A command that asks the organisation's server."""
        return folder_command(self._verbs, name, meaning, run)


def folder_command(verbs: Verbs, name: str, meaning: str, run: OfficeCommand) -> Parser:
    """A command that asks the organisation's server; with ``--dir``."""

    def ask(arguments: argparse.Namespace) -> Outcome:
        with open_office(Organisation(folder_of(arguments.dir))) as office:
            return run(office, arguments)

    parser = verbs.add_parser(name, help=meaning, description=_sentence(meaning))
    parser.set_defaults(run=ask)
    add_folder_option(parser)
    return parser


def add_folder_option(parser: Parser) -> None:
    """``--dir DIR``."""
    parser.add_argument(
        "--dir",
        metavar="DIR",
        help=f"the organisation's folder (otherwise ${FOLDER_VARIABLE}, the current folder if it is one, {USUAL_FOLDER})",
    )


def folder_of(given: str | None) -> Path:
    """The folder that is meant."""
    variable = os.environ.get(FOLDER_VARIABLE)
    if given or variable:
        return Path(given or variable or "")
    here = Path.cwd()
    return here if (here / CONFIG_NAME).is_file() else USUAL_FOLDER


def _sentence(meaning: str) -> str:
    return f"{meaning[:1].upper()}{meaning[1:]}."
