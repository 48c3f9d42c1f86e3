# SPDX-License-Identifier: GPL-3.0-or-later
"""The organisation in memory: departments, people, roles, grants and rules, with the indices that the rules need.

Theory: what the server works with is never changed in place. A change is made on a copy (dictionaries are copied, records are
shared: about two milliseconds with 50,000 people), and the copy takes the place of the old one once it is durable.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from protocol.ids import ConversationId, DepartmentId, RoleId, UserId
from protocol.messages.admin import Permission, Role, RoleGrant, VisibilityRule
from protocol.messages.people import Department, Person

ADMINISTRATOR: Final[RoleId] = bytes(15) + b"\x01"
"""The built-in role that allows everything, also what later versions add."""
EVERYONE: Final[RoleId] = bytes(15) + b"\x02"
"""The built-in role that everybody holds; what it allows is up to the administrators."""
ALL_PERMISSIONS: Final = tuple(permission.value for permission in Permission)


def fold_login(login: str) -> str:
    """The form in which logins are compared: two that look alike but for case are one."""
    folded = unicodedata.normalize("NFC", login).casefold()
    return unicodedata.normalize("NFC", folded)


class PersonEntry(Struct, gc=False):
    """A person with what only the server knows. Replaced, never changed, but for the words that the search fills in."""

    key: int
    """The store's number for the person."""
    person: Person
    source: str = ""
    anchor: str = ""
    version: int = 0
    """The directory's version that changed the record last."""
    moved: int = 0
    """The version that last changed who may see the person: places or roles."""
    created: int = 0
    portrait: bytes = b""
    """Under which digest the store keeps the photo."""
    is_closed_here: bool = False
    """An administrator closed the account."""
    is_off_at_source: bool = False
    """The directory that the person comes from did. With either, ``person.is_disabled``."""
    names: str = ""
    """Words by which the search finds the person, once it has looked (search_people.py)."""
    details: str = ""


class DepartmentEntry(Struct, frozen=True, gc=False):
    """A department with what only the server knows."""

    department: Department
    source: str = ""
    anchor: str = ""
    version: int = 0


class GroupEntry(Struct, frozen=True, gc=False):
    """A group whose members follow another directory."""

    id: ConversationId
    name: str
    members: frozenset[UserId]
    source: str = ""
    anchor: str = ""
    version: int = 0


class GonePerson(Struct, frozen=True, gc=False):
    """When somebody was removed, and when they had come."""

    version: int
    created: int


