# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the org tree in memory and its rows in the store."""

from collections.abc import Iterable

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import UserId
from protocol.messages.admin import DirectoryChange, PutGroup, RemovePerson, RoleGrant
from server.services.directory_changes import Draft
from server.services.doors import StoreDoor
from server.services.organisation import (
    DepartmentEntry,
    GonePerson,
    GroupEntry,
    OrgTree,
    PersonEntry,
    fold_login,
)
from server.store import directory as store
from server.store.directory import GrantRow, PasswordRow, RemovedPerson, Saving
from server.store.people import DepartmentRow, GroupRow, PersonRow, StoredDirectory


def org_tree(stored: StoredDirectory) -> OrgTree:
    """The org tree as it was stored."""
    tree = OrgTree()
    tree.version = stored.version
    tree.rules_version = stored.rules_version
    for department in stored.departments:
        tree.put_department(department_entry(department))
    tree.gone_departments = stored.gone_departments
    for row in stored.people:
        tree.put_person(person_entry(row))
    tree.gone_people = {id: GonePerson(*versions) for id, versions in stored.gone_people.items()}
    for group in stored.groups:
        tree.groups[group.id] = group_entry(group)
    for role in stored.roles:
        tree.put_role(role)
    for grant in stored.grants:
        tree.add_grant(grant)
    tree.rules = stored.rules
    return tree


def saving(draft: Draft, password_hashes: dict[UserId, str]) -> Saving:
    """What must be written to make a draft durable."""
    base, tree = draft.base, draft.tree
    people = [tree.people[user] for user in draft.people if user in tree.people]
    departments = [tree.departments.get(department) for department in draft.departments]
    before = {grant for user in draft.people for grant in base.grants.get(user, ())}
    after = {grant for user in draft.people for grant in tree.grants.get(user, ())}
    return Saving(
        based_on=base.version,
        version=tree.version if draft.is_news else base.version,
        rules_version=tree.rules_version,
        departments=[department_row(entry) for entry in departments if entry is not None],
        removed_departments=[id for id in draft.departments if id not in tree.departments],
        people=[person_row(entry) for entry in people],
        login_keys=[fold_login(entry.person.login) for entry in people],
        removed_people=[
            RemovedPerson(entry.key, user, entry.created)
            for user in draft.people - tree.people.keys()
            if (entry := base.people.get(user)) is not None
        ],
        groups=[group_row(tree.groups[id]) for id in draft.groups if id in tree.groups],
        removed_groups=[id for id in draft.groups if id not in tree.groups],
        portraits=list(draft.source.portraits.items()),
        passwords=[
            PasswordRow(tree.people[user].key, password_hashes[user], change.must_change)
            for user, change in draft.passwords.items()
            if user in tree.people
        ],
        roles=[tree.roles[role] for role in draft.roles if role in tree.roles],
        removed_roles=[role for role in draft.roles if role not in tree.roles],
        grants=[grant_row(tree, grant) for grant in after - before],
        removed_grants=[grant_row(base, grant) for grant in before - after],
        rules=tree.rules if tree.rules != base.rules else None,
    )


async def look_up(read: StoreDoor, draft: Draft, changes: Iterable[DirectoryChange]) -> None:
    """Find out what only the store knows and the draft will ask: to whom something refers, and which ids are conversations."""
    tree, source = draft.tree, draft.source
    for_removal = [
        change.id
        for change in changes
        if isinstance(change, RemovePerson) and change.id in tree.people
    ]
    if for_removal:
        source.referred |= await who_is_referred_to(read, tree, for_removal)
    fresh = [
        change.id
        for change in changes
        if isinstance(change, PutGroup) and change.id not in tree.groups
    ]
    if fresh:
        source.taken |= await read(store.taken_conversations, fresh)


async def who_is_referred_to(
    read: StoreDoor, tree: OrgTree, users: Iterable[UserId]
) -> set[UserId]:
    """Those of the people who have signed in or belong to conversations."""
    keys = [tree.people[user].key for user in users]
    return {tree.ids[key] for key in await read(store.referred, keys)}


def still_referred() -> RequestRefused:
    """What somebody is told who removed a person that was written to meanwhile."""
    return RequestRefused(
        ErrorCode.CONFLICT,
        "Somebody who is to be removed has signed in or been written to meanwhile.",
    )


def department_row(entry: DepartmentEntry) -> DepartmentRow:
    """A department for the store."""
    return DepartmentRow(entry.department, entry.source, entry.anchor, entry.version)


def department_entry(row: DepartmentRow) -> DepartmentEntry:
    """A department from the store."""
    return DepartmentEntry(row.department, row.source, row.anchor, row.version)


def person_row(entry: PersonEntry) -> PersonRow:
    """A person for the store."""
    return PersonRow(
        entry.key,
        entry.person,
        entry.source,
        entry.anchor,
        entry.version,
        entry.moved,
        entry.created,
        entry.portrait,
        entry.is_closed_here,
        entry.is_off_at_source,
    )


def person_entry(row: PersonRow) -> PersonEntry:
    """A person from the store."""
    return PersonEntry(
        row.key,
        row.person,
        row.source,
        row.anchor,
        row.version,
        row.moved,
        row.created,
        row.portrait,
        row.is_closed_here,
        row.is_off_at_source,
    )


def group_row(entry: GroupEntry) -> GroupRow:
    """A group for the store."""
    members = tuple(sorted(entry.members))
    return GroupRow(entry.id, entry.name, members, entry.source, entry.anchor, entry.version)


def group_entry(row: GroupRow) -> GroupEntry:
    """A group from the store."""
    members = frozenset(row.members)
    return GroupEntry(row.id, row.name, members, row.source, row.anchor, row.version)


def grant_row(tree: OrgTree, grant: RoleGrant) -> GrantRow:
    """A grant for the store."""
    return GrantRow(tree.people[grant.user].key, grant.role, grant.department, grant.source)
