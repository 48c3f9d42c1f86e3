# SPDX-License-Identifier: GPL-3.0-or-later
"""What groups of the directory become: departments with seats, Lanyard groups, roles that people hold."""

from collections.abc import Iterable, Mapping
from typing import Final

from ldapsync.config import DirectoryConfig
from ldapsync.departments import Unit
from ldapsync.groups import Group, Members, Membership
from ldapsync.names import normal
from ldapsync.wanted import Anchor, SetAside, WantedDepartment, WantedGrant, WantedGroup
from protocol.limits import MAX_DEPARTMENT_DEPTH, MAX_GROUP_MEMBERS

_NAMED_IN_NOTICE: Final = 3
"""Examples in a notice."""


class Teams:
    """Groups under the rules of one directory."""

    def __init__(
        self, config: DirectoryConfig, membership: Membership, departments: frozenset[Anchor]
    ) -> None:
        self._config = config
        self._membership = membership
        self._resolved: dict[str, Members] = {}
        self.departments: list[WantedDepartment] = []
        """Parents before children."""
        self.seats: dict[Anchor, tuple[tuple[Anchor, str], ...]] = {}
        """By person the departments, each with the reason."""
        chosen = [group for group in membership.groups.values() if group.anchor in departments]
        if chosen:
            self._arrange(chosen)

    def _arrange(self, chosen: list[Group]) -> None:
        """A group that is in another is a department below it; in several, below the first by name."""
        above = _parents(chosen)
        ordered = sorted(chosen, key=lambda group: (_depth(group.key, above), group.key))
        keys = {group.key: group for group in ordered}
        for group in ordered:
            parent = keys.get(above.get(group.key, ""))
            self.departments.append(
                WantedDepartment(
                    anchor=group.anchor,
                    dn=group.dn,
                    name=group.name,
                    parent=parent.anchor if parent else None,
                    has_conversation=self._config.departments.has_conversation,
                    why={
                        "": f"matches {self._config.departments.group_filter}",
                        "parent": f"member of {parent.dn}"
                        if parent
                        else "member of no other department",
                    },
                )
            )
            for person in self._membership.direct(group):
                self.seats[person] = (
                    *self.seats.get(person, ()),
                    (group.anchor, f"member of {group.dn}"),
                )

    def _members(self, group: Group) -> Members:
        if group.key not in self._resolved:
            self._resolved[group.key] = self._membership.of(group)
        return self._resolved[group.key]

    def groups(
        self, chosen: frozenset[Anchor]
    ) -> tuple[dict[Anchor, WantedGroup], list[SetAside], list[str]]:
        """Lanyard groups by anchor, those that can't become one, and notices about members."""
        wanted: dict[Anchor, WantedGroup] = {}
        set_aside: list[SetAside] = []
        notices: list[str] = []
        for group in self._membership.groups.values():
            if group.anchor not in chosen:
                continue
            members = self._members(group)
            notices += _notices(group, members)
            if len(members.people) > MAX_GROUP_MEMBERS:
                set_aside.append(
                    SetAside(
                        group.dn,
                        f"It has {len(members.people)} members; a Lanyard group has at most {MAX_GROUP_MEMBERS}.",
                        "Leave it out by groups.filter; for so many there are departments and announcements.",
                        group.anchor,
                    )
                )
                continue
            wanted[group.anchor] = WantedGroup(
                anchor=group.anchor,
                dn=group.dn,
                name=group.name,
                members=members.people,
                why={"": f"matches {self._config.groups.filter}"},
            )
        return wanted, set_aside, notices

    def grants(self, units: Mapping[str, Unit]) -> tuple[tuple[WantedGrant, ...], list[str]]:
        """Roles that people hold, and notices about members. Groups and units that rules name are there, or reading has failed."""
        grants: dict[tuple[Anchor, str, str], WantedGrant] = {}
        notices: list[str] = []
        for rule in self._config.roles:
            group = self._membership.groups[normal(rule.group)]
            members = self._members(group)
            notices += _notices(group, members)
            department = units[normal(rule.department)].anchor if rule.department else None
            for person in sorted(members.people):
                grants[person, rule.role, department or ""] = WantedGrant(
                    person=person,
                    role=rule.role,
                    department=department,
                    why=f"member of {group.dn}",
                )
        return tuple(grants.values()), notices


def _parents(groups: Iterable[Group]) -> dict[str, str]:
    """By group the group above; circles are cut where they would close."""
    keys = {group.key for group in groups}
    above: dict[str, str] = {}
    for group in sorted(groups, key=lambda each: each.key):
        for member in group.members:
            if member in keys and member not in above and not _leads_to(group.key, member, above):
                above[member] = group.key
    return above


def _leads_to(key: str, end: str, above: dict[str, str]) -> bool:
    while key != end:
        if key not in above:
            return False
        key = above[key]
    return True


def _depth(key: str, above: dict[str, str]) -> int:
    depth = 0
    while key in above and depth < MAX_DEPARTMENT_DEPTH:
        key = above[key]
        depth += 1
    return depth


def _notices(group: Group, members: Members) -> list[str]:
    notices = []
    if members.circle:
        notices.append(
            f"{group.dn} contains itself by way of {members.circle[0]}; that is passed over."
        )
    if members.strangers:
        named = ", ".join(sorted(members.strangers)[:_NAMED_IN_NOTICE])
        notices.append(
            f"{group.dn}: {len(members.strangers)} members are not among the people who were read, such as {named}."
        )
    return notices
