# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's directory in a few dictionaries: carries out changes one by one, and refuses what the real one refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ldapsync.actions import Plan
from ldapsync.current import Current
from ldapsync.planning.logins import fold_login
from protocol.ids import DepartmentId
from protocol.messages.admin import (
    DirectoryChange,
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
)

ROLES = {
    number.to_bytes(16): Role(number.to_bytes(16), name, permissions)
    for number, name, permissions in (
        (1, "Administrator", ("admin.people", "admin.roles")),
        (2, "Helpdesk", ("chat.recall_any",)),
    )
}


class Refused(AssertionError):
    """The server would refuse this change; the plan is wrong."""


def ids(start: int = 1) -> Callable[[], bytes]:
    """Ids that are never used twice."""
    numbers = itertools.count(start)
    return lambda: b"id" + next(numbers).to_bytes(14)


class OrgModel:
    """The directory of a server, in memory."""

    def __init__(self) -> None:
        self.current = Current(version=1, roles=dict(ROLES))
        self.ids = ids()

    def apply(self, plan: Plan) -> None:
        """Carry out a plan as one run."""
        assert plan.based_on == self.current.version
        self.change(plan.changes(lambda digest: b"jpeg"))
        self.current.marks = dict(plan.marks)

    def change(self, changes: Iterable[DirectoryChange]) -> None:
        """Carry out changes, all or none."""
        before = self.current
        self.current = Current(
            before.version + 1,
            dict(before.people),
            dict(before.departments),
            dict(before.groups),
            dict(before.roles),
            before.grants,
            before.rules,
            dict(before.marks),
        )
        try:
            for change in changes:
                self._ways[type(change)](self, change)
        except BaseException:
            self.current = before
            raise

    def _put_department(self, change: PutDepartment) -> None:
        departments = self.current.departments
        _need(change.parent is None or change.parent in departments, "parent", change)
        above: DepartmentId | None = change.parent
        while above is not None:
            _need(above != change.id, "no circle", change)
            above = departments[above].parent
        self._own(departments, change)
        departments[change.id] = change

    def _remove_department(self, change: RemoveDepartment) -> None:
        current, id = self.current, change.id
        _need(id in current.departments, "there", change)
        _need(all(one.parent != id for one in current.departments.values()), "leaf", change)
        seats = (place.department for one in current.people.values() for place in one.places)
        _need(id not in set(seats), "empty", change)
        _need(all(id not in (one.viewers, one.targets) for one in current.rules), "rule", change)
        current.grants = frozenset(one for one in current.grants if one.department != id)
        del current.departments[id]

    def _put_person(self, change: PutPerson) -> None:
        people = self.current.people
        folded = fold_login(change.login)
        rivals = [one for one in people.values() if fold_login(one.login) == folded]
        _need(all(one.id == change.id for one in rivals), "login is free", change)
        places = [place.department for place in change.places]
        _need(set(places) <= self.current.departments.keys(), "departments", change)
        _need(len(set(places)) == len(places), "places once", change)
        _need(change.manager is None or change.manager in people, "manager", change)
        _need(change.manager != change.id, "not their own manager", change)
        self._own(people, change)
        known = people.get(change.id)
        photo = known.photo if known is not None else b""
        people[change.id] = msgspec.structs.replace(change, photo=photo)

    def _put_photo(self, change: PutPhoto) -> None:
        person = self.current.people[change.user]
        self.current.people[change.user] = msgspec.structs.replace(person, photo=change.digest)

    def _put_group(self, change: PutGroup) -> None:
        _need(set(change.members) <= self.current.people.keys(), "members", change)
        self._own(self.current.groups, change)
        self.current.groups[change.id] = change

    def _remove_group(self, change: RemoveGroup) -> None:
        del self.current.groups[change.id]

    def _grant(self, change: GrantRole) -> None:
        grant = change.grant
        _need(grant.user in self.current.people, "person", change)
        _need(grant.role in self.current.roles, "role", change)
        _need(
            grant.department is None or grant.department in self.current.departments,
            "there",
            change,
        )
        self.current.grants |= {grant}

    def _revoke(self, change: RevokeRole) -> None:
        self.current.grants -= {change.grant}

    def _own(self, records: dict[bytes, Any], change: Any) -> None:
        """No two records are the same entry."""
        if change.anchor:
            place = (change.source, change.anchor)
            others = [one for one in records.values() if (one.source, one.anchor) == place]
            _need(all(one.id == change.id for one in others), "anchor is free", change)

    _ways: dict[type, Callable[[OrgModel, Any], None]] = {  # noqa: RUF012 - never changed
        PutDepartment: _put_department,
        RemoveDepartment: _remove_department,
        PutPerson: _put_person,
        PutPhoto: _put_photo,
        PutGroup: _put_group,
        RemoveGroup: _remove_group,
        GrantRole: _grant,
        RevokeRole: _revoke,
    }


def _need(is_so: bool, what: str, change: Any) -> None:
    if not is_so:
        raise Refused(f"{what}: {change}")


def shown(current: Current, source: str) -> dict[str, Any]:
    """What the server has of a source, by anchors, in a form to compare with ``expected``."""
    anchors = {one.id: one.anchor for one in current.departments.values()}
    users = {one.id: one.anchor for one in current.people.values()}
    roles = {one.id: one.name for one in current.roles.values()}
    people = [one for one in current.people.values() if one.source == source]
    return {
        "departments": {
            one.anchor: (one.name, one.other_name, anchors.get(one.parent or b""), one.order)
            for one in current.departments.values()
            if one.source == source
        },
        "people": {
            one.anchor: (
                one.login,
                one.name,
                one.email,
                one.custom,
                users.get(one.manager or b""),
                one.photo,
                [(anchors[each.department], each.title, each.is_head) for each in one.places],
                one.is_disabled,
            )
            for one in people
            if not one.is_off_at_source
        },
        "groups": {
            one.anchor: (one.name, {users[member] for member in one.members})
            for one in current.groups.values()
            if one.source == source
        },
        "grants": {
            (users[one.user], roles[one.role], anchors.get(one.department or b""))
            for one in current.grants
            if one.source == source
        },
    }


def hand_given(user: bytes, role: int = 1, department: bytes | None = None) -> RoleGrant:
    """A role that somebody was given by hand."""
    return RoleGrant(user, role.to_bytes(16), department)
