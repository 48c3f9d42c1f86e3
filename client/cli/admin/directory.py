# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as administrators see it: fetched once for a command, found by the names that people type, changed whole or not."""

import difflib
import os
import time
from collections.abc import Iterable
from typing import Final

from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.records.admin import DirectoryChangedRecord
from protocol.ids import DepartmentId, RoleId, UserId, format_id, parse_id, uuid7
from protocol.messages.admin import (
    AdminPerson,
    ChangeDirectory,
    DirectoryChange,
    DirectoryChanged,
    GetAdminDirectory,
    PutDepartment,
    Role,
    RoleGrant,
    VisibilityRule,
)

PATH_SEPARATOR: Final = "/"


class AdminDirectory:
    """A copy of everything, with the version that it is of."""

    def __init__(self, desk: Desk) -> None:
        """Use ``fetch``."""
        self._desk = desk
        self.version = 0
        self.people: list[AdminPerson] = []
        self.departments: dict[DepartmentId, PutDepartment] = {}
        self.roles: list[Role] = []
        self.grants: list[RoleGrant] = []
        self.rules: list[VisibilityRule] = []

    @classmethod
    async def fetch(cls, desk: Desk) -> "AdminDirectory":
        """Ask the server for it. Raises Refused for whoever may not see it."""
        await desk.need_server()
        directory = cls(desk)
        after: UserId | None = None
        is_first = True
        while is_first or after is not None:
            page = await desk.core.request(GetAdminDirectory(after))
            if is_first:
                directory.departments = {one.id: one for one in page.departments}
                directory.roles, directory.grants = list(page.roles), list(page.grants)
                directory.rules = list(page.rules)
                directory.version = page.version
            directory.people += page.people
            after, is_first = page.after, False
        return directory

    async def change(self, *changes: DirectoryChange) -> DirectoryChanged:
        """Carry out changes: all or none. Raises Refused, also when somebody else changed something meanwhile."""
        done = await self._desk.core.request(ChangeDirectory(changes, self.version))
        self.version = done.version
        return done

    def put_done(
        self, command: str, done: DirectoryChanged, said: str, *, about: bytes | None
    ) -> None:
        """Say that a change is done."""
        if done.ended_sessions:
            plural = "" if done.ended_sessions == 1 else "s"
            said += f" {done.ended_sessions} session{plural} ended."
        record = DirectoryChangedRecord(
            f"admin {command}",
            format_id(about) if about is not None else None,
            done.version,
            done.ended_sessions,
        )
        self._desk.put(record, said)

    # Finding

    def person(self, word: str) -> AdminPerson:
        """Whose login or id it is. Raises Failure with the nearest ones."""
        wanted = word.removeprefix("@").casefold()
        by_login = {one.person.login.casefold(): one for one in self.people}
        if wanted in by_login:
            return by_login[wanted]
        try:
            user = parse_id(word)
        except ValueError:
            user = b""
        for one in self.people:
            if one.person.id == user:
                return one
        raise _nothing("person with the login", word, by_login)

    def department(self, path: str) -> PutDepartment:
        """The department at ``Sales/North``, from the top. Raises Failure with the nearest ones."""
        wanted = PATH_SEPARATOR.join(parts_of(path)).casefold()
        by_path = {self.path_of(each).casefold(): one for each, one in self.departments.items()}
        if wanted in by_path:
            return by_path[wanted]
        below = [one for each, one in by_path.items() if each.endswith(f"{PATH_SEPARATOR}{wanted}")]
        if len(below) == 1:
            return below[0]
        paths = [self.path_of(one.id) for one in below] or [
            self.path_of(one) for one in self.departments
        ]
        raise _nothing("department", path, paths, is_ambiguous=len(below) > 1)

    def role(self, name: str) -> Role:
        """The role of that name. Raises Failure with the nearest ones."""
        by_name = {role.name.casefold(): role for role in self.roles}
        if name.casefold() in by_name:
            return by_name[name.casefold()]
        raise _nothing("role", name, [role.name for role in self.roles])

    # Showing

    def path_of(self, department: DepartmentId) -> str:
        """``Sales/North``."""
        names: list[str] = []
        current: DepartmentId | None = department
        while current is not None and current in self.departments:
            names.insert(0, self.departments[current].name)
            current = self.departments[current].parent
        return PATH_SEPARATOR.join(names)

    def path_or_none(self, department: DepartmentId | None) -> str | None:
        """The same where there may be none."""
        return None if department is None else self.path_of(department)

    def name_of_role(self, role: RoleId | None) -> str | None:
        """A role's name, where there may be none."""
        return next((one.name for one in self.roles if one.id == role), None)

    def subtree(self, top: DepartmentId) -> set[DepartmentId]:
        """The department and all below it."""
        found, waiting = {top}, [top]
        while waiting:
            parent = waiting.pop()
            below = {one.id for one in self.departments.values() if one.parent == parent} - found
            found |= below
            waiting += below
        return found


def new_id() -> bytes:
    """The id of something that is being made."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def parts_of(path: str) -> list[str]:
    """The names in a path."""
    return [part.strip() for part in path.split(PATH_SEPARATOR) if part.strip()]


def _nothing(what: str, word: str, known: Iterable[str], *, is_ambiguous: bool = False) -> Failure:
    names = list(known)
    if is_ambiguous:
        return Failure(
            f"Several departments are called {word!r}. Write the whole path.",
            Exit.NOT_FOUND,
            candidates=tuple(names[:8]),
        )
    close = difflib.get_close_matches(word, names, n=5, cutoff=0.5)
    return Failure(f"There is no {what} {word!r}.", Exit.NOT_FOUND, candidates=tuple(close))
