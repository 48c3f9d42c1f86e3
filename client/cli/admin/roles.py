# SPDX-License-Identifier: GPL-3.0-or-later
"""`admin role ...`: what people may do."""

import argparse
from typing import Any

import msgspec

from client.cli import show
from client.cli.admin.directory import AdminDirectory, new_id
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser, Verbs
from client.cli.records.admin import HolderRecord, RoleRecord
from client.cli.records.record import Who
from protocol.ids import format_id
from protocol.messages.admin import (
    GrantRole,
    Permission,
    PutRole,
    RemoveRole,
    RevokeRole,
    Role,
    RoleGrant,
)

_KNOWN = tuple(permission.value for permission in Permission)


def declare(verbs: Verbs) -> None:
    """The verbs of ``admin role``."""
    verbs.add("list", list_roles, "roles, what they allow and who holds them")
    verb = verbs.add("add", add_role, "add a role")
    verb.add_argument("role", metavar="ROLE", help="name of the role")
    _add_fields(verb)
    verb = verbs.add("set", set_role, "change a role; what is not named stays")
    verb.add_argument("role", metavar="ROLE", help="name of the role")
    verb.add_argument("--name", metavar="NAME", help="a new name")
    _add_fields(verb)
    verb = verbs.add("remove", remove_role, "remove a role and all its grants")
    verb.add_argument("role", metavar="ROLE", help="name of the role")
    for name, run, summary in (
        ("grant", grant, "give a role to a person"),
        ("revoke", revoke, "take a role from a person"),
    ):
        verb = verbs.add(name, run, summary)
        verb.add_argument("role", metavar="ROLE", help="name of the role")
        verb.add_argument("login", metavar="LOGIN", help="whose")
        verb.add_argument("--dept", metavar="PATH", help="only over this department and below it")


def _add_fields(parser: Parser) -> None:
    parser.add_argument(
        "--permission",
        action="append",
        metavar="NAME",
        choices=_KNOWN,
        help=f"what it allows; may be repeated: {', '.join(_KNOWN)}",
    )
    parser.add_argument(
        "--for-everyone",
        action=argparse.BooleanOptionalAction,
        help="everybody holds it without being given it",
    )


async def list_roles(desk: Desk) -> None:
    """List roles with their holders."""
    directory = await AdminDirectory.fetch(desk)
    people = {one.person.id: one.person for one in directory.people}
    records = []
    for role in directory.roles:
        holders = []
        for given in directory.grants:
            if given.role != role.id:
                continue
            person = people.get(given.user)
            who = Who(
                format_id(given.user), person.login if person else "", person.name if person else ""
            )
            holders.append(HolderRecord(who, directory.path_or_none(given.department)))
        records.append(
            RoleRecord(
                format_id(role.id),
                role.name,
                role.permissions,
                role.is_for_everyone,
                tuple(holders),
            )
        )
    desk.put_table(
        records,
        [
            show.Column("Role", show.Style.STRONG),
            show.Column("Allows", shrinks=True),
            show.Column("Held by", shrinks=True),
        ],
        [(one.name, " ".join(one.permissions), _holders(one)) for one in records],
        nothing="There are no roles.",
    )


def _holders(role: RoleRecord) -> str:
    if role.is_for_everyone:
        return "everybody"
    return "; ".join(
        f"{one.user.login} over {one.department}" if one.department else one.user.login
        for one in role.holders
    )


async def add_role(desk: Desk) -> None:
    """Add a role."""
    options = desk.options
    directory = await AdminDirectory.fetch(desk)
    if any(role.name.casefold() == options.role.casefold() for role in directory.roles):
        raise Failure(f"There is a role {options.role!r} already.", Exit.REFUSED)
    role = Role(new_id(), options.role, tuple(options.permission or ()), bool(options.for_everyone))
    done = await directory.change(PutRole(role))
    directory.put_done("role add", done, f"The role {role.name} was added.", about=role.id)


async def set_role(desk: Desk) -> None:
    """Change a role."""
    options = desk.options
    directory = await AdminDirectory.fetch(desk)
    fields: dict[str, Any] = {}
    if options.name is not None:
        fields["name"] = options.name
    if options.permission is not None:
        fields["permissions"] = tuple(options.permission)
    if options.for_everyone is not None:
        fields["is_for_everyone"] = options.for_everyone
    role = msgspec.structs.replace(directory.role(options.role), **fields)
    done = await directory.change(PutRole(role))
    directory.put_done("role set", done, f"The role {role.name} was changed.", about=role.id)


async def remove_role(desk: Desk) -> None:
    """Remove a role."""
    directory = await AdminDirectory.fetch(desk)
    role = directory.role(desk.options.role)
    done = await directory.change(RemoveRole(role.id))
    directory.put_done("role remove", done, f"The role {role.name} was removed.", about=role.id)


async def grant(desk: Desk) -> None:
    """Give a role."""
    directory = await AdminDirectory.fetch(desk)
    given = _meant(desk, directory)
    done = await directory.change(GrantRole(given))
    said = f"{desk.options.login} has the role {desk.options.role}."
    directory.put_done("role grant", done, said, about=given.user)


async def revoke(desk: Desk) -> None:
    """Take a role back."""
    directory = await AdminDirectory.fetch(desk)
    given = _meant(desk, directory)
    if given not in directory.grants:
        raise Failure(
            f"{desk.options.login} was not given the role {desk.options.role} there.",
            Exit.NOT_FOUND,
        )
    done = await directory.change(RevokeRole(given))
    said = f"{desk.options.login} no longer has the role {desk.options.role}."
    directory.put_done("role revoke", done, said, about=given.user)


def _meant(desk: Desk, directory: AdminDirectory) -> RoleGrant:
    options = desk.options
    department = directory.department(options.dept).id if options.dept else None
    return RoleGrant(
        directory.person(options.login).person.id, directory.role(options.role).id, department
    )
