# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's grammar: which commands there are, the options of all of them, and how a line is read.

Light on purpose: help comes at once, and the module of a command is imported only when the command is given.
"""

import argparse
import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from client.cli.failures import Failure

if TYPE_CHECKING:
    from client.cli.desk import Desk

PROGRAM: Final = "lanyard-cli"

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Account": {
        "login": ("account", "sign in; the first time, trust a server"),
        "logout": ("account", "sign out and forget this device's keys"),
        "status": ("account", "who is signed in, and whether the server is there"),
        "servers": ("account", "find servers on this network"),
        "password": ("account", "change the password"),
        "devices": ("devices", "list and remove the devices of an account"),
    },
    "People": {
        "people": ("people", "find people by name, pinyin, login or mail"),
        "tree": ("people", "departments and who sits in them"),
        "presence": ("presence", "who is there; set your own presence"),
    },
    "Chats": {
        "chats": ("chats", "list chats and what is unread"),
        "history": ("history", "what was said in a chat"),
        "search": ("history", "find messages"),
        "watch": ("watch", "show what happens, as it happens"),
        "send": ("messages", "send a message to a person or group"),
        "edit": ("messages", "change a message of yours"),
        "recall": ("messages", "take a message back"),
        "react": ("messages", "put an emoji on a message, or take it off"),
        "forward": ("messages", "send a copy of a message to somebody else"),
        "where": ("delivery", "where a message is: here, at the server, with whom"),
        "outbox": ("delivery", "what waits on this computer"),
        "read": ("chats", "mark a chat as read"),
        "draft": ("chats", "keep a text that is not sent yet"),
        "group": ("groups", "make and change groups"),
    },
    "Administration": {
        "admin": ("admin", "server, people, departments, roles, rules, policy"),
    },
}
"""By section: a command, its module in client.cli.commands, and what it does."""

WORDS: Final = """\
WHO      a login, an exact name, an id, or the beginning or end of an id; @NAME is a login and nothing else
GROUP    the title of a group or the name of a department, or its id; #NAME is a group and nothing else
MESSAGE  an id, or the short id that history shows beside each message
TIME     10:30, 2025-11-12, 2025-11-12T10:30, or from now: 45m, 2h, 3d"""

EXIT_CODES: Final = """\
0 done, 1 wrong usage, 2 refused, 3 not signed in, 4 no server, 5 not found or ambiguous, 6 not trusted,
7 timed out, 8 local data unusable"""

Run: TypeAlias = "Callable[[Desk], Awaitable[int | None]]"
"""The function of a command; its result is the exit code, None is OK."""


class Parser(argparse.ArgumentParser):
    """Raises what is wrong as a Failure, with the way to the help in it."""

    def error(self, message: str) -> NoReturn:
        """What argparse found wrong."""
        raise Failure(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")

    def verbs(self) -> "Verbs":
        """Let the command have verbs, such as ``group create``."""
        return Verbs(self.add_subparsers(title="verbs", metavar="VERB", required=True))


class Verbs:
    """The verbs of a command."""

    def __init__(self, parsers: Any) -> None:  # argparse keeps the type to itself
        self._parsers = parsers

    def add(self, name: str, run: Run, summary: str) -> Parser:
        """One more verb; the result takes its arguments."""
        parser: Parser = self._parsers.add_parser(
            name,
            help=summary,
            description=sentence(summary),
            parents=[common_options(is_first=False)],
            allow_abbrev=False,
        )
        parser.set_defaults(run=run)
        return parser

    def group(self, name: str, summary: str) -> "Verbs":
        """A verb that has verbs itself, such as ``admin user``."""
        parser: Parser = self._parsers.add_parser(
            name, help=summary, description=sentence(summary), allow_abbrev=False
        )
        return parser.verbs()


def sentence(text: str) -> str:
    """A phrase as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def common_options(*, is_first: bool) -> argparse.ArgumentParser:
    """The options of all commands; they may stand before and after the command's name, and the later one counts."""
    options = Parser(add_help=False)
    group = options.add_argument_group("options of all commands")

    def add(*names: str, default: object, help_text: str, **kinds: Any) -> None:
        # After the command's name they work and are not listed once more.
        group.add_argument(
            *names,
            default=default if is_first else argparse.SUPPRESS,
            help=help_text if is_first else argparse.SUPPRESS,
            **kinds,
        )

    def flag(*names: str, help_text: str) -> None:
        add(*names, default=False, help_text=help_text, action="store_true")

    flag("--json", help_text="print one JSON object a line")
    add("--profile", metavar="DIR", default=None, help_text="folder of the local data")
    add(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=None,
        help_text="keep trying to reach the server for so long (without it: one attempt)",
    )
    flag("--offline", help_text="use local data alone")
    flag("--no-colour", "--no-color", help_text="no colours")
    flag("-v", "--verbose", help_text="log to standard error")
    return options


