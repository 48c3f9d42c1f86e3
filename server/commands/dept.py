# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server dept ...`: the tree of departments."""

import argparse
import secrets
import time
from typing import Any

import msgspec

from protocol.ids import DepartmentId, format_id, uuid7
from protocol.messages.admin import PutDepartment, RemoveDepartment
from server.commands.arguments import Commands, folder_command
from server.commands.directory import CommandDirectory
from server.commands.office import Office
from server.commands.outcome import Outcome
from server.failures import Failure
from server.people_file import PATH_SEPARATOR


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    nouns = commands.noun("dept", "the tree of departments")
    add = folder_command(nouns, "add", "add a department and what is missing above it", _add)
    add.add_argument("path", help="such as Sales/North")
    add.add_argument("--order", type=int, help="place among its neighbours, smallest first")
    add.add_argument(
        "--conversation", action="store_true", help="give it a conversation of its own"
    )

    folder_command(nouns, "list", "show the tree", _list)

    move = folder_command(nouns, "move", "hang a department below another", _move)
    move.add_argument("path")
    move.add_argument("parent", help=f"the new parent; {PATH_SEPARATOR} is the top")

    rename = folder_command(nouns, "rename", "give a department another name", _rename)
    rename.add_argument("path")
    rename.add_argument("name")

    folder_command(nouns, "remove", "remove an empty department", _remove).add_argument("path")


def _add(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    names = [name.strip() for name in arguments.path.split(PATH_SEPARATOR) if name.strip()]
    by_place = {(each.parent, each.name): each for each in directory.departments.values()}
    parent: DepartmentId | None = None
    made: list[PutDepartment] = []
    for name in names:
        found = by_place.get((parent, name))
        if found is None:
            new_id = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
            found = PutDepartment(new_id, name, parent)
            made.append(found)
        parent = found.id
    if not made:
        raise Failure(f"There is a department {arguments.path!r} already.")
    made[-1] = msgspec.structs.replace(
        made[-1], order=arguments.order or 0, has_conversation=arguments.conversation
    )
    directory.change(*made)
    return Outcome(
        f"Department {PATH_SEPARATOR.join(names)} was added.",
        {"path": PATH_SEPARATOR.join(names), "id": format_id(made[-1].id), "made": len(made)},
    )


def _list(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    seats: dict[DepartmentId, int] = {}
    for each in directory.people:
        for place in each.person.places:
            seats[place.department] = seats.get(place.department, 0) + 1
    below: dict[DepartmentId | None, list[PutDepartment]] = {}
    for department in directory.departments.values():
        below.setdefault(department.parent, []).append(department)
    lines: list[str] = []
    data: list[dict[str, Any]] = []

    def show(parent: DepartmentId | None, depth: int) -> None:
        children = sorted(below.get(parent, ()), key=lambda each: (each.order, each.name))
        for department in children:
            people = seats.get(department.id, 0)
            lines.append(f"{'  ' * depth}{department.name}{f' ({people})' if people else ''}")
            data.append(
                {
                    "id": format_id(department.id),
                    "path": directory.path_of(department.id),
                    "order": department.order,
                    "people": people,
                    "has_conversation": department.has_conversation,
                    "source": department.source,
                }
            )
            show(department.id, depth + 1)

    show(None, 0)
    return Outcome("\n".join(lines) or "There are no departments.", {"departments": data})


def _move(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    department = directory.department(arguments.path)
    is_top = not arguments.parent.strip(PATH_SEPARATOR + " ")
    parent = None if is_top else directory.department(arguments.parent).id
    return _put(directory, department, msgspec.structs.replace(department, parent=parent))


def _rename(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    department = directory.department(arguments.path)
    return _put(directory, department, msgspec.structs.replace(department, name=arguments.name))


def _put(directory: CommandDirectory, before: PutDepartment, after: PutDepartment) -> Outcome:
    if before != after:
        directory.change(after)
        directory.departments[after.id] = after
    path = directory.path_of(after.id)
    return Outcome(f"The department is now {path}.", {"path": path, "id": format_id(after.id)})


def _remove(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    department = directory.department(arguments.path)
    directory.change(RemoveDepartment(department.id))
    return Outcome(f"Department {arguments.path} was removed.", {"id": format_id(department.id)})
