# SPDX-License-Identifier: GPL-3.0-or-later
"""`admin dept ...`: the tree of departments."""

from collections import Counter, defaultdict

import msgspec

from client.cli import show
from client.cli.admin.directory import PATH_SEPARATOR, AdminDirectory, new_id, parts_of
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Verbs, on_off
from client.cli.records.admin import BranchRecord
from protocol.ids import DepartmentId, format_id
from protocol.messages.admin import PutDepartment, RemoveDepartment


def declare(verbs: Verbs) -> None:
    """The verbs of ``admin dept``."""
    verb = verbs.add("add", add_dept, "add a department and what is missing above it")
    verb.add_argument("path", metavar="PATH", help="such as Sales/North")
    verb.add_argument(
        "--order",
        metavar="N",
        type=int,
        default=0,
        help="place among its neighbours, smallest first",
    )
    verb.add_argument(
        "--conversation", action="store_true", help="give it a conversation of its own"
    )
    verbs.add("list", list_depts, "show the tree")
    verb = verbs.add("set", set_dept, "change a department; what is not named stays")
    verb.add_argument("path", metavar="PATH", help="which department")
    verb.add_argument("--other-name", metavar="NAME", help="the name in another script or language")
    verb.add_argument(
        "--order", metavar="N", type=int, help="place among its neighbours, smallest first"
    )
    verb.add_argument(
        "--conversation", metavar="on|off", type=on_off, help="a conversation of its own"
    )
    verb = verbs.add("move", move_dept, "hang a department below another")
    verb.add_argument("path", metavar="PATH", help="which department")
    verb.add_argument(
        "parent", metavar="PARENT", help=f"the new parent; {PATH_SEPARATOR} is the top"
    )
    verb = verbs.add("rename", rename_dept, "give a department another name")
    verb.add_argument("path", metavar="PATH", help="which department")
    verb.add_argument("name", metavar="NAME", help="the new name")
    verbs.add("remove", remove_dept, "remove an empty department").add_argument(
        "path", metavar="PATH", help="which department"
    )


async def add_dept(desk: Desk) -> None:
    """Add a department."""
    options = desk.options
    directory = await AdminDirectory.fetch(desk)
    names = parts_of(options.path)
    if not names:
        raise Failure("A path names at least one department, such as Sales/North.")
    by_place = {(one.parent, one.name): one for one in directory.departments.values()}
    parent: DepartmentId | None = None
    made: list[PutDepartment] = []
    for name in names:
        found = by_place.get((parent, name))
        if found is None:
            found = PutDepartment(new_id(), name, parent)
            made.append(found)
        parent = found.id
    if not made:
        raise Failure(f"There is a department {options.path!r} already.", Exit.REFUSED)
    made[-1] = msgspec.structs.replace(
        made[-1], order=options.order, has_conversation=options.conversation
    )
    done = await directory.change(*made)
    said = f"{PATH_SEPARATOR.join(names)} was added."
    directory.put_done("dept add", done, said, about=made[-1].id)


async def list_depts(desk: Desk) -> None:
    """Show the tree, with how many people sit in each department."""
    directory = await AdminDirectory.fetch(desk)
    seats = Counter(place.department for one in directory.people for place in one.person.places)
    below: dict[DepartmentId | None, list[PutDepartment]] = defaultdict(list)
    for department in directory.departments.values():
        below[department.parent].append(department)

    def branch(parent: DepartmentId | None, depth: int) -> None:
        for one in sorted(below[parent], key=lambda each: (each.order, each.name)):
            record = BranchRecord(
                id=format_id(one.id),
                path=directory.path_of(one.id),
                order=one.order,
                people=seats[one.id],
                has_conversation=one.has_conversation,
                source=one.source,
            )
            marks = [f"{seats[one.id]:,}"] if seats[one.id] else []
            marks += ["conversation"] if one.has_conversation else []
            mark = desk.paint(show.Style.FAINT, f"  {', '.join(marks)}") if marks else ""
            desk.put(record, f"{'  ' * depth}{show.one_line(one.name)}{mark}")
            branch(one.id, depth + 1)

    branch(None, 0)
    if not directory.departments and not desk.is_json:
        desk.terminal.out("There are no departments.")


async def set_dept(desk: Desk) -> None:
    """Change fields of a department."""
    options = desk.options
    directory = await AdminDirectory.fetch(desk)
    after = directory.department(options.path)
    if options.other_name is not None:
        after = msgspec.structs.replace(after, other_name=options.other_name)
    if options.order is not None:
        after = msgspec.structs.replace(after, order=options.order)
    if options.conversation is not None:
        after = msgspec.structs.replace(after, has_conversation=options.conversation)
    done = await directory.change(after)
    said = f"{directory.path_of(after.id)} was changed."
    directory.put_done("dept set", done, said, about=after.id)


async def move_dept(desk: Desk) -> None:
    """Hang a department below another."""
    directory = await AdminDirectory.fetch(desk)
    department = directory.department(desk.options.path)
    is_top = not parts_of(desk.options.parent)
    parent = None if is_top else directory.department(desk.options.parent).id
    await _put(directory, "move", msgspec.structs.replace(department, parent=parent))


async def rename_dept(desk: Desk) -> None:
    """Give a department another name."""
    directory = await AdminDirectory.fetch(desk)
    department = directory.department(desk.options.path)
    await _put(directory, "rename", msgspec.structs.replace(department, name=desk.options.name))


async def _put(directory: AdminDirectory, verb: str, after: PutDepartment) -> None:
    done = await directory.change(after)
    directory.departments[after.id] = after
    said = f"The department is now {directory.path_of(after.id)}."
    directory.put_done(f"dept {verb}", done, said, about=after.id)


async def remove_dept(desk: Desk) -> None:
    """Remove an empty department."""
    directory = await AdminDirectory.fetch(desk)
    department = directory.department(desk.options.path)
    path = directory.path_of(department.id)
    done = await directory.change(RemoveDepartment(department.id))
    directory.put_done("dept remove", done, f"{path} was removed.", about=department.id)
