# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a run back: each of its records as it was before, tried out on a draft. Pure; sync_history.py makes it durable.

A record that is not as the run left it, or whose place is gone or taken, stands in conflict and is left alone; the others go on, and
see what has become of it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Any, Final

import msgspec
from msgspec import Struct

from protocol.ids import UserId
from server.services import permissions
from server.services.directory_changes import Draft
from server.services.directory_store import (
    department_entry,
    department_row,
    group_entry,
    group_row,
    person_entry,
    person_row,
)
from server.services.organisation import PersonEntry
from server.services.records import seats_of
from server.store.people import DepartmentRow, GroupRow, PersonRow
from server.store.sync_runs import (
    DEPARTMENT,
    GRANTS,
    GROUP,
    PERSON,
    GrantsImage,
    PersonImage,
    image,
)

_INCIDENTAL: Final = frozenset({"key", "version", "moved", "created"})
"""What differs between two equal records that were written at different times."""


class Change(Struct, frozen=True, gc=False):
    """What a run did to one record. The images stay encoded until they are looked at: of a hundred thousand people they would
    weigh hundreds of megabytes."""

    kind: str
    id: bytes
    before_data: bytes
    after_data: bytes

    @property
    def before(self) -> Any:
        """The record before the run; None: there was none."""
        return image(self.kind, self.before_data)

    @property
    def after(self) -> Any:
        """The record after the run; None: there was none any more."""
        return image(self.kind, self.after_data)

    @property
    def is_creation(self) -> bool:
        """Whether there was none before."""
        return not self.before_data


