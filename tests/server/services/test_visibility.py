# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sees whom: the rules as they are documented, against the quick way in which they are worked out."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import DepartmentId, UserId
from protocol.messages.admin import Effect, Permission, Role, RoleGrant, VisibilityRule
from protocol.messages.people import Department, Person, Place
from server.services.caller import OPERATOR
from server.services.organisation import DepartmentEntry, OrgTree, PersonEntry
from server.services.visibility import Visibility
from tests.server.services.office import make_id

DEPARTMENTS = [make_id(f"department {number}") for number in range(6)]
PEOPLE = [make_id(f"person {number}") for number in range(5)]
LABEL, SEER, ALL = make_id("label"), make_id("seer"), make_id("all")


@st.composite
def trees(draw: st.DrawFn) -> OrgTree:
    """Any small organisation with any rules."""
    tree = OrgTree()
    for index, department in enumerate(DEPARTMENTS):
        parent = draw(st.sampled_from([None, *DEPARTMENTS[:index]]))
        tree.put_department(DepartmentEntry(Department(id=department, name="d", parent=parent)))
    for key, user in enumerate(PEOPLE, start=1):
        seats = draw(st.lists(st.sampled_from(DEPARTMENTS), max_size=2, unique=True))
        places = tuple(Place(seat) for seat in seats)
        person = Person(id=user, login=str(key), name="p", places=places)
        tree.put_person(PersonEntry(key, person))
    tree.put_role(Role(LABEL, "Label"))
    tree.put_role(Role(SEER, "Seer", (Permission.SEE_EVERYONE,)))
    tree.put_role(Role(ALL, "All", (), is_for_everyone=draw(st.booleans())))
    grants = st.builds(
        RoleGrant,
        st.sampled_from(PEOPLE),
        st.sampled_from([LABEL, LABEL, SEER]),
        st.sampled_from([None, *DEPARTMENTS]),
    )
    for grant in draw(st.lists(grants, max_size=3)):
        tree.add_grant(grant)
    scopes = st.none() | st.sampled_from(DEPARTMENTS)
    roles = st.none() | st.sampled_from([LABEL, ALL])
    rules = st.builds(
        VisibilityRule, scopes, roles, scopes, roles, st.sampled_from(Effect), st.booleans()
    )
    tree.rules = tuple(draw(st.lists(rules, max_size=4)))
    return tree


def is_meant(
    tree: OrgTree, user: UserId, department: DepartmentId | None, role: bytes | None
) -> bool:
    """Whether one side of a rule is about the person."""
    seats = tree.seats_of(user)
    sits = department is None or any(tree.is_within(seat, department) for seat in seats)
    holds = role is None or any(held.id == role for held, _ in tree.roles_of(user))
    return sits and holds


def documented(tree: OrgTree, viewer: UserId, target: UserId) -> Effect:
    """What the documentation says, word for word."""
    seats = set(tree.seats_of(target))
    for role, scope in tree.roles_of(viewer):
        if Permission.SEE_EVERYONE in role.permissions and (
            scope is None or any(tree.is_within(seat, scope) for seat in seats)
        ):
            return Effect.ALLOW
    for rule in tree.rules:
        if not is_meant(tree, viewer, rule.viewers, rule.viewers_role):
            continue
        if not is_meant(tree, target, rule.targets, rule.targets_role):
            continue
        if rule.spares_insiders and is_meant(tree, viewer, rule.targets, rule.targets_role):
            continue
        if rule.effect is Effect.HIDE and seats & set(tree.seats_of(viewer)):
            return Effect.ALLOW
        return rule.effect
    return Effect.ALLOW


@given(trees())
def test_the_rules_mean_what_they_say(tree: OrgTree) -> None:
    visibility = Visibility(tree)
    for viewer in PEOPLE:
        for target in PEOPLE:
            effect = documented(tree, viewer, target)
            is_self = viewer == target
            assert visibility.may_see(viewer, target) == (is_self or effect is not Effect.HIDE)
            assert visibility.may_open_chat(viewer, target) == (is_self or effect is Effect.ALLOW)


@given(trees())
def test_equal_views_see_the_same(tree: OrgTree) -> None:
    visibility = Visibility(tree)
    for one in PEOPLE:
        for other in PEOPLE:
            if visibility.view_of(one) == visibility.view_of(other):
                for target in set(PEOPLE) - {one, other}:
                    assert visibility.may_see(one, target) == visibility.may_see(other, target)


@given(trees())
def test_what_is_shown_hangs_together(tree: OrgTree) -> None:
    visibility = Visibility(tree)
    for viewer in PEOPLE:
        view = visibility.view_of(viewer)
        hidden = visibility.hidden_departments(view)
        assert hidden.isdisjoint(tree.seats_of(viewer))
        for department in set(DEPARTMENTS) - hidden:
            assert hidden.isdisjoint(tree.path_of(department))
        for target in PEOPLE:
            seen = visibility.as_seen(view, tree.people[target].person)
            assert hidden.isdisjoint(place.department for place in seen.places)


@given(trees())
def test_the_operator_sees_everybody_and_a_stranger_nobody(tree: OrgTree) -> None:
    visibility = Visibility(tree)
    assert all(visibility.may_see(OPERATOR, target) for target in PEOPLE)
    assert not any(visibility.may_see(make_id("stranger"), target) for target in PEOPLE)
    assert not visibility.may_see(PEOPLE[0], make_id("stranger"))


def office_tree(*rules: VisibilityRule) -> OrgTree:
    """Staff, a board, and a head of staff who sits on the board, too."""
    tree = OrgTree()
    for name in ("staff", "board"):
        tree.put_department(DepartmentEntry(Department(id=make_id(name), name=name)))
    seats = {"clerk": ["staff"], "chief": ["board"], "head": ["staff", "board"]}
    for key, (name, departments) in enumerate(seats.items(), start=1):
        places = tuple(Place(make_id(each)) for each in departments)
        tree.put_person(PersonEntry(key, Person(make_id(name), name, name, places=places)))
    tree.rules = rules
    return tree


def test_executive_mode() -> None:
    rule = VisibilityRule(targets=make_id("board"), effect=Effect.SEE_ONLY)
    visibility = Visibility(office_tree(rule))
    clerk, chief, head = map(make_id, ("clerk", "chief", "head"))
    assert visibility.may_see(clerk, chief)
    assert not visibility.may_open_chat(clerk, chief)
    assert not visibility.may_open_chat(clerk, head)  # not even a colleague's
    assert visibility.may_open_chat(chief, clerk)
    assert visibility.may_open_chat(head, chief)  # an insider


def test_a_hidden_department_is_hidden_with_its_people_but_not_from_colleagues() -> None:
    rule = VisibilityRule(targets=make_id("board"), effect=Effect.HIDE)
    tree = office_tree(rule)
    visibility = Visibility(tree)
    clerk, chief, head = map(make_id, ("clerk", "chief", "head"))
    assert not visibility.may_see(clerk, chief)
    assert visibility.may_open_chat(clerk, head)
    view = visibility.view_of(clerk)
    assert visibility.hidden_departments(view) == {make_id("board")}
    seen = visibility.as_seen(view, tree.people[head].person)
    assert [place.department for place in seen.places] == [make_id("staff")]


def test_a_closed_account_is_seen_but_not_written_to() -> None:
    tree = office_tree()
    person = Person(make_id("gone"), "gone", "gone", is_disabled=True)
    tree.put_person(PersonEntry(9, person))
    visibility = Visibility(tree)
    assert visibility.may_see(make_id("clerk"), make_id("gone"))
    assert not visibility.may_open_chat(make_id("clerk"), make_id("gone"))
