# SPDX-License-Identifier: GPL-3.0-or-later
"""What an import would change: a file of people compared with the directory as it is. Pure: the plan is a value that can be shown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from protocol.ids import DepartmentId
from protocol.messages.admin import (
    AdminPerson,
    DirectoryChange,
    PutDepartment,
    PutPerson,
    SetPassword,
)
from protocol.messages.people import Place
from server.failures import Exit, Failure
from server.people_file import FileDepartment, FilePerson, PeopleFile
from server.services.organisation import fold_login

IMPORTED: Final = "import"
"""``source`` of departments that a file knows by keys of its own; the key is their ``anchor``."""
HAND_KEPT: Final = ("", IMPORTED)
"""Sources that an import may change; what comes from a directory service is changed there."""


class Plan(Struct, frozen=True):
    """Changes in an order in which they can be carried out, and what they are in words."""

    changes: tuple[DirectoryChange, ...]
    lines: tuple[str, ...]
    """One for each department and person that is new (+) or another than before (~)."""
    new_departments: int = 0
    changed_departments: int = 0
    new_people: int = 0
    changed_people: int = 0
    unchanged_people: int = 0


def plan(
    file: PeopleFile,
    departments: Sequence[PutDepartment],
    people: Iterable[AdminPerson],
    new_id: Callable[[], bytes],
) -> Plan:
    """Compare. Raises Failure when the file would change what a directory service keeps."""
    planning = _Planning(new_id)
    planning.plan_departments(file, departments)
    planning.plan_people(file.people, people)
    return planning.finished()


class _Planning:
    def __init__(self, new_id: Callable[[], bytes]) -> None:
        self._new_id = new_id
        self._ids: dict[str, DepartmentId] = {}
        """Departments of the file by key."""
        self._changes: list[DirectoryChange] = []
        self._lines: list[str] = []
        self._foreign: list[str] = []
        self._counts = {"new_departments": 0, "changed_departments": 0}
        self._counts |= {"new_people": 0, "changed_people": 0, "unchanged_people": 0}

    def plan_departments(self, file: PeopleFile, departments: Sequence[PutDepartment]) -> None:
        """Match departments by key, otherwise by name below the same parent."""
        by_anchor = {each.anchor: each for each in departments if each.source == IMPORTED}
        by_name = {(each.parent, each.name): each for each in departments}
        for wanted in file.departments:
            parent = self._ids[wanted.parent] if wanted.parent is not None else None
            found = by_anchor.get(wanted.key) if file.has_keys else None
            if found is None:
                found = by_name.get((parent, wanted.name))
            self._plan_department(wanted, parent, found, has_keys=file.has_keys)

    def _plan_department(
        self,
        wanted: FileDepartment,
        parent: DepartmentId | None,
        found: PutDepartment | None,
        *,
        has_keys: bool,
    ) -> None:
        before = found or PutDepartment(self._new_id(), wanted.name, parent)
        self._ids[wanted.key] = before.id
        after = msgspec.structs.replace(
            before,
            name=wanted.name,
            parent=parent,
            order=before.order if wanted.order is None else wanted.order,
        )
        if has_keys and before.source in HAND_KEPT:
            after = msgspec.structs.replace(after, source=IMPORTED, anchor=wanted.key)
        self._note(found, after, "departments", wanted.key)

    def plan_people(self, wanted: Iterable[FilePerson], people: Iterable[AdminPerson]) -> None:
        """Match people by login."""
        by_login = {fold_login(each.person.login): each.person for each in people}
        for person in wanted:
            found = by_login.get(fold_login(person.login))
            before = found or PutPerson(self._new_id(), person.login, person.name)
            self._note(found, self._merged(before, person), "people", person.login)
            if found is None and person.password is not None:
                self._changes.append(SetPassword(before.id, person.password))

    def _merged(self, before: PutPerson, wanted: FilePerson) -> PutPerson:
        """The person with what the file says; what it does not say stays."""
        places = before.places
        if wanted.departments is not None:
            places = tuple(
                Place(self._ids[place.key], place.title, place.order, place.is_head)
                for place in wanted.departments
            )
        return msgspec.structs.replace(
            before,
            name=wanted.name,
            email=before.email if wanted.email is None else wanted.email,
            phone=before.phone if wanted.phone is None else wanted.phone,
            places=places,
        )

    def _note(
        self,
        before: PutDepartment | PutPerson | None,
        after: PutDepartment | PutPerson,
        kind: str,
        label: str,
    ) -> None:
        singular = "department" if kind == "departments" else "person"
        if before is None:
            self._lines.append(f"+ {singular} {label}")
            self._count(f"new_{kind}")
        elif before == after:
            self._count(f"unchanged_{kind}")
            return
        elif before.source not in HAND_KEPT:
            self._foreign.append(f"{singular} {label} is kept by {before.source}: change it there.")
            return
        else:
            names = [
                field
                for field in after.__struct_fields__
                if getattr(before, field) != getattr(after, field)
            ]
            self._lines.append(f"~ {singular} {label}: {', '.join(names)}")
            self._count(f"changed_{kind}")
        self._changes.append(after)

    def _count(self, name: str) -> None:
        if name in self._counts:
            self._counts[name] += 1

    def finished(self) -> Plan:
        """The plan. Raises Failure for what may not be changed."""
        if self._foreign:
            raise Failure("\n".join([*self._foreign, "Nothing was changed."]), Exit.BAD_DATA)
        return Plan(tuple(self._changes), tuple(self._lines), **self._counts)
