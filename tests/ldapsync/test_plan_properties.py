# SPDX-License-Identifier: GPL-3.0-or-later
"""For any two directories A and B: the plan from A to B makes B, and then there is nothing left to do."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ldapsync import plan
from ldapsync.actions import Decisions
from ldapsync.config import Guards
from ldapsync.fields import digest
from ldapsync.wanted import SetAside, Wanted
from protocol.messages.admin import PutDepartment, PutPerson
from protocol.messages.people import Place
from tests.support.org_model import OrgModel, ids, shown
from tests.support.wanted_strategies import LOGINS, SOURCE, expected, readings

GUARDS = Guards()


def brought_to(model: OrgModel, wanted: Wanted) -> None:
    """Plan and apply; nobody new is anybody who was there."""
    decisions = Decisions(apart=frozenset(wanted.people))
    made = plan.make(wanted, model.current, guards=GUARDS, new_id=model.ids, decisions=decisions)
    assert not made.set_aside
    assert not made.proposals
    model.apply(made)


@given(readings(), readings())
def test_the_plan_from_a_to_b_makes_b(a: Wanted, b: Wanted) -> None:
    model = OrgModel()
    for wanted in (a, b, a):
        brought_to(model, wanted)
        assert shown(model.current, SOURCE) == expected(wanted)
        again = plan.make(wanted, model.current, guards=GUARDS, new_id=model.ids)
        assert again.is_empty
        assert not again.tripped


@given(readings(), readings(), st.sampled_from(LOGINS), st.booleans())
def test_what_others_keep_is_never_touched(
    a: Wanted, b: Wanted, login: str, is_seated: bool
) -> None:
    """Whoever is kept by hand stays, even when the directory wants their login or removes their department."""
    model = OrgModel()
    root, user = bytes(15) + b"r", bytes(15) + b"u"
    brought_to(model, a)
    seats = [*model.current.departments, root] if is_seated else [root]
    by_hand = [PutDepartment(root, "By hand")]
    if login.casefold() not in {one.login.casefold() for one in model.current.people.values()}:
        local = PutPerson(user, login, "Local", places=(Place(seats[0]),), email="a@example.com")
        model.change([*by_hand, local])
    else:
        model.change(by_hand)
    before = model.current
    made = plan.make(b, before, guards=GUARDS, new_id=model.ids)
    model.apply(made)
    after = model.current
    assert after.people.get(user) == before.people.get(user)
    assert after.departments[root] == before.departments[root]
    again = plan.make(b, after, guards=GUARDS, new_id=model.ids)
    assert again.is_empty
    assert {one.anchor for one in again.proposals} == {one.anchor for one in made.proposals}


@given(readings(), readings(), st.data())
def test_set_aside_entries_keep_what_they_are(a: Wanted, b: Wanted, data: st.DataObject) -> None:
    model = OrgModel()
    brought_to(model, a)
    aside = data.draw(st.sets(st.sampled_from(sorted(a.people)))) if a.people else set()
    left = {anchor: one for anchor, one in b.people.items() if anchor not in aside}
    wanted = msgspec.structs.replace(
        b,
        people=left,
        set_aside=tuple(SetAside(f"uid={one}", "unreadable", "mend", one) for one in aside),
        grants=tuple(one for one in b.grants if one.person in left),
    )
    before = {one.anchor: one for one in model.current.people.values()}
    made = plan.make(wanted, model.current, guards=GUARDS, new_id=model.ids)
    model.apply(made)
    after = {one.anchor: one for one in model.current.people.values()}
    assert {one: after[one] for one in aside} == {one: before[one] for one in aside}
    assert plan.make(wanted, model.current, guards=GUARDS, new_id=model.ids).is_empty


@given(readings(), readings())
def test_a_plan_made_twice_is_the_same_plan(a: Wanted, b: Wanted) -> None:
    """Although new records get other ids each time."""
    model = OrgModel()
    brought_to(model, a)
    one = plan.make(b, model.current, guards=GUARDS, new_id=ids(1_000))
    other = plan.make(b, model.current, guards=GUARDS, new_id=ids(2_000))
    assert digest(one) == digest(other)
    if not one.is_empty:
        assert digest(one) != digest(plan.make(a, model.current, guards=GUARDS, new_id=ids(3_000)))
