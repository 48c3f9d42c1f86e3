# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as the server has it: the other half of what a plan compares. How it is fetched, and what is asked of it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, structs

from ldapsync.failures import SyncError
from ldapsync.wanted import Anchor, Wanted, WantedPerson
from protocol.ids import DepartmentId, RoleId, UserId
from protocol.messages.admin import (
    AdminDirectory,
    DirectoryChange,
    GetAdminDirectory,
    GrantRole,
    PutDepartment,
    PutGroup,
    PutPerson,
    PutPhoto,
    RemoveDepartment,
    RemoveGroup,
    RevokeRole,
    Role,
    RoleGrant,
    VisibilityRule,
)
from protocol.messages.sync import GetMarks

PAGE: Final = 2_000
"""People in one answer: more take memory, and the server's time at one go."""
MAX_ATTEMPTS: Final = 10
"""Somebody may change the directory while it is read in pages; then it is read again."""
SCOPE: Final = "scope"
"""The mark that holds the digest of what was read how."""
UNUSABLE_PHOTOS: Final = "unusable_photos"
"""The mark that holds the beginnings of digests of photos that are no pictures, so that they are not tried in each run."""
PHOTO_MARK_BYTES: Final = 8
"""Of each such digest."""
ADMIN_PREFIX: Final = "admin."
"""With this begin the names of permissions that rule over others."""


class MovesTooFast(SyncError):
    """The server's directory changed during each attempt to read it."""


class Current(Struct):
    """The server's directory at one version."""

    version: int = 0
    people: dict[UserId, PutPerson] = {}
    departments: dict[DepartmentId, PutDepartment] = {}
    groups: dict[bytes, PutGroup] = {}
    roles: dict[RoleId, Role] = {}
    grants: frozenset[RoleGrant] = frozenset()
    rules: tuple[VisibilityRule, ...] = ()
    marks: dict[str, bytes] = {}
    """Of the source's last run."""

    @property
    def scope(self) -> str:
        """How the source was read in its last run; empty: there was none."""
        return self.marks.get(SCOPE, b"").decode()

    def take(
        self, changes: Iterable[DirectoryChange], version: int, marks: dict[str, bytes]
    ) -> None:
        """Become what the server's directory is after a run of these changes, without asking it."""
        for change in changes:
            match change:
                case PutPerson():
                    known = self.people.get(change.id)
                    photo = known.photo if known is not None else b""
                    self.people[change.id] = structs.replace(change, photo=photo)
                case PutPhoto():
                    person = self.people[change.user]
                    self.people[change.user] = structs.replace(person, photo=change.digest)
                case PutDepartment():
                    self.departments[change.id] = change
                case RemoveDepartment():
                    del self.departments[change.id]
                    self.grants = frozenset(
                        one for one in self.grants if one.department != change.id
                    )
                case PutGroup():
                    self.groups[change.id] = change
                case RemoveGroup():
                    del self.groups[change.id]
                case GrantRole():
                    self.grants |= {change.grant}
                case RevokeRole():
                    self.grants -= {change.grant}
        self.version = version
        self.marks = dict(marks)

    def unusable_photos(self) -> frozenset[bytes]:
        """Beginnings of digests of photos that are no pictures."""
        mark, size = self.marks.get(UNUSABLE_PHOTOS, b""), PHOTO_MARK_BYTES
        return frozenset(mark[at : at + size] for at in range(0, len(mark), size))

    def is_admin_role(self, role: RoleId) -> bool:
        """Whether the role rules over others."""
        known = self.roles.get(role)
        return known is not None and any(
            permission.startswith(ADMIN_PREFIX) for permission in known.permissions
        )

    def path_of(self, department: DepartmentId) -> str:
        """``Sales/North``."""
        names: list[str] = []
        current: DepartmentId | None = department
        while current is not None and current in self.departments:
            names.append(self.departments[current].name)
            current = self.departments[current].parent
        return "/".join(reversed(names))


def fetch(ask: Callable[[Any], Any], source: str, wanted: Wanted | None = None) -> Current:
    """Read the whole directory in pages that are of one version. What is as in ``wanted`` is kept in memory once.

    Raises MovesTooFast, and what ``ask`` raises."""
    entries = wanted.people if wanted is not None else {}
    for _ in range(MAX_ATTEMPTS):
        found = _fetch_once(ask, source, entries)
        if found is not None:
            found.marks = dict(ask(GetMarks(source)).marks)
            return found
    raise MovesTooFast(
        "The server's directory is being changed all the time; try again when that is over."
    )


def _fetch_once(
    ask: Callable[[Any], Any], source: str, entries: Mapping[Anchor, WantedPerson]
) -> Current | None:
    page: AdminDirectory = ask(GetAdminDirectory(None, PAGE))
    titles: dict[str, str] = {}
    found = Current(
        version=page.version,
        departments={one.id: one for one in page.departments},
        groups={one.id: one for one in page.groups},
        roles={one.id: one for one in page.roles},
        rules=page.rules,
    )
    grants = set(page.grants)
    while True:
        for one in page.people:
            person = one.person
            if person.source == source and (entry := entries.get(person.anchor)) is not None:
                person = _sharing(person, entry, found.departments, titles)
            found.people[person.id] = person
        if page.after is None:
            found.grants = frozenset(grants)
            return found
        page = ask(GetAdminDirectory(page.after, PAGE))
        if page.version != found.version:
            return None
        grants.update(page.grants)


def _sharing(
    person: PutPerson,
    entry: WantedPerson,
    departments: Mapping[DepartmentId, PutDepartment],
    titles: dict[str, str],
) -> PutPerson:
    """The same person, made of the texts of the entry where they are equal: of a hundred thousand people each is there twice."""
    return structs.replace(
        person,
        login=entry.login if entry.login == person.login else person.login,
        name=entry.name if entry.name == person.name else person.name,
        email=entry.email if entry.email == person.email else person.email,
        phone=entry.phone if entry.phone == person.phone else person.phone,
        custom=entry.custom if entry.custom == person.custom else person.custom,
        places=tuple(
            structs.replace(
                place,
                department=departments[place.department].id
                if place.department in departments
                else place.department,
                title=titles.setdefault(place.title, place.title),
            )
            for place in person.places
        ),
        source=titles.setdefault(person.source, person.source),
        anchor=entry.anchor,
    )
