# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server check DIR`: looks over everything, names what is wrong and how to mend it."""

import argparse
import time
from collections.abc import Iterator
from typing import Final

from protocol.errors import RequestRefused
from protocol.messages.admin import GetServerStatus
from server import checks, machine
from server.commands.arguments import Commands, folder_of
from server.commands.outcome import Outcome
from server.config import Config
from server.failures import Exit, Failure
from server.findings import Finding, Severity, fault, good, note
from server.operator_line import OperatorLine
from server.organisation import FolderLock, Organisation
from server.software import software

_MARKS: Final = {
    Severity.GOOD: "ok     ",
    Severity.NOTE: "note   ",
    Severity.WARNING: "WARNING",
    Severity.FAULT: "FAULT  ",
}
_EXITS: Final = {Severity.WARNING: Exit.REFUSED, Severity.FAULT: Exit.FAULTS}


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.command(
        "check", "look over configuration, keys, database, ports, clock and disk", _check
    )
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the organisation's folder")


def _check(arguments: argparse.Namespace) -> Outcome:
    organisation = Organisation(folder_of(arguments.dir))
    found = list(look_over(organisation))
    worst = max((finding.severity for finding in found), default=Severity.GOOD)
    lines = []
    for finding in found:
        lines.append(f"{_MARKS[finding.severity]}  {finding.subject}: {finding.sentence}")
        if finding.mend:
            lines.append(f"         mend: {finding.mend}")
    faults = sum(finding.severity is Severity.FAULT for finding in found)
    warnings = sum(finding.severity is Severity.WARNING for finding in found)
    lines.append(f"{faults} faults, {warnings} warnings.")
    data = {
        "folder": str(organisation.folder),
        "severity": worst.name.lower(),
        "findings": [
            {
                "subject": finding.subject,
                "severity": finding.severity.name.lower(),
                "sentence": finding.sentence,
                "mend": finding.mend,
            }
            for finding in found
        ],
    }
    return Outcome("\n".join(lines), data, _EXITS.get(worst, Exit.OK))


def look_over(organisation: Organisation) -> Iterator[Finding]:
    """Everything there is to say about an organisation and its machine. Raises Failure when it is none."""
    now_s = time.time()
    try:
        config = organisation.load_config()
    except Failure as error:
        if error.exit_code is not Exit.CONFIG:
            raise
        yield fault("config", error.sentence, "Correct config.toml.")
        config = Config()  # the rest is looked at all the same
    else:
        yield good("config", f"{organisation.config_file} is in order.")
    yield from checks.check_folder(organisation)
    yield from checks.check_keys(organisation, config, int(now_s * 1000))
    database = organisation.database(config)
    yield from checks.check_database(database)
    lock = FolderLock(organisation)
    process = lock.holder()
    yield _running(organisation, config, process)
    yield from machine.check_ports(config, is_running=process is not None)
    yield machine.check_clock([database, *organisation.key_files, organisation.lock_file], now_s)
    yield from machine.check_disk([database.parent, organisation.backups(config)])
    yield machine.check_descriptors(config.limits.connections, process)
    backups = sorted(organisation.backups(config).glob("*.lanyard-backup"))
    if not backups:
        yield note("backup", f"There is no backup in {organisation.backups(config)}.")


def _running(organisation: Organisation, config: Config, process: int | None) -> Finding:
    if process is None:
        return note("server", "No server runs on this folder.")
    try:
        with OperatorLine(organisation.control_socket(config), software()) as line:
            status = line.ask(GetServerStatus())
    except (Failure, RequestRefused) as error:
        sentence = f"Process {process} has the folder, but does not answer: {error}"
        return fault("server", sentence, "Look at its log; if it hangs: systemctl restart lanyard")
    return good("server", f"Process {process} serves {status.sessions} sessions.")
