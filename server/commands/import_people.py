# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server import FILE`: people and departments from a CSV or JSON file."""

import argparse
import itertools
import secrets
import time
from pathlib import Path

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import uuid7
from server import people_file
from server.commands.arguments import Commands
from server.commands.directory import CommandDirectory, batches
from server.commands.office import Office
from server.commands.outcome import Outcome, count
from server.failures import Exit, Failure
from server.import_plan import Plan, plan


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.office_command(
        "import", "add and change people and departments from a CSV or JSON file", _import
    )
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would change, and change nothing"
    )


def _import(office: Office, arguments: argparse.Namespace) -> Outcome:
    file = people_file.read(arguments.file)
    directory = CommandDirectory(office)
    made = plan(file, tuple(directory.departments.values()), directory.people, _new_id)
    if arguments.dry_run:
        # The server looks at what fits one request; what comes after builds on what would be there.
        for batch in itertools.islice(batches(made.changes), 1):
            directory.change(*batch, is_trial=True)
        return _described(made, directory, is_done=False)
    carried_out = 0
    for batch in batches(made.changes):
        try:
            directory.change(*batch)
        except RequestRefused as error:
            raise _stopped(error, carried_out, len(made.changes)) from error
        carried_out += len(batch)
    return _described(made, directory, is_done=True)


def _new_id() -> bytes:
    return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))


def _stopped(error: RequestRefused, carried_out: int, total: int) -> Failure:
    if error.code is ErrorCode.CONFLICT:
        why = "Somebody else changed the directory meanwhile."
    else:
        why = error.sentence
    done = (
        f"{carried_out} of {total} changes were carried out before; import the file again to go on."
        if carried_out
        else "Nothing was changed."
    )
    return Failure(f"{why} {done}", Exit.REFUSED)


def _described(made: Plan, directory: CommandDirectory, *, is_done: bool) -> Outcome:
    people = (
        f"{count(made.new_people, 'new person', 'new people')}, {made.changed_people} changed, "
    )
    people += f"{made.unchanged_people} as before"
    departments = (
        f"{count(made.new_departments, 'new department')}, {made.changed_departments} changed"
    )
    lines = [] if is_done else list(made.lines)
    lines.append(f"{'Imported' if is_done else 'Would import'}: {people}; {departments}.")
    return Outcome(
        "\n".join(lines),
        {
            "is_dry_run": not is_done,
            "new_people": made.new_people,
            "changed_people": made.changed_people,
            "unchanged_people": made.unchanged_people,
            "new_departments": made.new_departments,
            "changed_departments": made.changed_departments,
            "lines": list(made.lines),
            "directory_version": directory.version,
        },
    )