class OrgTree:
    """One state of the organisation."""

    def __init__(self) -> None:
        self.version = 0
        self.rules_version = 0
        """The version that last changed what everybody may see."""
        self.departments: dict[DepartmentId, DepartmentEntry] = {}
        self.gone_departments: dict[DepartmentId, int] = {}
        """Removed departments, with the version that removed them."""
        self.people: dict[UserId, PersonEntry] = {}
        """In the order of their keys."""
        self.gone_people: dict[UserId, GonePerson] = {}
        self.groups: dict[ConversationId, GroupEntry] = {}
        self.ids: dict[int, UserId] = {}
        """People by key."""
        self.roles: dict[RoleId, Role] = {}
        self.everyones_roles: tuple[Role, ...] = ()
        self.grants: dict[UserId, frozenset[RoleGrant]] = {}
        self.rules: tuple[VisibilityRule, ...] = ()
        self.next_key = 1
        self._logins: dict[str, UserId] = {}
        self._seated: dict[DepartmentId, set[UserId]] = {}
        self._own_seated: set[DepartmentId] = set()
        self._children: dict[DepartmentId | None, frozenset[DepartmentId]] = {}
        self._paths: dict[DepartmentId, tuple[DepartmentId, ...]] = {}

    def copy(self) -> "OrgTree":
        """The same state, to be changed without touching this one."""
        other = OrgTree()
        other.version = self.version
        other.rules_version = self.rules_version
        other.departments = self.departments.copy()
        other.gone_departments = self.gone_departments.copy()
        other.people = self.people.copy()
        other.gone_people = self.gone_people.copy()
        other.groups = self.groups.copy()
        other.ids = self.ids.copy()
        other.roles = self.roles.copy()
        other.everyones_roles = self.everyones_roles
        other.grants = self.grants.copy()
        other.rules = self.rules
        other.next_key = self.next_key
        other._logins = self._logins.copy()
        other._seated = self._seated.copy()
        other._children = self._children.copy()
        other._paths = self._paths.copy()
        return other

    # Lookups

    def who_has_login(self, login: str) -> UserId | None:
        """Whose login it is, in any case."""
        return self._logins.get(fold_login(login))

    def is_disabled(self, user: UserId) -> bool:
        """Whether the account is closed, or there is none."""
        entry = self.people.get(user)
        return entry is None or entry.person.is_disabled

    def path_of(self, department: DepartmentId) -> tuple[DepartmentId, ...]:
        """The department, the one above it, and so on up to the top; empty when there is no such department."""
        path = self._paths.get(department)
        if path is None:
            entry = self.departments.get(department)
            if entry is None:
                return ()
            parent = entry.department.parent
            path = (department, *(self.path_of(parent) if parent is not None else ()))
            self._paths[department] = path
        return path

    def is_within(self, department: DepartmentId, top: DepartmentId) -> bool:
        """Whether the department is ``top`` or stands below it."""
        return top in self.path_of(department)

    def children_of(self, department: DepartmentId | None) -> frozenset[DepartmentId]:
        """The departments right below; of None, those at the top."""
        return self._children.get(department, frozenset())

    def height_of(self, department: DepartmentId) -> int:
        """How many levels there are from the department down; 1 for one without any below, or one yet to come."""
        return 1 + max(map(self.height_of, self.children_of(department)), default=0)

    def subtree_of(self, department: DepartmentId) -> Iterator[DepartmentId]:
        """The department and all below it."""
        waiting = [department]
        while waiting:
            current = waiting.pop()
            yield current
            waiting += self.children_of(current)

    def seated_in(self, department: DepartmentId) -> Iterable[UserId]:
        """Who sits directly in it, disabled people too."""
        return self._seated.get(department, ())

    def seats_of(self, user: UserId) -> tuple[DepartmentId, ...]:
        """The departments in which the person sits directly, main place first."""
        entry = self.people.get(user)
        return tuple(place.department for place in entry.person.places) if entry else ()

    def roles_of(self, user: UserId) -> Iterator[tuple[Role, DepartmentId | None]]:
        """The roles that the person holds, each with the department over whose subtree; None: everywhere."""
        for role in self.everyones_roles:
            yield role, None
        for grant in self.grants.get(user, ()):
            yield self.roles[grant.role], grant.department

    def held_grant(self, grant: RoleGrant) -> RoleGrant | None:
        """The person's grant of the same role over the same department, whoever gave it."""
        for held in self.grants.get(grant.user, ()):
            if (held.role, held.department) == (grant.role, grant.department):
                return held
        return None

    # Changes, on a copy only. What is put must fit the rest; changes.py sees to that.

    def put_department(self, entry: DepartmentEntry) -> None:
        """Add or replace a department."""
        department = entry.department
        old = self.departments.get(department.id)
        self.departments[department.id] = entry
        self.gone_departments.pop(department.id, None)
        if old is None or old.department.parent != department.parent:
            if old is not None:
                self._unhang(old.department)
                self._paths.clear()
            siblings = self.children_of(department.parent)
            self._children[department.parent] = siblings | {department.id}

    def remove_department(self, department: DepartmentId) -> None:
        """Take out an empty department."""
        entry = self.departments.pop(department)
        self._unhang(entry.department)
        self._paths.clear()
        self._seated.pop(department, None)
        self._own_seated.discard(department)
        self.gone_departments[department] = self.version

    def put_person(self, entry: PersonEntry) -> None:
        """Add or replace a person. A new one has the key ``next_key`` or, while loading, a greater one."""
        person = entry.person
        old = self.people.get(person.id)
        if old is None:
            self.ids[entry.key] = person.id
            self.next_key = entry.key + 1
            self.gone_people.pop(person.id, None)
        else:
            del self._logins[fold_login(old.person.login)]
        self.people[person.id] = entry
        self._logins[fold_login(person.login)] = person.id
        before = {place.department for place in old.person.places} if old else set()
        after = {place.department for place in person.places}
        for department in before - after:
            self._seats(department).discard(person.id)
        for department in after - before:
            self._seats(department).add(person.id)

    def remove_person(self, user: UserId) -> None:
        """Take out a person to whom nothing refers."""
        entry = self.people.pop(user)
        del self.ids[entry.key]
        del self._logins[fold_login(entry.person.login)]
        for place in entry.person.places:
            self._seats(place.department).discard(user)
        self.gone_people[user] = GonePerson(self.version, entry.created)

    def put_role(self, role: Role) -> None:
        """Add or replace a role."""
        if role.id == ADMINISTRATOR:
            role = Role(role.id, role.name, ALL_PERMISSIONS)
        self.roles[role.id] = role
        self._gather_everyones()

    def remove_role(self, role: RoleId) -> None:
        """Take out a role that nobody was given."""
        del self.roles[role]
        self._gather_everyones()

    def add_grant(self, grant: RoleGrant) -> None:
        """Give a role."""
        self.grants[grant.user] = self.grants.get(grant.user, frozenset()) | {grant}

    def remove_grant(self, grant: RoleGrant) -> None:
        """Take a role back."""
        left = self.grants[grant.user] - {grant}
        if left:
            self.grants[grant.user] = left
        else:
            del self.grants[grant.user]

    def _gather_everyones(self) -> None:
        self.everyones_roles = tuple(r for r in self.roles.values() if r.is_for_everyone)

    def _unhang(self, department: Department) -> None:
        self._children[department.parent] = self.children_of(department.parent) - {department.id}

    def _seats(self, department: DepartmentId) -> set[UserId]:
        """The people of a department, for changing: shared with the state that this one was copied from until asked for."""
        if department not in self._own_seated:
            self._own_seated.add(department)
            self._seated[department] = set(self._seated.get(department, ()))
        return self._seated[department]
