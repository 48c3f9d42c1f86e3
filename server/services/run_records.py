# SPDX-License-Identifier: GPL-3.0-or-later
"""What a draft changes, record by record, as it was and as it will be: what a run writes down. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from protocol.ids import ConversationId, DepartmentId, UserId
from server.services.directory_changes import Draft
from server.services.directory_store import department_row, group_row, person_row
from server.services.organisation import OrgTree, PersonEntry, fold_login
from server.store.sync_runs import (
    DEPARTMENT,
    GRANTS,
    GROUP,
    PERSON,
    GrantsImage,
    PersonImage,
    Record,
    Released,
    encoded,
)

MANY: Final = 5_000
"""Above, changed people are not sorted."""


def records_of(draft: Draft) -> Iterator[Record]:
    """The records in an order in which they can be carried out in portions: nothing refers to what is not there yet, or not there
    any more."""
    base, tree = draft.base, draft.tree
    there = sorted(
        (id for id in draft.departments if id in tree.departments),
        key=lambda id: len(tree.path_of(id)),
    )
    gone = sorted(
        (id for id in draft.departments if id in base.departments and id not in tree.departments),
        key=lambda id: -len(base.path_of(id)),
    )
    leaving = [user for user in draft.people if user in base.people and user not in tree.people]
    for department in there:
        yield _department(draft, department)
    for user in _by_key(draft):
        record = _person(draft, user)
        if record.before != record.after:
            yield record
    for group in draft.groups:
        if group in tree.groups or group in base.groups:
            yield _group(draft, group)
    for user in base.grants.keys() | tree.grants.keys():
        if base.grants.get(user) != tree.grants.get(user):
            yield _grants(draft, user)
    for user in leaving:
        yield _person(draft, user)
    for department in gone:
        yield _department(draft, department)


def _by_key(draft: Draft) -> Iterable[UserId]:
    """Who changed and is there, in the order of the table: neighbours lie on one page."""
    people = draft.tree.people
    if len(draft.people) > MANY:
        # They are in this order in the tree; to sort them would take too long for one turn.
        return (user for user in people if user in draft.people)
    return sorted(
        (user for user in draft.people if user in people), key=lambda user: people[user].key
    )


def find_released(draft: Draft, released: Released) -> Iterator[None]:
    """Gather whose logins and anchors change; yields whenever others may have a turn."""
    base, tree = draft.base, draft.tree
    for user in draft.people:
        yield
        old, new = base.people.get(user), tree.people.get(user)
        if old is not None and (new is None or _found_by(old) != _found_by(new)):
            released.people.append(old.key)
    for id in draft.departments:
        was, now = base.departments.get(id), tree.departments.get(id)
        if was is not None and was.anchor and (now is None or now.anchor != was.anchor):
            released.departments.append(id)
    for group in draft.groups:
        before, after = base.groups.get(group), tree.groups.get(group)
        if before is None or not before.anchor:
            continue
        if after is None or after.anchor != before.anchor:
            released.groups.append(group)


def removed_keys(draft: Draft) -> list[int]:
    """The keys of people who are removed."""
    base, tree = draft.base, draft.tree
    return [
        base.people[user].key
        for user in draft.people
        if user in base.people and user not in tree.people
    ]


def _found_by(entry: PersonEntry) -> tuple[str, str, str]:
    return entry.person.login, entry.source, entry.anchor


def _department(draft: Draft, id: DepartmentId) -> Record:
    before, after = (
        encoded(department_row(entry) if entry else None)
        for entry in (draft.base.departments.get(id), draft.tree.departments.get(id))
    )
    return Record(DEPARTMENT, id, before, after)


def _person(draft: Draft, user: UserId) -> Record:
    old, new = draft.base.people.get(user), draft.tree.people.get(user)
    portrait = None
    if old is not None and old.portrait and (new is None or new.portrait != old.portrait):
        portrait = old.portrait
    return Record(PERSON, user, _image(draft.base, user), _image(draft.tree, user), portrait)


def _image(tree: OrgTree, user: UserId) -> bytes:
    entry = tree.people.get(user)
    if entry is None:
        return b""
    return encoded(PersonImage(person_row(entry), fold_login(entry.person.login)))


def _group(draft: Draft, id: ConversationId) -> Record:
    before, after = (
        encoded(group_row(entry) if entry else None)
        for entry in (draft.base.groups.get(id), draft.tree.groups.get(id))
    )
    return Record(GROUP, id, before, after)


def _grants(draft: Draft, user: UserId) -> Record:
    entry = draft.tree.people.get(user) or draft.base.people[user]
    before, after = (
        encoded(GrantsImage(entry.key, tuple(tree.grants.get(user, ()))))
        for tree in (draft.base, draft.tree)
    )
    return Record(GRANTS, user, before, after)
