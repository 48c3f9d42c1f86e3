# SPDX-License-Identifier: GPL-3.0-or-later
"""One request's changes of the directory, tried out on a copy: each is checked against the rights of who asks and against the
state that the changes before it have left. Pure; admin.py makes it durable."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from protocol import limits
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import DepartmentId, RoleId, UserId, department_conversation_id, format_id
from protocol.messages import admin as wire
from protocol.messages.admin import Permission
from protocol.messages.people import Department, Person, Place
from server.services import permissions
from server.services.anchors import Anchors
from server.services.names import check_login, check_name
from server.services.organisation import (
    ADMINISTRATOR,
    ALL_PERMISSIONS,
    EVERYONE,
    DepartmentEntry,
    OrgTree,
    PersonEntry,
)
from server.services.passwords import check_new_password
from server.services.people import Change
from server.services.permissions import Rights
from server.services.records import person_of, seats_of
from server.services.source_changes import SourceChanges

MAX_PASSWORDS_PER_REQUEST: Final = 500
"""Each costs some 30 ms of hashing; the answer must come before the client gives up (REQUEST_TIMEOUT_S)."""


class Draft:
    """What the org tree would be after some changes, and what they come to."""

    def __init__(
        self,
        base: OrgTree,
        user: UserId,
        password_min_chars: int,
        may_see: Callable[[UserId], bool] = lambda user: True,
    ) -> None:
        """``may_see``: whether ``user`` may know of somebody. Whom they neither know of nor administer is not there for them."""
        self.base = base
        self.tree = base.copy()
        self.tree.version += 1
        self.created = 0
        self.changed = 0
        self.unchanged = 0
        self.people: set[UserId] = set()
        """Whose record or roles changed."""
        self.disabled: set[UserId] = set()
        self.passwords: dict[UserId, wire.SetPassword] = {}
        self.departments: set[DepartmentId] = set()
        """Created, changed or removed."""
        self.roles: set[RoleId] = set()
        """Created, changed or removed."""
        self.rules_changed = False
        self.rights = self._rights = Rights(self.tree, user)
        self._password_min_chars = password_min_chars
        self._may_see = may_see
        self._anchors = Anchors(self.tree)
        self.source = SourceChanges(self.tree, self.rights, self._anchors, self.people)
        self.groups = self.source.groups

    @property
    def is_news(self) -> bool:
        """Whether anything besides passwords changed: then the directory's version rises."""
        return bool(
            self.people or self.departments or self.roles or self.rules_changed or self.groups
        )

    def add(self, change: wire.DirectoryChange) -> None:
        """Carry out one more change. Raises RequestRefused; the draft is of no use after that."""
        is_new = _WAYS[type(change)](self, change)
        if is_new is None:
            self.unchanged += 1
        elif is_new:
            self.created += 1
        else:
            self.changed += 1

    def change(self) -> Change:
        """What listeners are told once it is durable."""
        return Change(
            version=self.tree.version,
            people_changed=frozenset(self.people),
            people_disabled=frozenset(self.disabled),
            departments_changed=frozenset(self.departments),
            rules_changed=self.rules_changed or bool(self.roles),
            groups_changed=frozenset(self.groups),
        )

    # Each of these carries out one kind of change and says: True created, False changed, None nothing to do.

    def _put_department(self, change: wire.PutDepartment) -> bool | None:
        tree = self.tree
        old = tree.departments.get(change.id)
        is_moved = old is None or old.department.parent != change.parent
        if old is not None:
            self._rights.check_department(change.id)
        if is_moved:
            if old is not None:
                self._rights.check_parent(old.department.parent)
            self._rights.check_parent(change.parent)
            self._check_fits_below(change.id, change.parent)
        check_name(change.name)
        conversation = department_conversation_id(change.id) if change.has_conversation else None
        department = Department(
            id=change.id,
            name=change.name,
            parent=change.parent,
            other_name=change.other_name,
            order=change.order,
            conversation=conversation,
        )
        entry = DepartmentEntry(department, change.source, change.anchor, tree.version)
        if old is not None and entry == msgspec.structs.replace(old, version=tree.version):
            return None
        self._anchors.claim(entry, old)
        tree.put_department(entry)
        if is_moved:
            self.everyones_view_changes()
        self.departments.add(change.id)
        return old is None

    def _remove_department(self, change: wire.RemoveDepartment) -> bool:
        tree = self.tree
        old = tree.departments.get(change.id)
        # Before it is said whether there is such a department: it may be one that nobody here may know of.
        self._rights.check_department(change.id)
        if old is None:
            raise _not_found("department", change.id)
        self._rights.check_parent(old.department.parent)
        name = old.department.name
        if tree.children_of(change.id):
            raise _conflict(f"There are departments below {name}.")
        if any(True for _ in tree.seated_in(change.id)):
            raise _conflict(f"People sit in {name}.")
        if any(change.id in (rule.viewers, rule.targets) for rule in tree.rules):
            raise _conflict(f"A visibility rule names {name}.")
        self._drop_grants(lambda grant: grant.department == change.id)
        tree.remove_department(change.id)
        self._anchors.give_up(old)
        self.everyones_view_changes()
        self.departments.add(change.id)
        return False

    def _put_person(self, change: wire.PutPerson) -> bool | None:
        tree = self.tree
        old = tree.people.get(change.id)
        was_removed = old is None and change.id in self.base.people
        if was_removed or (old is not None and not self._knows(old.person)):
            raise _conflict("The id is another record's; make a new one.")
        person = person_of(change, old)
        is_reanchored = old is not None and (
            (old.source, old.anchor, old.is_closed_here, old.is_off_at_source)
            != (change.source, change.anchor, change.is_disabled, change.is_off_at_source)
        )
        self._rights.check_person(old.person if old else None, person, is_reanchored=is_reanchored)
        self._check_places(change.places)
        if old is not None and old.person == person and not is_reanchored:
            return None
        check_name(change.name)
        self._check_login(change)
        if change.manager is not None and (old is None or old.person.manager != change.manager):
            self._person(change.manager)
        is_moved = old is None or seats_of(old.person) != seats_of(person)
        entry = PersonEntry(
            key=old.key if old else tree.next_key,
            person=person,
            source=change.source,
            anchor=change.anchor,
            version=tree.version,
            moved=tree.version if is_moved or old is None else old.moved,
            created=old.created if old else tree.version,
            portrait=old.portrait if old else b"",
            is_closed_here=change.is_disabled,
            is_off_at_source=change.is_off_at_source,
        )
        self._anchors.claim(entry, old)
        is_closed = old is not None and person.is_disabled and not old.person.is_disabled
        had_all = is_closed and permissions.has_all_permissions(tree, change.id)
        tree.put_person(entry)
        self.people.add(change.id)
        if had_all:
            self._check_governed()
        if is_closed:
            self.disabled.add(change.id)
        elif not person.is_disabled:
            self.disabled.discard(change.id)
        return old is None

    def _set_password(self, change: wire.SetPassword) -> bool:
        person = self._person(change.user)
        self._rights.check_password(person)
        check_new_password(
            change.password, person, self._password_min_chars, is_one_time=change.must_change
        )
        self.passwords[change.user] = change
        if len(self.passwords) > MAX_PASSWORDS_PER_REQUEST:
            raise RequestRefused(
                ErrorCode.LIMIT_REACHED,
                f"At most {MAX_PASSWORDS_PER_REQUEST} passwords can be set in one request.",
            )
        return False

    def _put_role(self, change: wire.PutRole) -> bool | None:
        tree, role = self.tree, change.role
        old = tree.roles.get(role.id)
        if role.id == ADMINISTRATOR:
            raise _invalid("The built-in role of administrators can't be changed.")
        if role.id == EVERYONE and not role.is_for_everyone:
            raise _invalid("The built-in role of everyone can't be taken from anyone.")
        self._rights.check_role(old, role)
        check_name(role.name)
        known = {*ALL_PERMISSIONS, *(old.permissions if old else ())}
        if unknown := [permission for permission in role.permissions if permission not in known]:
            raise _invalid(f"There is no permission {unknown[0]!r}.")
        if len(set(role.permissions)) != len(role.permissions):
            raise _invalid("A permission stands twice in the role.")
        folded = role.name.casefold()
        if any(r.name.casefold() == folded and r.id != role.id for r in tree.roles.values()):
            raise _conflict(f"There is another role named {role.name}.")
        if old == role:
            return None
        was_governed = permissions.is_governed(tree)
        tree.put_role(role)
        if was_governed:
            self._check_governed()
        self.everyones_view_changes()
        self.roles.add(role.id)
        return old is None

    def _remove_role(self, change: wire.RemoveRole) -> bool:
        tree = self.tree
        role = tree.roles.get(change.id)
        if role is None:
            raise _not_found("role", change.id)
        if role.id in (ADMINISTRATOR, EVERYONE):
            raise _invalid("A built-in role can't be removed.")
        self._rights.check_role(role, None)
        if any(role.id in (rule.viewers_role, rule.targets_role) for rule in tree.rules):
            raise _conflict(f"A visibility rule names the role {role.name}.")
        was_governed = permissions.is_governed(tree)
        self._drop_grants(lambda grant: grant.role == change.id)
        tree.remove_role(change.id)
        if was_governed:
            self._check_governed()
        self.everyones_view_changes()
        self.roles.add(change.id)
        return False

    def _grant_role(self, change: wire.GrantRole) -> bool | None:
        grant = change.grant
        self._check_grant(grant)
        held = self.tree.held_grant(grant)
        if held is not None:
            if grant.source or not held.source:
                return None
            self.tree.remove_grant(held)  # what a source gave becomes one given by hand
        self.tree.add_grant(grant)
        self.touch(grant.user)
        return held is None

    def _revoke_role(self, change: wire.RevokeRole) -> bool | None:
        grant = change.grant
        self._check_grant(grant)
        held = self.tree.held_grant(grant)
        if held is None or (grant.source and grant.source != held.source):
            return None
        had_all = permissions.has_all_permissions(self.tree, grant.user)
        self.tree.remove_grant(held)
        self.touch(grant.user)
        if had_all:
            self._check_governed()
        return False

    def _set_visibility(self, change: wire.SetVisibility) -> bool | None:
        self._rights.check_everywhere(Permission.ADMIN_ROLES)
        tree = self.tree
        for index, rule in enumerate(change.rules):
            if rule.spares_insiders and rule.targets is None and rule.targets_role is None:
                raise _invalid(
                    f"Rule {index} is about everybody and spares those whom it is about, so it would do nothing; "
                    "name its targets, or let it spare nobody."
                )
            for department in (rule.viewers, rule.targets):
                if department is not None and department not in tree.departments:
                    raise _not_found("department", department)
            for role in (rule.viewers_role, rule.targets_role):
                if role is not None and role not in tree.roles:
                    raise _not_found("role", role)
        if change.rules == tree.rules:
            return None
        tree.rules = change.rules
        tree.rules_version = tree.version
        self.rules_changed = True
        return False

    def _put_photo(self, change: wire.PutPhoto) -> bool | None:
        return self.source.put_photo(change, self._person(change.user))

    def _remove_person(self, change: wire.RemovePerson) -> bool:
        return self.source.remove_person(change, self._person(change.id))

    def _put_group(self, change: wire.PutGroup) -> bool | None:
        return self.source.put_group(change)

    def _remove_group(self, change: wire.RemoveGroup) -> bool:
        return self.source.remove_group(change)

    # Checks and consequences that several kinds share

    def _check_fits_below(self, department: DepartmentId, parent: DepartmentId | None) -> None:
        tree = self.tree
        above = 0
        if parent is not None:
            if parent not in tree.departments:
                raise _not_found("department", parent)
            if tree.is_within(parent, department):
                raise _invalid("A department can't stand below itself.")
            above = len(tree.path_of(parent))
        if above + tree.height_of(department) > limits.MAX_DEPARTMENT_DEPTH:
            raise _invalid(
                f"The tree has at most {limits.MAX_DEPARTMENT_DEPTH} levels of departments."
            )

    def _check_places(self, places: tuple[Place, ...]) -> None:
        departments = {place.department for place in places}
        if len(departments) != len(places):
            raise _invalid("A person sits in a department once.")
        for department in departments:
            if department not in self.tree.departments:
                raise _not_found("department", department)

    def _check_login(self, change: wire.PutPerson) -> None:
        login = change.login
        check_login(login)
        owner = self.tree.who_has_login(login)
        if owner is not None and owner != change.id:
            person = self.tree.people[owner].person
            whose = f"{person.name}'s" if self._knows(person) else "somebody else's"
            raise _conflict(f"The login {login} is {whose}.")

    def _check_grant(self, grant: wire.RoleGrant) -> None:
        person = self._person(grant.user)
        if grant.role not in self.tree.roles:
            raise _not_found("role", grant.role)
        self._rights.check_grant(grant, person)
        if grant.department is not None and grant.department not in self.tree.departments:
            raise _not_found("department", grant.department)

    def _check_governed(self) -> None:
        if not permissions.is_governed(self.tree):
            raise _conflict("Nobody would be left who may administer everything.")

    def _person(self, user: UserId) -> Person:
        entry = self.tree.people.get(user)
        if entry is None or not self._knows(entry.person):
            raise _not_found("person", user)
        return entry.person

    def _knows(self, person: Person) -> bool:
        """Whether who asks may know of the person: as an administrator, as anybody may, or for having just made them."""
        return (
            person.id not in self.base.people
            or self._rights.administers(person)
            or self._may_see(person.id)
        )

    def _drop_grants(self, is_void: Callable[[wire.RoleGrant], bool]) -> None:
        for grants in list(self.tree.grants.values()):
            for grant in filter(is_void, grants):
                self.tree.remove_grant(grant)
                self.touch(grant.user)

    def touch(self, user: UserId) -> None:
        """The person's roles changed, and with them who sees the person and whom the person sees."""
        version = self.tree.version
        entry = self.tree.people[user]
        self.tree.people[user] = msgspec.structs.replace(entry, version=version, moved=version)
        self.people.add(user)

    def everyones_view_changes(self) -> None:
        """With visibility rules, a change of the tree or of a role may hide or show anybody."""
        if self.tree.rules:
            self.tree.rules_version = self.tree.version
            self.rules_changed = True


def _not_found(what: str, id: bytes) -> RequestRefused:
    return RequestRefused(ErrorCode.NOT_FOUND, f"There is no {what} {format_id(id)}.")


def _conflict(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.CONFLICT, sentence)


def _invalid(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.INVALID, sentence)


_WAYS: Final[Mapping[type[Any], Callable[[Draft, Any], bool | None]]] = {
    kind: getattr(Draft, f"_{kind.__struct_config__.tag}") for kind in wire.DirectoryChange.__args__
}
"""The method for each kind of change bears the kind's name."""
