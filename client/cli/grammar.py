# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's grammar: which commands there are, the options of all of them, and how a line is read.

Light on purpose: help comes at once, and the module of a command is imported only when the command is given.
"""

import argparse
import importlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
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
WHO      a login, an exact name, an id or its beginning or end;
         @NAME is a login and nothing else
GROUP    the title of a group, the name of a department, or an id;
         #NAME is one of these and nothing else
MESSAGE  an id, or the short id that history shows beside each message
TIME     10:30, 2025-11-12, 2025-11-12T10:30, or from now: 45m, 2h, 3d"""

EXIT_CODES: Final = """\
0 done, 1 wrong usage, 2 refused, 3 not signed in, 4 no server,
5 not found or ambiguous, 6 not trusted, 7 timed out, 8 local data unusable,
70 a fault of the program, 130 interrupted"""

EPILOG: Final = f"{WORDS}\n\nOptions of all commands: `{PROGRAM} --help`."

Run: TypeAlias = "Callable[[Desk], Awaitable[int | None]]"
"""The function of a command; its result is the exit code, None is OK."""


class Parser(argparse.ArgumentParser):
    """Takes words and options in any order, and raises what is wrong as a Failure, with the way to the help in it."""

    own_verbs: "Verbs | None" = None

    def __init__(self, **kinds: Any) -> None:
        super().__init__(**kinds)
        self._positionals.title = "words"

    def error(self, message: str) -> NoReturn:
        """What argparse found wrong."""
        raise Failure(f"{sentence(message)} See `{self.prog} --help`.")

    def verbs(self) -> "Verbs":
        """Let the command have verbs, such as ``group create``."""
        self.own_verbs = Verbs(self.prog, self.description or "")
        return self.own_verbs

    def read(self, words: Sequence[str], options: argparse.Namespace) -> argparse.Namespace:
        """Read the words that follow the command. Raises Failure; help ends in SystemExit."""
        if self.own_verbs is not None:
            return self.own_verbs.read(words, options)
        return self.parse_intermixed_args(words, options)


class Verbs:
    """The verbs of a command, or of a verb that has some itself. argparse's own would not take options between words."""

    def __init__(self, prog: str, summary: str) -> None:
        self._prog = prog
        self._summary = summary
        self._parsers: dict[str, tuple[str, Parser]] = {}

    def __iter__(self) -> Iterator[tuple[str, Parser]]:
        """Each verb with what reads its words."""
        return ((name, parser) for name, (_summary, parser) in self._parsers.items())

    def add(self, name: str, run: Run, summary: str) -> Parser:
        """One more verb; the result takes its arguments."""
        parser = self._new(name, summary)
        parser.set_defaults(run=run)
        return parser

    def group(self, name: str, summary: str) -> "Verbs":
        """A verb that has verbs itself, such as ``admin user``."""
        return self._new(name, summary).verbs()

    def read(self, words: Sequence[str], options: argparse.Namespace) -> argparse.Namespace:
        """Read what follows the command. Raises Failure; help ends in SystemExit."""
        head = Parser(
            prog=self._prog,
            add_help=False,
            parents=[common_options(is_first=False)],
            allow_abbrev=False,
        )
        head.add_argument("-h", "--help", action="store_true")
        head.add_argument("verb", nargs="?")
        head.add_argument("rest", nargs=argparse.REMAINDER)
        head.parse_args(words, namespace=options)
        wants_help, verb, rest = options.help, options.verb, options.rest
        del options.help, options.verb, options.rest
        if wants_help:
            print(self.overview())
            raise SystemExit(0)
        if verb is None:
            raise Failure(f"Say what to do: {', '.join(self._parsers)}. See `{self._prog} --help`.")
        if verb not in self._parsers:
            hint = _similar(verb, self._parsers)
            raise Failure(f"`{self._prog}` has no verb {verb!r}.{hint} See `{self._prog} --help`.")
        return self._parsers[verb][1].read(rest, options)

    def overview(self) -> str:
        """What ``--help`` says."""
        widest = max(map(len, self._parsers))
        verbs = [f"  {name:<{widest}}  {summary}" for name, (summary, _) in self._parsers.items()]
        lines = [f"usage: {self._prog} VERB [WORDS] [OPTIONS]", "", self._summary, "", "verbs:"]
        return "\n".join([*lines, *verbs, "", f"`{self._prog} VERB --help` says more."])

    def _new(self, name: str, summary: str) -> Parser:
        parser = Parser(
            prog=f"{self._prog} {name}",
            description=sentence(summary),
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[common_options(is_first=False)],
            allow_abbrev=False,
        )
        self._parsers[name] = (summary, parser)
        return parser


def sentence(text: str) -> str:
    """A phrase as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


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
    options = top.parse_args(arguments)
    if options.version:
        print(PROGRAM, version())
        raise SystemExit(0)
    if options.help or options.command is None:
        print(overview())
        raise SystemExit(0)
    name, rest = options.command, options.rest
    parser = parser_of(name)
    del options.rest, options.help, options.version
    options = parser.read(rest, options)
    # Only now: a default of the command's would not replace what is there already.
    options.is_endless = getattr(options, "is_endless", False)
    return options


def parser_of(name: str) -> Parser:
    """What reads the words after a command's name. Raises Failure for a name that is none."""
    for commands in COMMANDS.values():
        if name in commands:
            module_name, summary = commands[name]
            break
    else:
        names = [command for commands in COMMANDS.values() for command in commands]
        raise Failure(
            f"There is no command {name!r}.{_similar(name, names)} See `{PROGRAM} --help`."
        )
    module = importlib.import_module(f"client.cli.commands.{module_name}")
    parser = Parser(
        prog=f"{PROGRAM} {name}",
        description=sentence(summary),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options(is_first=False)],
        allow_abbrev=False,
    )
    getattr(module, f"declare_{name}")(parser)
    return parser


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


def _similar(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, list(known), 3)
    return f" Similar: {', '.join(close)}." if close else ""