class Undo:
    """One attempt on one draft. Run through ``steps``, then look at what it came to."""

    def __init__(self, draft: Draft, changes: Sequence[Change], referred: Set[UserId]) -> None:
        """``referred``: those of the people whom the run created to whom something refers."""
        self.draft = draft
        self.conflicts: list[str] = []
        self.counts: Counter[str] = Counter()
        self._tree = draft.tree
        self._referred = referred
        self._kept: dict[str, dict[bytes, Change]] = {
            kind: {} for kind in (DEPARTMENT, PERSON, GROUP, GRANTS)
        }
        self._changes = changes

    def steps(self) -> Iterator[None]:
        """Do it; yields whenever others may have a turn. Raises RequestRefused for rights that the caller has not."""
        for change in self._changes:
            self._compare(change)
            yield
        self._put_groups_back()
        self._put_grants_back()
        yield
        yield from self._take_people_out()
        self._put_departments_back()
        yield from self._put_people_back()
        self._put_grants_back()
        self._take_departments_out()
        if permissions.is_governed(self.draft.base) and not permissions.is_governed(self._tree):
            self.conflicts.append("Nobody would be left who may administer everything.")

    # What was changed since

    def _compare(self, change: Change) -> None:
        now, after = self._now(change), change.after
        if change.kind == PERSON and after is not None:
            after = after.row
        if change.kind == GRANTS:
            is_same = set(now.grants) == set(after.grants)
        else:
            is_same = _differences(now, after) == []
        if is_same:
            self._kept[change.kind][change.id] = change
            return
        name = self._name(change)
        if now is None:
            self.conflicts.append(f"{name} was removed since.")
        elif after is None:
            self.conflicts.append(f"{name} was made anew since.")
        elif change.kind == GRANTS:
            self.conflicts.append(f"The roles of {name} were changed since.")
        else:
            fields = ", ".join(_differences(now, after))
            self.conflicts.append(f"{name} was changed since: {fields}.")

    def _now(self, change: Change) -> Any:
        tree, id = self._tree, change.id
        if change.kind == PERSON:
            person = tree.people.get(id)
            return person_row(person) if person else None
        if change.kind == DEPARTMENT:
            department = tree.departments.get(id)
            return department_row(department) if department else None
        if change.kind == GROUP:
            group = tree.groups.get(id)
            return group_row(group) if group else None
        return GrantsImage(0, tuple(tree.grants.get(id, ())))

    def _name(self, change: Change) -> str:
        record = change.after or change.before
        if isinstance(record, PersonImage):
            return f"{record.row.person.name} ({record.row.person.login})"
        if isinstance(record, DepartmentRow):
            return f"The department {record.department.name}"
        if isinstance(record, GroupRow):
            return f"The group {record.name}"
        entry = self._tree.people.get(change.id)
        return f"{entry.person.name} ({entry.person.login})" if entry else "somebody"

    def _conflict(self, change: Change, why: str) -> None:
        del self._kept[change.kind][change.id]
        self.conflicts.append(f"{self._name(change)} {why}")

    # Groups and roles

    def _put_groups_back(self) -> None:
        tree = self._tree
        returning = self._kept[PERSON].keys()
        for change in list(self._kept[GROUP].values()):
            if change.is_creation:
                del tree.groups[change.id]
                self.counts["group removed"] += 1
            elif any(
                user not in tree.people and user not in returning for user in change.before.members
            ):
                self._conflict(change, "had a member who was removed since.")
                continue
            else:
                group = group_entry(change.before)
                tree.groups[change.id] = msgspec.structs.replace(group, version=tree.version)
                self.counts["group"] += 1
            self.draft.groups.add(change.id)

    def _put_grants_back(self) -> None:
        tree = self._tree
        for change in list(self._kept[GRANTS].values()):
            if change.id not in tree.people:
                continue  # comes back later
            person = tree.people[change.id].person
            before, now = set(change.before.grants), set(tree.grants.get(change.id, ()))
            if before == now:
                continue
            if any(each.role not in tree.roles for each in before - now):
                self._conflict(change, "held a role that is gone.")
                continue
            for grant in (before - now) | (now - before):
                self.draft.rights.check_grant(grant, person)
            for grant in now - before:
                tree.remove_grant(grant)
            for grant in before - now:
                tree.add_grant(grant)
            self.draft.touch(change.id)
            self.counts["role"] += 1

    # People

    def _take_people_out(self) -> Iterator[None]:
        """Those whom the run created; who can't be removed any more is closed and sits nowhere."""
        tree, draft = self._tree, self.draft
        created = []
        for user, change in self._kept[PERSON].items():
            yield
            if change.is_creation:
                created.append(user)
        if not created:
            return
        leaving = set(created) - self._referred - tree.grants.keys()
        for group in tree.groups.values():
            leaving -= group.members
        for user, entry in list(tree.people.items()):
            yield
            if entry.person.manager in leaving and user not in self._kept[PERSON]:
                leaving.discard(entry.person.manager)
        for user in created:
            yield
            old = tree.people[user]
            draft.people.add(user)
            if user in leaving:
                tree.remove_person(user)
                self.counts["person removed"] += 1
                continue
            person = msgspec.structs.replace(old.person, places=(), manager=None, is_disabled=True)
            row = msgspec.structs.replace(person_row(old), person=person, is_off_at_source=True)
            self._put(row, old)
            self.counts["person closed"] += 1

    def _put_people_back(self) -> Iterator[None]:
        tree = self._tree
        returning = {}
        for user, change in self._kept[PERSON].items():
            yield
            if not change.is_creation:
                returning[user] = change
        yield from self._drop_those_without_a_place(returning)
        for user, change in returning.items():
            yield
            entry = tree.people.get(user)
            if entry is not None and entry.person.login != change.before.row.person.login:
                # Two who exchanged their logins would collide half way.
                person = msgspec.structs.replace(entry.person, login=f"\0{user.hex()}")
                tree.put_person(msgspec.structs.replace(entry, person=person))
        for user, change in returning.items():
            yield
            row, old = change.before.row, self.draft.base.people.get(user)
            if old is not None:
                self.draft.rights.check_person(
                    old.person, row.person, is_reanchored=_account_of(row) != _account_of(old)
                )
            self._put(row, old)
            self.counts["person"] += 1

    def _drop_those_without_a_place(self, returning: dict[bytes, Change]) -> Iterator[None]:
        """Find those whose login, departments or manager are taken or gone; each who stays may be in the way of another."""
        tree = self._tree
        anchors: dict[tuple[str, str], UserId] = {}
        for user, entry in tree.people.items():
            yield
            if entry.anchor and user not in returning:
                anchors[entry.source, entry.anchor] = user
        waiting = list(returning)
        while waiting:
            dropped = []
            for user in waiting:
                yield
                if user in returning and (why := self._obstacle(returning, user, anchors)):
                    change = returning.pop(user)
                    self._conflict(change, why)
                    dropped.append(user)
                    if (left := tree.people.get(user)) is not None and left.anchor:
                        anchors[left.source, left.anchor] = user
            waiting = list(returning) if dropped else []

    def _obstacle(
        self,
        returning: dict[bytes, Change],
        user: UserId,
        anchors: dict[tuple[str, str], UserId],
    ) -> str:
        tree, row = self._tree, returning[user].before.row
        person = row.person
        owner = tree.who_has_login(person.login)
        if owner not in (None, user) and owner not in returning:
            return f"had the login {person.login}, which is somebody else's now."
        if any(place.department not in tree.departments for place in person.places):
            return "sat in a department that is gone."
        if (
            person.manager is not None
            and person.manager not in tree.people
            and person.manager not in returning
        ):
            return "reported to somebody who is gone."
        if anchors.get((row.source, row.anchor), user) != user:
            return "came from an entry of the directory that is somebody else's now."
        return ""

    def _put(self, row: PersonRow, old: PersonEntry | None) -> None:
        tree, draft = self._tree, self.draft
        entry = person_entry(row)
        user = entry.person.id
        is_moved = old is None or seats_of(old.person) != seats_of(entry.person)
        now = tree.people.get(user)
        moved = tree.version if is_moved or old is None else max(old.moved, now.moved if now else 0)
        tree.put_person(
            msgspec.structs.replace(
                entry,
                key=old.key if old else tree.next_key,
                version=tree.version,
                moved=moved,
                created=old.created if old else tree.version,
            )
        )
        draft.people.add(user)
        if old is not None and entry.person.is_disabled and not old.person.is_disabled:
            draft.disabled.add(user)

    # Departments

    def _put_departments_back(self) -> None:
        tree = self._tree
        for change in self._from_the_top():
            parent = change.before.department.parent
            if parent is not None and parent not in tree.departments:
                self._conflict(change, "stood below a department that is gone.")
                continue
            if parent is not None and tree.is_within(parent, change.id):
                self._conflict(change, "stood below a department that is below it now.")
                continue
            old = tree.departments.get(change.id)
            entry = department_entry(change.before)
            tree.put_department(msgspec.structs.replace(entry, version=tree.version))
            self.draft.departments.add(change.id)
            self.counts["department"] += 1
            if old is None or old.department.parent != parent:
                self.draft.everyones_view_changes()

    def _from_the_top(self) -> Iterator[Change]:
        """Departments that are put back, each after the one above it."""
        waiting = {id: each for id, each in self._kept[DEPARTMENT].items() if not each.is_creation}
        while waiting:
            path = [next(iter(waiting))]
            while (parent := waiting[path[-1]].before.department.parent) in waiting:
                if parent in path:
                    break
                path.append(parent)
            yield waiting.pop(path[-1])

    def _take_departments_out(self) -> None:
        tree = self._tree
        created = [each for each in self._kept[DEPARTMENT].values() if each.is_creation]
        for change in sorted(created, key=lambda each: -len(tree.path_of(each.id))):
            if tree.children_of(change.id):
                self._conflict(change, "has departments below it that were put there since.")
            elif any(True for _ in tree.seated_in(change.id)):
                self._conflict(change, "has people in it who came since.")
            elif any(change.id in (rule.viewers, rule.targets) for rule in tree.rules):
                self._conflict(change, "is named by a visibility rule.")
            elif any(
                grant.department == change.id for held in tree.grants.values() for grant in held
            ):
                self._conflict(change, "is the scope of a role that somebody was given.")
            else:
                tree.remove_department(change.id)
                self.draft.departments.add(change.id)
                self.draft.everyones_view_changes()
                self.counts["department removed"] += 1


def _account_of(of: PersonRow | PersonEntry) -> tuple[object, ...]:
    return of.source, of.anchor, of.is_closed_here, of.is_off_at_source


def _differences(now: Any, then: Any) -> list[str]:
    """The names of the fields in which two records differ."""
    if now is None or then is None:
        return [] if now is then else ["everything"]
    found: list[str] = []
    for name in now.__struct_fields__:
        one, other = getattr(now, name), getattr(then, name)
        if name in _INCIDENTAL or one == other:
            continue
        if isinstance(one, Struct) and isinstance(other, Struct):
            found += _differences(one, other)
        else:
            found.append(name)
    return found
