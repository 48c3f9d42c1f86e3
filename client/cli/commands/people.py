# SPDX-License-Identifier: GPL-3.0-or-later
"""people, tree: who works here, and where."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from client.cli import show
from client.cli.desk import Desk
from client.cli.grammar import Parser, positive
from client.cli.records.people import DepartmentRecord, PersonRecord
from client.cli.whom import find_department
from client.core.errors import CoreError
from protocol.ids import DepartmentId, UserId
from protocol.messages.people import Department, Person

Departments: TypeAlias = Mapping[DepartmentId, Department]

STATE_WORDS: Final = {
    "online": "Online",
    "away": "Away",
    "busy": "Busy",
    "do_not_disturb": "Do not disturb",
    "in_call": "In a call",
    "offline": "Offline",
}
"""Presence in words; a state that this version does not know is as good as online."""


# ---------------------------------------------------------------------------------------------- people


def declare_people(parser: Parser) -> None:
    """people [TEXT]"""
    parser.set_defaults(run=people)
    add = parser.add_argument
    add(
        "text", metavar="TEXT", nargs="*", help="beginning of a name, pinyin, login or mail address"
    )
    add("--department", metavar="NAME", help="only below this department")
    add("--limit", metavar="N", type=positive, default=50, help="list at most so many (50)")


async def people(desk: Desk) -> None:
    """List the people that match; one alone is shown in full."""
    is_online = await desk.prefer_server()
    core, options = desk.core, desk.options
    text = " ".join(options.text)
    below = (await find_department(core, options.department)).id if options.department else None
    if text:
        found = await core.people.find(text, department=below, limit=options.limit)
    elif below is not None:
        found = await _below(desk, below)
    else:
        found = await core.people.everyone()
    listed = found[: options.limit]
    states = await _states(desk, [one.id for one in listed]) if is_online else {}
    departments = {one.id: one for one in await core.people.departments()}
    records = [PersonRecord.of(one, departments, states.get(one.id)) for one in listed]
    if len(records) == 1 and not desk.is_json:
        _put_card(desk, records[0])
        return
    desk.put_table(
        records,
        [
            show.Column("Name", show.Style.STRONG, shrinks=True),
            show.Column("", shrinks=True),
            show.Column("Login", shrinks=True),
            show.Column("Presence"),
            show.Column("Department", shrinks=True),
            show.Column("Title", shrinks=True),
            show.Column("Phone"),
        ],
        [_row(one) for one in records],
        nothing=f"Nobody is found by {text!r}." if text else "The directory shows nobody.",
    )
    if len(found) > len(listed) and not desk.is_json:
        desk.note(f"{len(found) - len(listed):,} more: narrow the search, or use --limit.")


async def _below(desk: Desk, top: DepartmentId) -> tuple[Person, ...]:
    tree = _children(await desk.core.people.departments())
    found: dict[UserId, Person] = {}
    for department in _subtree(top, tree):
        found.update((one.id, one) for one in await desk.core.people.members_of(department))
    return tuple(found.values())


async def _states(desk: Desk, users: Sequence[UserId]) -> dict[UserId, str]:
    """Presence, where the server tells it."""
    try:
        told = await desk.core.presence.ask(users)
    except CoreError:  # it went away meanwhile: names are what was asked for
        return {}
    return {one.user: one.state for one in told}


def _row(person: PersonRecord) -> tuple[str, ...]:
    place = person.places[0] if person.places else None
    return (
        person.name + (" (bot)" if person.is_bot else ""),
        person.other_name,
        person.login,
        STATE_WORDS.get(person.presence, "Online") if person.presence else "",
        place.department_name if place else "",
        place.title if place else "",
        person.phone,
    )


def _put_card(desk: Desk, person: PersonRecord) -> None:
    name = show.one_line(person.name)
    other = show.one_line(person.other_name)
    places = [
        (
            "Department" if index == 0 else "",
            ", ".join(filter(None, (place.department_name, place.title)))
            + (" (head)" if place.is_head else ""),
        )
        for index, place in enumerate(person.places)
    ]
    presence = STATE_WORDS.get(person.presence, "Online") if person.presence else ""
    desk.put(
        person,
        [
            desk.paint(show.Style.STRONG, name) + (f"  {other}" if other else ""),
            *show.facts(
                [
                    ("Login", person.login + (" (bot)" if person.is_bot else "")),
                    ("Presence", presence),
                    *places,
                    ("Phone", person.phone),
                    ("Mail", person.email),
                    *sorted(person.custom.items()),
                    ("Account", "closed" if person.is_disabled else ""),
                    ("Id", person.id),
                ],
                desk.paint,
            ),
        ],
    )


# ------------------------------------------------------------------------------------------------ tree


def declare_tree(parser: Parser) -> None:
    """tree [DEPARTMENT]"""
    parser.set_defaults(run=tree)
    add = parser.add_argument
    add("department", metavar="DEPARTMENT", nargs="?", help="only this one and what is below it")
    add("--people", action="store_true", help="list the people as well")
    add("--depth", metavar="N", type=positive, help="so many levels")


async def tree(desk: Desk) -> None:
    """Draw the departments, with how many people sit in each."""
    await desk.prefer_server()
    core, options = desk.core, desk.options
    departments = {one.id: one for one in await core.people.departments()}
    children = _children(departments.values())
    if options.department:
        tops = [(await find_department(core, options.department)).id]
    else:
        tops = [one.id for one in departments.values() if one.parent not in departments]
    seats = {one: await core.people.members_of(one) for one in departments}
    if not tops and not desk.is_json:
        desk.terminal.out("The directory shows no department.")
    for top in tops:
        _Drawing(desk, departments, children, seats).branch(top, 0, "", "")


def _children(
    departments: Iterable[Department],
) -> dict[DepartmentId, list[DepartmentId]]:
    """Below each department those directly below it, in order."""
    children: dict[DepartmentId, list[DepartmentId]] = defaultdict(list)
    for one in departments:
        if one.parent is not None:
            children[one.parent].append(one.id)
    return children


def _subtree(
    top: DepartmentId, children: Mapping[DepartmentId, list[DepartmentId]]
) -> Iterator[DepartmentId]:
    yield top
    for child in children.get(top, ()):
        yield from _subtree(child, children)


class _Drawing:
    """The tree as lines, each with its record."""

    def __init__(
        self,
        desk: Desk,
        departments: Departments,
        children: Mapping[DepartmentId, list[DepartmentId]],
        seats: Mapping[DepartmentId, Sequence[Person]],
    ) -> None:
        self._desk = desk
        self._departments = departments
        self._children = children
        self._seats = seats

    def branch(self, top: DepartmentId, depth: int, first: str, rest: str) -> None:
        """Draw one department after ``first``, and what is below it after ``rest``."""
        desk, department = self._desk, self._departments[top]
        here = self._seats[top]
        below = {one.id for each in _subtree(top, self._children) for one in self._seats[each]}
        other = show.one_line(department.other_name)
        line = (
            first
            + desk.paint(show.Style.STRONG, show.one_line(department.name))
            + (f"  {other}" if other else "")
            + desk.paint(show.Style.FAINT, f"  {len(below):,}")
        )
        desk.put(
            DepartmentRecord.of(department, depth=depth, people=len(here), people_below=len(below)),
            line,
        )
        deepest = desk.options.depth
        below_it = self._children.get(top, []) if deepest is None or depth + 1 < deepest else []
        if desk.options.people:
            for person in here:
                self._person(person, top, rest + ("│  " if below_it else "   "))
        for child in below_it:
            is_last = child == below_it[-1]
            self.branch(
                child,
                depth + 1,
                rest + ("└─ " if is_last else "├─ "),
                rest + ("   " if is_last else "│  "),
            )

    def _person(self, person: Person, department: DepartmentId, before: str) -> None:
        place = next(one for one in person.places if one.department == department)
        title = show.one_line(place.title)
        login = self._desk.paint(show.Style.FAINT, f"@{show.one_line(person.login)}")
        self._desk.put(
            PersonRecord.of(person, self._departments),
            f"{before}{show.one_line(person.name)}  {login}" + (f"  {title}" if title else ""),
        )