def seconds(text: str) -> float:
    """A length of time, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def positive(text: str) -> int:
    """A number of things, for argparse."""
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1,000,000")
    return int(text)


def on_off(text: str) -> bool:
    """A switch, for argparse."""
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command line; ``run`` of the result is the command's function. Raises Failure; help ends in SystemExit."""
    top = Parser(
        prog=PROGRAM,
        add_help=False,
        parents=[common_options(is_first=True)],
        allow_abbrev=False,
    )
    top.add_argument("-h", "--help", action="store_true")
    top.add_argument("--version", action="store_true")
    top.add_argument("command", nargs="?")
    top.add_argument("rest", nargs=argparse.REMAINDER)
    top.set_defaults(is_endless=False)
    options = top.parse_args(arguments)
    if options.version:
        print(PROGRAM, version())
        raise SystemExit(0)
    if options.help or options.command is None:
        print(overview())
        raise SystemExit(0)
    name, rest = options.command, options.rest
    for commands in COMMANDS.values():
        if name in commands:
            module_name, summary = commands[name]
            break
    else:
        raise Failure(f"There is no command {name!r}.{_similar(name)} See `{PROGRAM} --help`.")
    module = importlib.import_module(f"client.cli.commands.{module_name}")
    parser = Parser(
        prog=f"{PROGRAM} {name}",
        description=sentence(summary),
        epilog=f"{WORDS}\n\nOptions of all commands: `{PROGRAM} --help`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options(is_first=False)],
        allow_abbrev=False,
    )
    getattr(module, f"declare_{name}")(parser)
    del options.rest, options.help, options.version
    return parser.parse_args(rest, namespace=options)


def overview() -> str:
    """What `lanyard-cli --help` says."""
    lines = [
        f"usage: {PROGRAM} COMMAND [WORDS] [OPTIONS]",
        "",
        "Lanyard, the messenger of an office, on the command line.",
    ]
    for section, commands in COMMANDS.items():
        lines += ["", section]
        lines += [f"  {name:<10}{summary}" for name, (_module, summary) in commands.items()]
    options = common_options(is_first=True).format_help().partition("options of all commands:")[2]
    lines += ["", "Options of all commands", options.strip("\n")]
    lines += ["", "Words", *(f"  {line}" for line in WORDS.splitlines())]
    lines += ["", "Exit codes", *(f"  {line}" for line in EXIT_CODES.splitlines())]
    lines += [
        "",
        f"`{PROGRAM} COMMAND --help` says more. Begin with `{PROGRAM} login SERVER LOGIN`.",
    ]
    return "\n".join(lines)


def version() -> str:
    """This program's version."""
    from importlib.metadata import version as installed_version

    return installed_version("lanyard")


def _similar(name: str) -> str:
    import difflib

    names = [command for commands in COMMANDS.values() for command in commands]
    close = difflib.get_close_matches(name, names, 3)
    return f" Similar: {', '.join(close)}." if close else ""
