# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server`: reads the command line, runs one command, prints what it has to say, and returns its exit code."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from protocol.errors import RequestRefused
from server.commands import (
    backup,
    check,
    dept,
    import_people,
    info,
    init,
    role,
    run,
    user,
)
from server.commands.arguments import Commands, Parser
from server.commands.outcome import Outcome
from server.failures import Exit, Failure

log = logging.getLogger("lanyard.main")


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="lanyard-server",
        description="The server of Lanyard, and everything with which it is administered.",
        epilog="Exit codes: 0 done; 1 refused, or warnings of check; 2 faults of check; 64 wrong command line; "
        "65 wrong file; 66 no such folder; 69 no server; 73 can't create; 74 disk; 75 busy; 77 no rights; 78 config.",
    )
    commands = Commands(parser)
    for noun in (init, run, check, user, dept, role, import_people, backup, info):
        noun.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    os.umask(0o077)  # whatever this program writes is its owner's alone
    try:
        parsed = build_parser().parse_args(given)
        outcome: Outcome = parsed.run(parsed)
    except Failure as error:
        return _failed(error.sentence, error.exit_code, as_json=as_json)
    except RequestRefused as error:
        return _failed(error.sentence, Exit.REFUSED, as_json=as_json, code=error.code.value)
    except KeyboardInterrupt:
        return _failed("Interrupted.", Exit.REFUSED, as_json=as_json)
    if as_json:
        _print(json.dumps(outcome.data, ensure_ascii=False))
    elif outcome.text:
        _print(outcome.text)
    return int(outcome.exit_code)


def _print(text: str) -> None:
    """Print to standard output. A reader that has seen enough, such as head, is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = None  # or the interpreter would flush it once more


def _failed(sentence: str, exit_code: Exit, *, as_json: bool, code: str = "") -> int:
    if as_json:
        data: dict[str, Any] = {"error": sentence, "exit_code": int(exit_code)}
        _print(json.dumps(data | ({"code": code} if code else {}), ensure_ascii=False))
    else:
        print(f"lanyard-server: {sentence}", file=sys.stderr)
    return int(exit_code)


if __name__ == "__main__":
    sys.exit(main())
