# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles allow, and how far an administrator's arm reaches. Pure rules over one state of the tree.

A permission is held everywhere or over subtrees of departments. Nobody gives, takes or takes over what they do not hold themselves.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import DepartmentId, RoleId, UserId
from protocol.messages.admin import Permission, Role, RoleGrant
from protocol.messages.people import Person, Place
from server.services.caller import OPERATOR
from server.services.organisation import ALL_PERMISSIONS, OrgTree

_OVER_PEOPLE: Final = (
    Permission.ADMIN_PEOPLE,
    Permission.ADMIN_ROLES,
    Permission.ADMIN_SESSIONS,
)


def has_permission(
    tree: OrgTree,
    user: UserId,
    permission: str,
    department: DepartmentId | None = None,
) -> bool:
    """Whether an enabled user holds the permission everywhere or, when a department is given, over that department."""
    if user == OPERATOR:
        return True
    if tree.is_disabled(user):
        return False
    path = tree.path_of(department) if department is not None else ()
    return any(
        permission in role.permissions and (scope is None or scope in path)
        for role, scope in tree.roles_of(user)
    )


def permissions_everywhere(tree: OrgTree, user: UserId) -> tuple[str, ...]:
    """What the user may do anywhere, in the order of Permission."""
    return tuple(p for p in ALL_PERMISSIONS if has_permission(tree, user, p))


def has_all_permissions(tree: OrgTree, user: UserId) -> bool:
    """Whether the user is an administrator who may do everything everywhere."""
    return all(has_permission(tree, user, p) for p in ALL_PERMISSIONS)


def is_governed(tree: OrgTree) -> bool:
    """Whether anybody is left who may do everything."""
    everyones = {p for role in tree.everyones_roles for p in role.permissions}
    candidates: Iterable[UserId] = tree.grants
    if everyones.issuperset(ALL_PERMISSIONS):
        candidates = tree.people
    return any(has_all_permissions(tree, user) for user in candidates)


