# SPDX-License-Identifier: GPL-3.0-or-later
"""`check`: looks at the directories and the way to the server; each finding names the entry and the mend."""

import argparse
from collections.abc import Iterator

import msgspec

from ldapsync import checks, words
from ldapsync.checks import Finding, Level
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import fetch
from ldapsync.exits import Exit, Outcome
from ldapsync.failures import SecretMissing
from ldapsync.refusals import ServerError
from ldapsync.rounds import now_ms

SIGNS = {Level.OK: "ok", Level.NOTICE: "note", Level.WARNING: "warn", Level.PROBLEM: "FAIL"}


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(
        commands, "check", "look for what is wrong: connection, rights, entries, the server", check
    )
    arguments.add_directory(parser)


def check(options: argparse.Namespace) -> Outcome:
    """Look at everything; nothing is changed."""
    config = arguments.config_of(options)
    lines: list[str] = []
    data: dict[str, object] = {}
    worst = False
    for directory in arguments.directories_of(config, options):
        found = [*checks.run(directory, now_ms()), *_roles_and_server(config, directory)]
        lines += [f"Directory {directory.name}", *_lines(found), ""]
        data[directory.name] = [msgspec.to_builtins(one) for one in found]
        worst |= any(one.level in (Level.WARNING, Level.PROBLEM) for one in found)
    lines.append("There is something to mend." if worst else "All is well.")
    return Outcome("\n".join(lines), {"findings": data}, Exit.FINDINGS if worst else Exit.OK)


def _roles_and_server(config: Config, directory: DirectoryConfig) -> Iterator[Finding]:
    try:
        with arguments.server_line(config) as line:
            current = fetch(line.ask, directory.name)
            name = line.organisation_name
    except (ServerError, SecretMissing) as error:
        mend = "Correct [server] in ldapsync.toml, or the rights of its account."
        yield Finding("server", Level.PROBLEM, str(error), mend)
        return
    yield Finding(
        "server", Level.OK, f"{name} answers; its directory is at version {current.version}."
    )
    known = {role.name.casefold() for role in current.roles.values()}
    for role in sorted({rule.role for rule in directory.roles}):
        if role.casefold() not in known:
            mend = "Make it with `lanyard-server role add`, or correct the rule."
            yield Finding("roles", Level.WARNING, f"The server has no role {role!r}.", mend)


def _lines(found: list[Finding]) -> Iterator[str]:
    for one in found:
        where = f"{words.plain(one.dn)}: " if one.dn else ""
        yield f"  {SIGNS[one.level]:<4}  {one.check}: {where}{words.plain(one.text)}"
        if one.mend:
            yield f"        {words.plain(one.mend)}"
