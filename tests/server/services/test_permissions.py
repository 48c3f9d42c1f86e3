# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, subtrees and the reach of administrators: whatever they do, nobody ends up with more than was there to give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import DepartmentId, UserId
from protocol.messages import admin as wire
from protocol.messages.admin import Permission, Role, RoleGrant
from protocol.messages.people import Department, Person, Place
from server.services import permissions
from server.services.caller import OPERATOR
from server.services.directory_changes import Draft
from server.services.organisation import (
    ADMINISTRATOR,
    ALL_PERMISSIONS,
    DepartmentEntry,
    OrgTree,
    PersonEntry,
)
from server.services.permissions import Rights, has_permission
from tests.server.services.office import make_id

TOP, LEFT, DEEP, RIGHT = DEPARTMENTS = [make_id(name) for name in ("top", "left", "deep", "right")]
PARENTS = {TOP: None, LEFT: TOP, DEEP: LEFT, RIGHT: TOP}
PEOPLE = [make_id(f"person {number}") for number in range(4)]
ROLES = [make_id(f"role {number}") for number in range(3)]

scopes = st.none() | st.sampled_from(DEPARTMENTS)
people = st.sampled_from(PEOPLE)
permission_sets = st.lists(st.sampled_from(ALL_PERMISSIONS), unique=True, max_size=3).map(tuple)
places = st.lists(st.sampled_from(DEPARTMENTS), unique=True, max_size=2).map(
    lambda seats: tuple(Place(seat) for seat in seats)
)


@st.composite
def trees(draw: st.DrawFn) -> OrgTree:
    """Any four people with any roles in a small tree; the first may do everything."""
    tree = OrgTree()
    for department, parent in PARENTS.items():
        tree.put_department(DepartmentEntry(Department(id=department, name="d", parent=parent)))
    for key, user in enumerate(PEOPLE, start=1):
        person = Person(id=user, login=str(key), name="p", places=draw(places))
        tree.put_person(PersonEntry(key, person))
    tree.put_role(Role(ADMINISTRATOR, "Administrator"))
    for number, role in enumerate(ROLES):
        tree.put_role(Role(role, f"role {number}", draw(permission_sets)))
    tree.add_grant(RoleGrant(PEOPLE[0], ADMINISTRATOR))
    for user in PEOPLE[1:]:
        for role in draw(st.lists(st.sampled_from(ROLES), max_size=2)):
            tree.add_grant(RoleGrant(user, role, draw(scopes)))
    return tree


put_person = st.builds(
    lambda user, places, is_disabled: wire.PutPerson(
        id=user, login=user.hex(), name="p", places=places, is_disabled=is_disabled
    ),
    people,
    places,
    st.booleans(),
)
grants = st.builds(RoleGrant, people, st.sampled_from([*ROLES, ADMINISTRATOR]), scopes)
changes: st.SearchStrategy[wire.DirectoryChange] = st.one_of(
    put_person,
    st.builds(wire.GrantRole, grants),
    st.builds(wire.RevokeRole, grants),
    st.builds(
        lambda role, permissions, for_all: wire.PutRole(
            Role(role, f"role {role.hex()}", permissions, for_all)
        ),
        st.sampled_from([*ROLES, make_id("new role")]),
        permission_sets,
        st.booleans(),
    ),
    st.builds(wire.RemoveRole, st.sampled_from(ROLES)),
    st.builds(
        lambda id, parent: wire.PutDepartment(id=id, name="d", parent=parent),
        st.sampled_from([*DEPARTMENTS, make_id("new department")]),
        scopes,
    ),
    st.builds(wire.SetPassword, people, st.just("correct horse battery")),
)


def held(tree: OrgTree, user: UserId) -> set[tuple[str, DepartmentId | None]]:
    """Every permission of a user with every department over which it holds; None: everywhere."""
    return {
        (permission, scope)
        for permission in ALL_PERMISSIONS
        for scope in (None, *DEPARTMENTS)
        if has_permission(tree, user, permission, scope)
    }


def attempt(tree: OrgTree, user: UserId, change: wire.DirectoryChange) -> Draft | None:
    """The draft after the change; None when it is refused."""
    draft = Draft(tree, user, 8)
    try:
        draft.add(change)
    except RequestRefused:
        return None
    return draft


@given(trees(), st.sampled_from(PEOPLE[1:]), st.lists(changes, max_size=6))
def test_nobody_gains_what_the_one_who_changes_did_not_hold(
    tree: OrgTree, administrator: UserId, attempts: list[wire.DirectoryChange]
) -> None:
    for change in attempts:
        draft = attempt(tree, administrator, change)
        if draft is None:
            continue
        own = held(tree, administrator)
        if not isinstance(change, wire.PutDepartment):
            for user in PEOPLE:
                gained = held(draft.tree, user) - held(tree, user)
                assert gained <= own, change
        tree = draft.tree


@given(trees(), st.lists(st.tuples(people, changes), max_size=8))
def test_somebody_always_governs(
    tree: OrgTree, attempts: list[tuple[UserId, wire.DirectoryChange]]
) -> None:
    for user, change in attempts:
        draft = attempt(tree, user, change)
        tree = draft.tree if draft else tree
        assert permissions.is_governed(tree)


