# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the org tree in memory and its rows in the store."""

from protocol.ids import UserId
from protocol.messages.admin import RoleGrant
from server.services.directory_changes import Draft
from server.services.organisation import DepartmentEntry, OrgTree, PersonEntry, fold_login
from server.store.directory import GrantRow, PasswordRow, Saving
from server.store.people import DepartmentRow, PersonRow, StoredDirectory


def org_tree(stored: StoredDirectory) -> OrgTree:
    """The org tree as it was stored."""
    tree = OrgTree()
    tree.version = stored.version
    tree.rules_version = stored.rules_version
    for department in stored.departments:
        tree.put_department(
            DepartmentEntry(
                department.department, department.source, department.anchor, department.version
            )
        )
    tree.gone_departments = stored.gone_departments
    for row in stored.people:
        tree.put_person(
            PersonEntry(
                row.key, row.person, row.source, row.anchor, row.version, row.moved, row.created
            )
        )
    for role in stored.roles:
        tree.put_role(role)
    for grant in stored.grants:
        tree.add_grant(grant)
    tree.rules = stored.rules
    return tree


def saving(draft: Draft, password_hashes: dict[UserId, str]) -> Saving:
    """What must be written to make a draft durable."""
    base, tree = draft.base, draft.tree
    people = [tree.people[user] for user in draft.people]
    departments = [tree.departments.get(department) for department in draft.departments]
    before = {grant for user in draft.people for grant in base.grants.get(user, ())}
    after = {grant for user in draft.people for grant in tree.grants.get(user, ())}
    return Saving(
        based_on=base.version,
        version=tree.version if draft.is_news else base.version,
        rules_version=tree.rules_version,
        departments=[
            DepartmentRow(entry.department, entry.source, entry.anchor, entry.version)
            for entry in departments
            if entry is not None
        ],
        removed_departments=[id for id in draft.departments if id not in tree.departments],
        people=[
            PersonRow(
                entry.key,
                entry.person,
                entry.source,
                entry.anchor,
                entry.version,
                entry.moved,
                entry.created,
            )
            for entry in people
        ],
        login_keys=[fold_login(entry.person.login) for entry in people],
        passwords=[
            PasswordRow(tree.people[user].key, password_hashes[user], change.must_change)
            for user, change in draft.passwords.items()
        ],
        roles=[tree.roles[role] for role in draft.roles if role in tree.roles],
        removed_roles=[role for role in draft.roles if role not in tree.roles],
        grants=[_grant_row(tree, grant) for grant in after - before],
        removed_grants=[_grant_row(tree, grant) for grant in before - after],
        rules=tree.rules if tree.rules != base.rules else None,
    )


def _grant_row(tree: OrgTree, grant: RoleGrant) -> GrantRow:
    return GrantRow(tree.people[grant.user].key, grant.role, grant.department)
