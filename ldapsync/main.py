# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-ldapsync`: reads the command line, runs one command, prints what it has to say, and returns its exit code."""

import gc
import io
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from ldapsync.commands import apply, check, explain, history, init, login, plan, watch
from ldapsync.commands.arguments import PROGRAM, Parser, program_version
from ldapsync.exits import Exit, Outcome, exit_code_of
from ldapsync.failures import SyncError
from ldapsync.refusals import PlanStale

COLLECT_AFTER = 200_000
"""New records until Python looks for those that only refer to each other."""
_NOUNS = (init, check, plan, apply, history, watch, explain, login)


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog=PROGRAM,
        description="Departments, people, groups and roles from LDAP or Active Directory: readable before, undoable after.",
        epilog="Exit codes: 0 done, nothing to do; 1 findings; 2 changes; 3 stopped by a guard; 4 plan no longer holds; "
        "5 directory not read; 6 server; 7 configuration; 8 plan file or decision; 9 declined; 64 wrong command line.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {program_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for noun in _NOUNS:
        noun.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    # A run makes millions of records that live to its end: to look through them again and again takes as long as to read them.
    gc.set_threshold(COLLECT_AFTER, 20, 1_000)
    os.umask(0o077)  # plans name people: whatever this program writes is its owner's alone
    try:
        parsed = build_parser().parse_args(given)
        _set_up_log(is_verbose=parsed.verbose)
        outcome: Outcome = parsed.run(parsed)
        if (
            said := json.dumps(outcome.data, ensure_ascii=False)
            if as_json and outcome.data
            else outcome.text
        ):
            _say(sys.stdout, said)
    except SyncError as error:
        return _failed(error, as_json=as_json)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None
        return int(Exit.OK)
    return int(outcome.exit_code)


def _failed(error: SyncError, *, as_json: bool) -> int:
    code = exit_code_of(error)
    changes = error.changes if isinstance(error, PlanStale) else ()
    if as_json:
        data: dict[str, Any] = {"error": str(error), "exit_code": int(code)}
        data |= {"changes": changes} if changes else {}
        _say(sys.stdout, json.dumps(data, ensure_ascii=False))
    else:
        _say(sys.stderr, "\n  ".join([f"{PROGRAM}: {error}", *changes]))
    return int(code)


def _say(stream: TextIO, text: str) -> None:
    """Print: what this program is for."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a name that the console can't show stops nothing
    stream.write(f"{text}\n")
    stream.flush()


def _set_up_log(*, is_verbose: bool) -> None:
    """The log is for whoever asks for it: what an administrator must know is printed by the command."""
    if is_verbose:
        form = "%(asctime)s %(levelname).1s %(name)s: %(message)s"
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=form)
    else:
        logging.getLogger("lanyard").addHandler(logging.NullHandler())


if __name__ == "__main__":
    sys.exit(main())