@given(trees(), people, st.lists(changes, min_size=1, max_size=4))
def test_who_has_no_right_changes_nothing(
    tree: OrgTree, user: UserId, attempts: list[wire.DirectoryChange]
) -> None:
    rights = Rights(tree, user)
    if any(rights.is_administrator(p) for p in (Permission.ADMIN_PEOPLE, Permission.ADMIN_ROLES)):
        return
    for change in attempts:
        assert attempt(tree, user, change) is None


@given(trees(), st.sampled_from(PEOPLE[1:]), changes)
def test_a_part_of_the_tree_is_all_that_its_administrator_touches(
    tree: OrgTree, user: UserId, change: wire.DirectoryChange
) -> None:
    rights = Rights(tree, user)
    if rights.covers(Permission.ADMIN_PEOPLE, None) or rights.covers(Permission.ADMIN_ROLES, None):
        return
    draft = attempt(tree, user, change)
    if draft is None:
        return
    for person in draft.people:
        before, after = tree.people.get(person), draft.tree.people[person]
        old = {place.department for place in before.person.places} if before else set()
        new = {place.department for place in after.person.places}
        assert all(rights.covers(Permission.ADMIN_PEOPLE, seat) for seat in old ^ new)
        if not isinstance(change, wire.PutPerson):
            assert any(rights.covers(Permission.ADMIN_ROLES, seat) for seat in old)
    for person in draft.passwords:
        seats = tree.seats_of(person)
        assert seats
        assert all(rights.covers(Permission.ADMIN_PEOPLE, seat) for seat in seats)
        assert held(tree, person) <= held(tree, user)
    for department in draft.departments:
        entry = tree.departments.get(department)
        assert entry is None or rights.covers(Permission.ADMIN_PEOPLE, department)
    assert draft.tree.rules == tree.rules
    assert draft.tree.roles == tree.roles


@given(trees(), people, changes)
def test_a_draft_leaves_the_tree_alone(
    tree: OrgTree, user: UserId, change: wire.DirectoryChange
) -> None:
    before = (
        dict(tree.people),
        dict(tree.departments),
        dict(tree.grants),
        dict(tree.roles),
        {each: set(tree.seated_in(each)) for each in DEPARTMENTS},
        {each: tree.children_of(each) for each in DEPARTMENTS},
        {each: tree.path_of(each) for each in DEPARTMENTS},
    )
    attempt(tree, user, change)
    attempt(tree, OPERATOR, change)
    after = (
        tree.people,
        tree.departments,
        tree.grants,
        tree.roles,
        {each: set(tree.seated_in(each)) for each in DEPARTMENTS},
        {each: tree.children_of(each) for each in DEPARTMENTS},
        {each: tree.path_of(each) for each in DEPARTMENTS},
    )
    assert before == after


@given(trees(), st.lists(st.tuples(people, changes), max_size=8))
def test_the_indices_agree_with_the_records(
    tree: OrgTree, attempts: list[tuple[UserId, wire.DirectoryChange]]
) -> None:
    for _, change in attempts:
        draft = attempt(tree, OPERATOR, change)
        tree = draft.tree if draft else tree
    for department, entry in tree.departments.items():
        seated = {u for u, e in tree.people.items() if department in tree.seats_of(u) and e.key}
        assert set(tree.seated_in(department)) == seated
        parent = entry.department.parent
        assert department in tree.children_of(parent)
        above = tree.path_of(parent) if parent else ()
        assert tree.path_of(department) == (department, *above)
    for user, person in tree.people.items():
        assert tree.who_has_login(person.person.login.upper()) == user
        assert tree.ids[person.key] == user


def test_disabled_people_may_nothing() -> None:
    tree = OrgTree()
    tree.put_role(Role(ADMINISTRATOR, "Administrator"))
    tree.put_person(PersonEntry(1, Person(PEOPLE[0], "p", "p", is_disabled=True)))
    tree.add_grant(RoleGrant(PEOPLE[0], ADMINISTRATOR))
    assert permissions.permissions_everywhere(tree, PEOPLE[0]) == ()
    assert not permissions.is_governed(tree)
    assert permissions.permissions_everywhere(tree, OPERATOR) == ALL_PERMISSIONS


def test_a_permission_over_a_subtree_is_not_held_everywhere() -> None:
    tree = OrgTree()
    for department, parent in PARENTS.items():
        tree.put_department(DepartmentEntry(Department(id=department, name="d", parent=parent)))
    tree.put_person(PersonEntry(1, Person(PEOPLE[0], "p", "p")))
    tree.put_role(Role(ROLES[0], "Role", (Permission.MENTION_ALL,)))
    tree.add_grant(RoleGrant(PEOPLE[0], ROLES[0], LEFT))
    expected: dict[DepartmentId | None, bool] = {
        None: False,
        TOP: False,
        LEFT: True,
        DEEP: True,
        RIGHT: False,
    }
    for where, answer in expected.items():
        assert has_permission(tree, PEOPLE[0], Permission.MENTION_ALL, where) is answer
    with pytest.raises(RequestRefused) as caught:
        Rights(tree, PEOPLE[0]).check_everywhere(Permission.MENTION_ALL)
    assert caught.value.code is ErrorCode.FORBIDDEN
