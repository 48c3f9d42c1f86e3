# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server status`, `reload` and `version`."""

import argparse

import msgspec

from protocol.errors import RequestRefused
from protocol.messages.admin import GetServerStatus
from protocol.version import OLDEST_VERSION, VERSION
from server.commands.arguments import Commands, add_folder_option, folder_of
from server.commands.office import Office
from server.commands.outcome import Outcome
from server.commands.times import shown_size, shown_time
from server.failures import Failure
from server.operator_line import give_order
from server.orders import Reload, Reloaded
from server.organisation import Organisation
from server.software import software, version
from server.store.migrate import known_steps


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    commands.office_command("status", "how the server is", _status)
    reloaded = commands.command("reload", "read config.toml and certificates again", _reload)
    add_folder_option(reloaded)
    commands.command("version", "version of the program and what it speaks", _version)


def _status(office: Office, arguments: argparse.Namespace) -> Outcome:
    status = office.ask(GetServerStatus())
    fields = [
        ("program", status.software),
        ("running since", shown_time(status.started_ms)),
        ("sessions", str(status.sessions)),
        ("users online", str(status.users_online)),
        ("people", str(status.people)),
        ("events stored", str(status.events)),
        ("database", shown_size(status.store_bytes)),
    ]
    text = "\n".join(f"{name + ':':<15}{value}" for name, value in fields)
    return Outcome(text, msgspec.structs.asdict(status))


def _reload(arguments: argparse.Namespace) -> Outcome:
    organisation = Organisation(folder_of(arguments.dir))
    config = organisation.load_config()
    try:
        answer = give_order(organisation.control_socket(config), Reload())
    except RequestRefused as error:
        raise Failure(error.sentence) from error
    if not isinstance(answer, Reloaded):
        raise Failure("The server answered something else.")
    lines = [*answer.changed, *(f"{name}: needs a restart" for name in answer.needs_restart)]
    return Outcome(
        "\n".join(lines) or "Nothing has changed.",
        {"changed": list(answer.changed), "needs_restart": list(answer.needs_restart)},
    )


def _version(arguments: argparse.Namespace) -> Outcome:
    schema = known_steps()[-1].number
    return Outcome(
        f"{software()}, protocol {OLDEST_VERSION} to {VERSION}, database schema {schema}",
        {"version": version(), "protocol": [OLDEST_VERSION, VERSION], "schema": schema},
    )
