# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands share: options of the command line, the configuration, the line to the server."""

import argparse
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from ldapsync import config_file, guard
from ldapsync.actions import Decisions
from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import Current
from ldapsync.exits import Outcome, UsageError
from ldapsync.failures import ConfigInvalid
from ldapsync.planning.logins import fold_login
from ldapsync.refusals import DecisionRefused, ServerError
from ldapsync.rounds import Choices
from ldapsync.server_link import ServerLink
from protocol.ids import UserId, parse_id

PROGRAM: Final = "lanyard-ldapsync"
CONFIG_VARIABLE: Final = "LANYARD_LDAPSYNC"
USUAL_PLACES: Final = (Path("ldapsync.toml"), Path("/etc/lanyard/ldapsync.toml"))

Command: TypeAlias = Callable[[argparse.Namespace], Outcome]


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the program."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """What argparse calls for a mistake."""
        raise UsageError(f"{message}\nTry: {self.prog} --help")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no other name for it


def command(commands: Commands, name: str, meaning: str, run: Command) -> Parser:
    """One more command."""
    text = f"{meaning[0].upper()}{meaning[1:]}."
    parser = commands.add_parser(name, help=meaning, description=text)
    parser.set_defaults(run=run)
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration (usually {USUAL_PLACES[0]})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("-v", "--verbose", action="store_true", help="log to standard error")
    return parser


def add_directory(parser: Parser) -> None:
    """The option that picks one of several directories."""
    parser.add_argument(
        "--directory", metavar="NAME", help="only this one, of several in the configuration"
    )


def add_choices(parser: Parser) -> None:
    """The options by which somebody decides for one run."""
    parser.add_argument(
        "--allow",
        metavar="KIND=N",
        action="append",
        default=[],
        help=f"lift a guard up to N for this run; it is recorded. KIND: {', '.join(guard.names())}",
    )
    parser.add_argument(
        "--merge",
        metavar="ANCHOR=PERSON",
        action="append",
        default=[],
        help="the entry is this person of the server (login or id): they keep id and history",
    )
    parser.add_argument(
        "--new",
        metavar="ANCHOR",
        action="append",
        default=[],
        help="the entry is nobody who is there already",
    )


def config_of(options: argparse.Namespace) -> Config:
    """The configuration. Raises ConfigInvalid."""
    given = options.config or os.environ.get(CONFIG_VARIABLE)
    if given:
        return config_file.load(Path(given))
    for place in USUAL_PLACES:
        if place.exists():
            return config_file.load(place)
    places = " or ".join(map(str, USUAL_PLACES))
    raise ConfigInvalid(f"There is no {places}. `{PROGRAM} init ADDRESS` proposes one.")


def directories_of(config: Config, options: argparse.Namespace) -> list[DirectoryConfig]:
    """The directories that the command is about. Raises ConfigInvalid."""
    name: str | None = options.directory
    if name is None:
        if not config.directories:
            raise ConfigInvalid(f"{config.path}: there is no directory; add [directory.NAME].")
        return list(config.directories.values())
    if name not in config.directories:
        known = ", ".join(config.directories) or "none"
        raise ConfigInvalid(f"{config.path}: there is no [directory.{name}]. There is: {known}.")
    return [config.directories[name]]


def only_directory(config: Config, options: argparse.Namespace) -> DirectoryConfig:
    """The one directory that the command is about. Raises ConfigInvalid."""
    found = directories_of(config, options)
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise ConfigInvalid(f"Say which directory with --directory: {names}.")
    return found[0]


def server_line(config: Config) -> ServerLink:
    """A session with the server. Raises ServerError, SecretMissing."""
    return ServerLink.open(config.server, f"{PROGRAM} {program_version()}")


def choices_of(options: argparse.Namespace, current: Current) -> Choices:
    """The decisions of the command line. Raises UsageError, DecisionRefused."""
    merges: dict[str, UserId] = {}
    for word in options.merge:
        anchor, separator, who = word.partition("=")
        if not separator or not anchor or not who:
            raise UsageError(f"--merge {word}: write ANCHOR=PERSON.")
        merges[anchor.lower()] = person_of(who, current)
    decisions = Decisions(merges, frozenset(word.lower() for word in options.new))
    return Choices(decisions, allowed_of(options.allow))


def allowed_of(words: list[str]) -> dict[str, int]:
    """Which guards are lifted how far. Raises UsageError."""
    allowed: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        if name not in guard.names() or not number.isascii() or not number.isdecimal():
            kinds = ", ".join(guard.names())
            raise UsageError(f"--allow {word}: write KIND=N with one of {kinds}.")
        allowed[name] = int(number)
    return allowed


def person_of(word: str, current: Current) -> UserId:
    """Somebody at the server, by login or id. Raises DecisionRefused."""
    folded = fold_login(word)
    for person in current.people.values():
        if fold_login(person.login) == folded:
            return person.id
    try:
        user = parse_id(word)
    except ValueError:
        user = b""
    if user not in current.people:
        raise DecisionRefused(f"Nobody at the server has the login or id {word!r}.")
    return user


def is_agreed(options: argparse.Namespace, question: str) -> bool:
    """Whether to go on: asked where somebody can answer; a timer or script has decided already."""
    if options.yes or options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def program_version() -> str:
    """This program's version."""
    try:
        return version("lanyard")
    except PackageNotFoundError as error:
        raise ServerError("Lanyard is not installed properly: it has no version.") from error
