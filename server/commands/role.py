# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server role ...`: what people may do."""

import argparse
import difflib
import secrets
import time
from typing import Any

import msgspec

from protocol.ids import format_id, uuid7
from protocol.messages.admin import (
    GrantRole,
    Permission,
    PutRole,
    RemoveRole,
    RevokeRole,
    Role,
    RoleGrant,
)
from server.commands.arguments import Commands, Parser, UsageError, folder_command
from server.commands.directory import CommandDirectory
from server.commands.office import Office
from server.commands.outcome import Outcome, table
from server.failures import Failure


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    nouns = commands.noun("role", "what people may do")
    folder_command(nouns, "list", "roles, what they allow and who holds them", _list)

    add = folder_command(nouns, "add", "add a role", _add)
    add.add_argument("role")
    _add_fields(add)
    changed = folder_command(nouns, "set", "change a role; what is not named stays", _set)
    changed.add_argument("role")
    changed.add_argument("--name", help="a new name")
    _add_fields(changed)
    folder_command(nouns, "remove", "remove a role and all its grants", _remove).add_argument(
        "role"
    )
    for verb, meaning, run in (
        ("grant", "give a role to a person", _grant),
        ("revoke", "take a role from a person", _revoke),
    ):
        parser = folder_command(nouns, verb, meaning, run)
        parser.add_argument("role")
        parser.add_argument("login")
        parser.add_argument(
            "--dept", metavar="PATH", help="only over this department and what is below it"
        )


def _add_fields(parser: Parser) -> None:
    names = ", ".join(permission.value for permission in Permission)
    parser.add_argument(
        "--permission",
        action="append",
        metavar="NAME",
        help=f"what the role allows; may be repeated: {names}",
    )
    parser.add_argument(
        "--for-everyone",
        action=argparse.BooleanOptionalAction,
        help="everybody holds the role without being given it",
    )


def _list(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    logins = {each.person.id: each.person.login for each in directory.people}
    data: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    for role in directory.roles:
        holders = [
            {
                "login": logins.get(grant.user, format_id(grant.user)),
                "department": directory.path_of(grant.department) if grant.department else None,
            }
            for grant in directory.grants
            if grant.role == role.id
        ]
        data.append(
            {
                "id": format_id(role.id),
                "name": role.name,
                "permissions": list(role.permissions),
                "is_for_everyone": role.is_for_everyone,
                "holders": holders,
            }
        )
        shown = [
            f"{holder['login']}{' over ' + holder['department'] if holder['department'] else ''}"
            for holder in holders
        ]
        held_by = "everybody" if role.is_for_everyone else "; ".join(shown)
        rows.append((role.name, " ".join(role.permissions), held_by))
    return Outcome(table(("role", "allows", "held by"), rows), {"roles": data})


def _add(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    if any(role.name.casefold() == arguments.role.casefold() for role in directory.roles):
        raise Failure(f"There is a role {arguments.role!r} already.")
    new_id = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    role = Role(new_id, arguments.role, _permissions(arguments), bool(arguments.for_everyone))
    directory.change(PutRole(role))
    return Outcome(f"Role {role.name} was added.", {"name": role.name, "id": format_id(role.id)})


def _set(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    role = directory.role(arguments.role)
    fields: dict[str, Any] = {}
    if arguments.name is not None:
        fields["name"] = arguments.name
    if arguments.permission is not None:
        fields["permissions"] = _permissions(arguments)
    if arguments.for_everyone is not None:
        fields["is_for_everyone"] = arguments.for_everyone
    role = msgspec.structs.replace(role, **fields)
    directory.change(PutRole(role))
    return Outcome(f"Role {role.name} was changed.", {"name": role.name, "id": format_id(role.id)})


def _permissions(arguments: argparse.Namespace) -> tuple[str, ...]:
    known = [permission.value for permission in Permission]
    for name in arguments.permission or ():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(known)}."
            raise UsageError(f"There is no permission {name!r}.{hint}")
    return tuple(arguments.permission or ())


def _remove(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    role = directory.role(arguments.role)
    directory.change(RemoveRole(role.id))
    return Outcome(f"Role {role.name} was removed.", {"name": role.name})


def _grant(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    grant, data = _meant(directory, arguments)
    directory.change(GrantRole(grant))
    return Outcome(f"{arguments.login} has the role {data['role']}.", data)


def _revoke(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    grant, data = _meant(directory, arguments)
    if grant not in directory.grants:
        raise Failure(f"{arguments.login} was not given the role {data['role']} there.")
    directory.change(RevokeRole(grant))
    return Outcome(f"{arguments.login} no longer has the role {data['role']}.", data)


def _meant(
    directory: CommandDirectory, arguments: argparse.Namespace
) -> tuple[RoleGrant, dict[str, Any]]:
    role = directory.role(arguments.role)
    user = directory.person(arguments.login).person
    department = directory.department(arguments.dept).id if arguments.dept else None
    data = {"role": role.name, "login": user.login, "department": arguments.dept}
    return RoleGrant(user.id, role.id, department), data
