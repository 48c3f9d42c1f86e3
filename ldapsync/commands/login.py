# SPDX-License-Identifier: GPL-3.0-or-later
"""`test-login`: sign-in by bind, step by step, as the server does it."""

import argparse
import getpass
import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ldapsync import words
from ldapsync.answers import Entry
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import fetch
from ldapsync.directory import Directory
from ldapsync.exits import Exit, Outcome, UsageError
from ldapsync.failures import DirectoryError, SecretMissing
from ldapsync.names import all_of, any_of, equals
from ldapsync.opening import open_directory
from ldapsync.people import Found, PersonRules
from ldapsync.refusals import ServerError
from ldapsync.rounds import now_ms
from ldapsync.verdicts import Verdict

SENTENCES = {
    Verdict.ACCEPTED: "The directory accepts the password.",
    Verdict.WRONG: "The directory says that the name or the password is wrong.",
    Verdict.DISABLED: "The account is disabled in the directory.",
    Verdict.EXPIRED: "The account's time is over.",
    Verdict.PASSWORD_EXPIRED: "The password has expired; it is changed where the directory's passwords are changed.",
    Verdict.MUST_CHANGE: "The password is right, and must be changed first, where the directory's passwords are changed.",
    Verdict.LOCKED: "The account is locked after too many wrong passwords; that passes.",
    Verdict.NOT_NOW: "The account may not sign in at this time, or not from this machine.",
    Verdict.UNPROTECTED: "The directory takes no password without TLS.",
    Verdict.UNAVAILABLE: "The directory can't say: it is busy or shutting down.",
}


class Step(Struct, frozen=True):
    """One step, and how it went."""

    is_good: bool
    text: str


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(
        commands, "test-login", "try sign-in by bind, step by step", try_login
    )
    parser.add_argument("user", metavar="USER", help="what the person types as login")
    parser.add_argument(
        "--password-env", metavar="VARIABLE", help="where the password is; else it is asked for"
    )
    arguments.add_directory(parser)


def try_login(options: argparse.Namespace) -> Outcome:
    """Find the entry, bind as the person, look at the server."""
    config = arguments.config_of(options)
    directory = arguments.only_directory(config, options)
    password = _password(options)
    steps = list(_steps(config, directory, options.user, password))
    lines = [f"{'ok  ' if step.is_good else 'FAIL'}  {words.plain(step.text)}" for step in steps]
    is_good = all(step.is_good for step in steps)
    data: dict[str, Any] = {"steps": [msgspec.to_builtins(step) for step in steps]}
    return Outcome("\n".join(lines), data, Exit.OK if is_good else Exit.FINDINGS)


def _password(options: argparse.Namespace) -> str:
    if options.password_env:
        return os.environ.get(options.password_env, "")
    if not sys.stdin.isatty():
        raise UsageError(
            "Nobody can be asked for the password; name a variable with --password-env."
        )
    return getpass.getpass(f"Password of {options.user}: ")


def _steps(config: Config, directory: DirectoryConfig, user: str, password: str) -> Iterator[Step]:
    try:
        opened = open_directory(directory)
    except (DirectoryError, SecretMissing) as error:
        yield Step(False, str(error))
        return
    with opened:
        yield Step(True, f"{opened.url} answers, and lets the reading account in.")
        asked = _filter(directory, user)
        try:
            entries = _found(opened, directory, asked)
        except DirectoryError as error:
            yield Step(False, str(error))
            return
        if len(entries) != 1:
            number = "No entry matches" if not entries else f"{len(entries)} entries match"
            yield Step(False, f"{number} {asked} below {', '.join(directory.people_bases)}.")
            return
        ((base, entry),) = entries
        yield Step(True, f"{entry.dn} is the one entry that matches {asked}.")
        found = PersonRules(directory).take(entry, base, now_ms())
        if not isinstance(found, Found):
            yield Step(False, f"The entry is set aside: {found.reason} {found.mend}")
            return
        if found.why_off:
            yield Step(False, f"The directory gives no access: {found.why_off}.")
        else:
            yield Step(True, "The directory gives access.")
        yield from _bound(opened, entry, password)
    yield from _at_server(config, directory, found)


def _filter(directory: DirectoryConfig, user: str) -> str:
    names = [name for name in directory.people.login if "{" not in name]
    return all_of(directory.people.filter, any_of(*(equals(name, user) for name in names)))


def _found(opened: Directory, directory: DirectoryConfig, asked: str) -> list[tuple[str, Entry]]:
    attributes = PersonRules(directory).attributes
    return [
        (base, entry)
        for base in directory.people_bases
        for entry in opened.search(base, asked, attributes)
    ]


def _bound(opened: Directory, entry: Entry, password: str) -> Iterator[Step]:
    if not password:
        yield Step(
            False, "An empty password is never tried: directories take it for an anonymous sign-in."
        )
        return
    try:
        verdict = opened.bind(entry.dn, password)
    except DirectoryError as error:
        yield Step(False, str(error))
        return
    yield Step(verdict is Verdict.ACCEPTED, SENTENCES[verdict])


def _at_server(config: Config, directory: DirectoryConfig, found: Found) -> Iterator[Step]:
    try:
        with arguments.server_line(config) as line:
            people = fetch(line.ask, directory.name).people.values()
    except (ServerError, SecretMissing) as error:
        yield Step(False, str(error))
        return
    place = (directory.name, found.anchor)
    person = next((one for one in people if (one.source, one.anchor) == place), None)
    if person is None:
        yield Step(False, "The server does not know the person yet: run apply.")
    elif person.is_disabled:
        yield Step(False, "The account was closed at the server by hand.")
    elif person.is_off_at_source:
        yield Step(
            False,
            "The account is closed at the server, because the directory said so in the last run.",
        )
    else:
        yield Step(True, f"The server knows the person as {person.name} ({person.login}).")
