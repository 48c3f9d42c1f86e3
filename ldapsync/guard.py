# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards: a plan that would change too much stops as a whole, until somebody has looked at it. Pure.

A directory that answers wrongly looks like one in which everybody left. A guard doesn't ask which of the two it is, only whether a
person has seen the list.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ldapsync.actions import Action, Kind, Plan, Tripped, label
from ldapsync.config import Guards, Limit
from ldapsync.current import Current
from ldapsync.wanted import Wanted
from protocol.messages.admin import PutGroup, PutPerson, RoleGrant

SCOPE: Final = "scope"
"""What was read how is not as in the last run: what is missing may only be out of sight."""
EMPTY: Final = "empty"
"""The reading has nobody, the server has people of the source."""
DISABLE_ADMIN: Final = "disable_admin"
"""Somebody who administers loses access."""
MAX_EXAMPLES: Final = 10
UNCONFIGURED: Final = {
    SCOPE: "Records that may only be out of sight since the configuration changed; at most 0.",
    EMPTY: "People who would be closed because the directory has nobody at all; at most 0.",
    DISABLE_ADMIN: "Administrators who lose access; at most 0.",
}
"""Guards without a limit in the configuration: they always ask."""

_SENTENCES: Final = {
    "create": "{n} people would be created",
    "update": "{n} people would be changed",
    "move": "{n} people would change departments",
    "disable": "{n} people would lose access",
    "remove_department": "{n} departments would be removed",
    "remove_group": "{n} groups would be removed",
    "remove_member": "{n} memberships of groups would end",
    "grant_role": "{n} people would get a role that rules over others",
    "set_aside": "{n} entries can't be taken",
    DISABLE_ADMIN: "{n} people who administer would lose access",
    EMPTY: "the directory has nobody, and {n} people would lose access",
    SCOPE: (
        "the directory is read in another way than in the last run (address, bases, filters or mapping), and {n} people, "
        "departments, groups or roles that it does not show any more would be closed or removed"
    ),
}


def names() -> tuple[str, ...]:
    """What ``--allow`` may name."""
    return (*Guards.__struct_fields__, *UNCONFIGURED)


def tripped(
    plan: Plan, wanted: Wanted, current: Current, guards: Guards, allowed: Mapping[str, int]
) -> tuple[Tripped, ...]:
    """The guards that stop the plan."""
    counts = _Counts(plan, wanted, current)
    found = []
    for name in names():
        examples, whole = counts.of(name)
        configured: Limit = getattr(guards, name, Limit(0, 0.0))
        limit = max(configured.count, int(configured.percent * whole / 100))
        number = len(examples)
        if number > max(limit, allowed.get(name, 0)):
            said = _SENTENCES[name].format(n=f"{number:,}")
            of = f" of {whole:,}" if whole and name not in UNCONFIGURED else ""
            sentence = f"{said[0].upper()}{said[1:]}{of}; {_limit_in_words(limit)}."
            found.append(Tripped(name, number, limit, sentence, tuple(examples[:MAX_EXAMPLES])))
    return tuple(found)


def _limit_in_words(limit: int) -> str:
    return (
        f"without being asked at most {limit:,}"
        if limit
        else "that is never done without being asked"
    )


class _Counts:
    """What each guard counts, and of how many."""

    def __init__(self, plan: Plan, wanted: Wanted, current: Current) -> None:
        self._plan = plan
        self._wanted = wanted
        self._current = current
        mine = [one for one in current.people.values() if one.source == wanted.source]
        self._people = len(mine)
        self._active = sum(not one.is_off_at_source for one in mine)
        self._by_kind: dict[Kind, list[Action]] = {kind: [] for kind in Kind}
        for action in plan.actions:
            for kind in action.kinds:
                self._by_kind[kind].append(action)

    def of(self, guard: str) -> tuple[list[str], int]:
        """Whom it is about, and of how many."""
        by_kind, current, source = self._by_kind, self._current, self._wanted.source
        if guard == "create":
            return _labels(by_kind[Kind.CREATE]), len(self._wanted.people)
        if guard == "update":
            changed = [*by_kind[Kind.UPDATE], *by_kind[Kind.RENAME], *by_kind[Kind.MERGE]]
            return list(dict.fromkeys(_labels(self._present(changed)))), self._people
        if guard == "move":
            return _labels(self._present(by_kind[Kind.MOVE])), self._people
        if guard == "disable":
            return _labels(by_kind[Kind.DISABLE]), self._active
        if guard == "remove_department":
            whole = sum(one.source == source for one in current.departments.values())
            return _labels(by_kind[Kind.REMOVE_DEPARTMENT]), whole
        if guard == "remove_group":
            whole = sum(one.source == source for one in current.groups.values())
            return _labels(by_kind[Kind.REMOVE_GROUP]), whole
        if guard == "remove_member":
            ours = [one for one in current.groups.values() if one.source == source]
            return list(self._ended_memberships()), sum(len(one.members) for one in ours)
        if guard == "grant_role":
            given = by_kind[Kind.GRANT]
            return _labels([one for one in given if self._rules(one)], self._plan), self._people
        if guard == "set_aside":
            aside = self._plan.set_aside
            return [one.dn for one in aside], len(self._wanted.people) + len(aside)
        return self._always(guard), 0

    def _always(self, guard: str) -> list[str]:
        closed = self._by_kind[Kind.DISABLE]
        if guard == DISABLE_ADMIN:
            rulers = {one.user for one in self._current.grants if self._is_ruling(one)}
            return _labels([one for one in closed if one.record.id in rulers])  # type: ignore[union-attr]
        if guard == EMPTY:
            return _labels(closed) if not self._wanted.people else []
        if not self._plan.has_new_marks:
            return []
        removed = (Kind.REMOVE_DEPARTMENT, Kind.REMOVE_GROUP, Kind.REVOKE)
        missing = [one for one in closed if one.anchor not in self._wanted.people]
        for kind in removed:
            missing += self._by_kind[kind]
        return _labels(missing, self._plan)

    def _present(self, actions: Iterable[Action]) -> list[Action]:
        """Those about people whom the directory has: what happens to leavers is counted as such."""
        return [one for one in actions if one.anchor in self._wanted.people]

    def _ended_memberships(self) -> Iterator[str]:
        for action in (*self._by_kind[Kind.UPDATE_GROUP], *self._by_kind[Kind.REMOVE_GROUP]):
            before, after = action.before, action.after
            if isinstance(before, PutGroup):
                staying = set(after.members) if isinstance(after, PutGroup) else set()
                for user in before.members:
                    if user not in staying:
                        person = self._current.people.get(user)
                        yield f"{label(person) if person else user.hex()} of {before.name}"

    def _rules(self, action: Action) -> bool:
        grant = action.after
        return isinstance(grant, RoleGrant) and self._is_ruling(grant)

    def _is_ruling(self, grant: RoleGrant) -> bool:
        return self._current.is_admin_role(grant.role)


def _labels(actions: Iterable[Action], plan: Plan | None = None) -> list[str]:
    found = []
    for action in actions:
        record = action.record
        if isinstance(record, RoleGrant):
            paths = plan.paths if plan is not None else {}
            found.append(f"{paths.get(record.role, '?')} for {paths.get(record.user, '?')}")
        else:
            person = action.before if isinstance(action.before, PutPerson) else record
            found.append(label(person))
    return found
