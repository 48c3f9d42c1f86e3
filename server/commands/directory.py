# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as a command needs it: everything fetched once, found by the names that people type."""

import difflib
from collections.abc import Iterable
from typing import Final

import msgspec

from protocol.ids import DepartmentId, UserId
from protocol.limits import MAX_CHANGES_PER_REQUEST, MAX_FRAME_BYTES
from protocol.messages.admin import (
    AdminPerson,
    ChangeDirectory,
    DirectoryChange,
    DirectoryChanged,
    GetAdminDirectory,
    PutDepartment,
    Role,
    RoleGrant,
    SetPassword,
    VisibilityRule,
)
from server.commands.office import Office
from server.failures import Failure
from server.people_file import PATH_SEPARATOR
from server.services.organisation import fold_login

MAX_BATCH_BYTES: Final = MAX_FRAME_BYTES - (64 << 10)
"""Changes of one request, encoded: fits a frame without relying on compression."""
PASSWORD_WEIGHT: Final = 100
"""A password is hashed at a cost of ten milliseconds and more: a request holds at most 50 of them."""


class CommandDirectory:
    """All people, departments and roles, with the version at which they were fetched."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.people: list[AdminPerson] = []
        self.departments: dict[DepartmentId, PutDepartment] = {}
        self.roles: list[Role] = []
        self.grants: list[RoleGrant] = []
        self.rules: tuple[VisibilityRule, ...] = ()
        self.version = 0
        self._fetch()

    def _fetch(self) -> None:
        page = self._office.ask(GetAdminDirectory())
        self.version = page.version
        self.departments = {department.id: department for department in page.departments}
        self.roles, self.grants = list(page.roles), list(page.grants)
        self.rules = page.rules
        self.people = list(page.people)
        while page.after is not None:
            page = self._office.ask(GetAdminDirectory(page.after))
            self.people += page.people

    def change(self, *changes: DirectoryChange, is_trial: bool = False) -> DirectoryChanged:
        """Carry out changes that belong together: all or none. Raises RequestRefused when somebody else changed something meanwhile."""
        done = self._office.ask(ChangeDirectory(changes, self.version, is_trial))
        self.version = done.version
        return done

    # Finding

    def person(self, login: str) -> AdminPerson:
        """Whose login it is. Raises Failure with the nearest ones."""
        wanted = fold_login(login)
        by_login = {fold_login(each.person.login): each for each in self.people}
        if wanted in by_login:
            return by_login[wanted]
        raise Failure(f"There is no user {login!r}.{_nearest(wanted, by_login)}")

    def has_login(self, login: str) -> bool:
        """Whether anybody has the login."""
        wanted = fold_login(login)
        return any(fold_login(each.person.login) == wanted for each in self.people)

    def department(self, path: str) -> PutDepartment:
        """The department at ``Sales/North``. Raises Failure with the nearest ones."""
        wanted = PATH_SEPARATOR.join(_parts(path))
        by_path = {self.path_of(department): each for department, each in self.departments.items()}
        if wanted in by_path:
            return by_path[wanted]
        raise Failure(f"There is no department {path!r}.{_nearest(wanted, by_path)}")

    def role(self, name: str) -> Role:
        """The role of that name, in any case. Raises Failure with the nearest ones."""
        by_name = {role.name.casefold(): role for role in self.roles}
        if name.casefold() in by_name:
            return by_name[name.casefold()]
        raise Failure(f"There is no role {name!r}.{_nearest(name, [r.name for r in self.roles])}")

    # Showing

    def path_of(self, department: DepartmentId) -> str:
        """``Sales/North``."""
        names: list[str] = []
        current: DepartmentId | None = department
        while current is not None and current in self.departments:
            names.insert(0, self.departments[current].name)
            current = self.departments[current].parent
        return PATH_SEPARATOR.join(names)

    def roles_of(self, user: UserId) -> list[tuple[Role, DepartmentId | None]]:
        """The roles given to a person, each with the department over which it holds."""
        by_id = {role.id: role for role in self.roles}
        return [
            (by_id[grant.role], grant.department) for grant in self.grants if grant.user == user
        ]

    def subtree(self, top: DepartmentId) -> set[DepartmentId]:
        """The department and all below it."""
        found = {top}
        waiting = [top]
        while waiting:
            parent = waiting.pop()
            below = {each.id for each in self.departments.values() if each.parent == parent} - found
            found |= below
            waiting += below
        return found


def batches(changes: Iterable[DirectoryChange]) -> Iterable[tuple[DirectoryChange, ...]]:
    """Cut changes into requests that the server takes, in order."""
    batch: list[DirectoryChange] = []
    weight = size_bytes = 0
    for change in changes:
        change_bytes = len(msgspec.msgpack.encode(change))
        change_weight = PASSWORD_WEIGHT if isinstance(change, SetPassword) else 1
        is_full = weight + change_weight > MAX_CHANGES_PER_REQUEST
        if batch and (is_full or size_bytes + change_bytes > MAX_BATCH_BYTES):
            yield tuple(batch)
            batch, weight, size_bytes = [], 0, 0
        batch.append(change)
        weight += change_weight
        size_bytes += change_bytes
    if batch:
        yield tuple(batch)


def _parts(path: str) -> list[str]:
    return [part.strip() for part in path.split(PATH_SEPARATOR) if part.strip()]


def _nearest(wanted: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""