class Rights:
    """What one administrator may change. Looks at the organisation as it is at each question."""

    def __init__(self, tree: OrgTree, user: UserId) -> None:
        self._tree = tree
        self._user = user

    def covers(self, permission: str, department: DepartmentId | None) -> bool:
        """Whether the permission is held over the department; over None: everywhere."""
        return has_permission(self._tree, self._user, permission, department)

    def scopes(self, permission: str) -> frozenset[DepartmentId]:
        """The departments over whose subtrees the permission is held, besides being held everywhere or not."""
        return frozenset(
            scope
            for role, scope in self._tree.roles_of(self._user)
            if scope is not None and permission in role.permissions
        )

    def is_administrator(self, permission: str) -> bool:
        """Whether the permission is held anywhere at all."""
        return self.covers(permission, None) or bool(self.scopes(permission))

    def reaches(self, permission: str, person: Person) -> bool:
        """Whether the permission is held over at least one of the person's places."""
        return self.covers(permission, None) or any(
            self.covers(permission, place.department) for place in person.places
        )

    def administers(self, person: Person) -> bool:
        """Whether the person is in the reach of any permission of administrators."""
        return any(self.reaches(permission, person) for permission in _OVER_PEOPLE)

    def holds_all_of(self, user: UserId) -> bool:
        """Whether everything that the other user may do, this one may do too, as far and farther."""
        return user == self._user or all(
            self.covers(permission, scope)
            for role, scope in self._tree.roles_of(user)
            for permission in role.permissions
        )

    # Each of these raises RequestRefused(FORBIDDEN) with the reason.

    def check_parent(self, parent: DepartmentId | None) -> None:
        """The department above one that is created, moved (before and after) or removed."""
        if not self.covers(Permission.ADMIN_PEOPLE, parent):
            raise _forbidden(
                "You administer only a part of the tree; the department above is not in it."
            )

    def check_department(self, department: DepartmentId) -> None:
        """A department that is changed."""
        if not self.covers(Permission.ADMIN_PEOPLE, department):
            raise _forbidden("The department is not in the part of the tree that you administer.")

    def check_person(self, old: Person | None, new: Person, *, is_reanchored: bool) -> None:
        """A person who is created or changed."""
        if self.covers(Permission.ADMIN_PEOPLE, None):
            self._check_account(old, new, is_reanchored=is_reanchored)
            return
        if not new.places:
            raise _forbidden(
                "Who administers a part of the tree must give each person a place in it."
            )
        for place in _moved_places(old.places if old else (), new.places):
            if not self.covers(Permission.ADMIN_PEOPLE, place.department):
                raise _forbidden("A place is not in the part of the tree that you administer.")
        if old is not None and (is_reanchored or _without_places(old) != _without_places(new)):
            self.check_whole_person(old)
            self._check_account(old, new, is_reanchored=is_reanchored)

    def check_password(self, person: Person) -> None:
        """A person whose password is set."""
        self.check_whole_person(person)
        if not self.holds_all_of(person.id):
            raise _forbidden(f"{person.name} has rights that you have not.")

    def check_whole_person(self, person: Person) -> None:
        """A person of whom more than a place is changed: all places must be in reach."""
        if self.covers(Permission.ADMIN_PEOPLE, None):
            return
        if not person.places or not all(
            self.covers(Permission.ADMIN_PEOPLE, place.department) for place in person.places
        ):
            raise _forbidden(
                f"{person.name} sits outside of the part of the tree that you administer, too; only an "
                "administrator of both may change more than the places inside."
            )

    def check_role(self, old: Role | None, new: Role | None) -> None:
        """A role that is created, changed or removed."""
        self.check_everywhere(Permission.ADMIN_ROLES)
        before = set(old.permissions) if old else set()
        after = set(new.permissions) if new else set()
        touched = before ^ after
        if old is None or new is None or old.is_for_everyone != new.is_for_everyone:
            touched = before | after
        for permission in sorted(touched):
            if not self.covers(permission, None):
                raise _forbidden(f"You do not hold {permission!r} everywhere yourself.")

    def check_grant(self, grant: RoleGrant, person: Person) -> None:
        """A role that is given or taken."""
        role = self._tree.roles[grant.role]
        if not self.covers(Permission.ADMIN_ROLES, grant.department):
            raise _forbidden("You may not give or take roles there.")
        for permission in role.permissions:
            if not self.covers(permission, grant.department):
                raise _forbidden(f"You do not hold {permission!r} there yourself.")
        if self.covers(Permission.ADMIN_ROLES, None):
            return
        if not self._holds_role(role.id, grant.department):
            raise _forbidden(f"You do not hold the role {role.name!r} there yourself.")
        if not self.reaches(Permission.ADMIN_ROLES, person):
            raise _forbidden(f"{person.name} is not in the part of the tree that you administer.")

    def check_everywhere(self, permission: Permission) -> None:
        """Something that concerns the whole tree."""
        if not self.covers(permission, None):
            raise _forbidden(f"This needs the permission {permission.value!r} everywhere.")

    def _check_account(self, old: Person | None, new: Person, *, is_reanchored: bool) -> None:
        """By these an account can be taken over or shut; that takes as many rights as the account has."""
        if old is None:
            return
        is_account_changed = (
            is_reanchored or old.login != new.login or old.is_disabled != new.is_disabled
        )
        if is_account_changed and not self.holds_all_of(new.id):
            raise _forbidden(f"{old.name} has rights that you have not.")

    def _holds_role(self, role: RoleId, department: DepartmentId | None) -> bool:
        path = self._tree.path_of(department) if department is not None else ()
        return any(
            held.id == role and (scope is None or scope in path)
            for held, scope in self._tree.roles_of(self._user)
        )


def _moved_places(old: tuple[Place, ...], new: tuple[Place, ...]) -> Iterator[Place]:
    """Places that are on one side only."""
    yield from (place for place in old if place not in new)
    yield from (place for place in new if place not in old)


def _without_places(person: Person) -> tuple[object, ...]:
    return (
        person.login,
        person.name,
        person.other_name,
        person.sort_key,
        person.email,
        person.phone,
        person.custom,
        person.is_disabled,
        person.is_bot,
        person.manager,
    )


def _forbidden(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.FORBIDDEN, sentence)
