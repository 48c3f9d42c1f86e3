# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards: what would change too much stops as a whole, is lifted up to a number, and no further."""

from __future__ import annotations

import pytest

from ldapsync import guard, plan
from ldapsync.config import Guards, Limit
from ldapsync.wanted import (
    SetAside,
    Wanted,
    WantedDepartment,
    WantedGrant,
    WantedGroup,
    WantedPerson,
)
from protocol.messages.admin import RoleGrant
from tests.support.org_model import OrgModel, hand_given

NUMBER = 40
STRICT = Guards(**{name: Limit(0, 0.0) for name in Guards.__struct_fields__})
LOOSE = Guards(**{name: Limit(10_000, 100.0) for name in Guards.__struct_fields__})


def company(count: int = NUMBER, scope: str = "s", **fields: object) -> Wanted:
    people = {
        f"p{number}": WantedPerson(f"p{number}", f"uid=u{number}", f"u{number}", f"Name {number}")
        for number in range(count)
    }
    return Wanted("office", scope, 0, people, **fields)  # type: ignore[arg-type]


def model_of(wanted: Wanted) -> OrgModel:
    model = OrgModel()
    model.apply(plan.make(wanted, model.current, guards=LOOSE, new_id=model.ids))
    return model


def tripped(
    model: OrgModel, wanted: Wanted, guards: Guards, allowed: dict[str, int] | None = None
) -> dict[str, int]:
    made = plan.make(wanted, model.current, guards=guards, new_id=model.ids, allowed=allowed)
    return {one.guard: one.count for one in made.tripped}


def test_more_than_both_limits_stops() -> None:
    model = model_of(company())
    guards = Guards(disable=Limit(3, 10.0))  # of 40: 4
    assert tripped(model, company(NUMBER - 4), guards) == {}
    assert tripped(model, company(NUMBER - 5), guards) == {"disable": 5}
    assert tripped(model, company(NUMBER - 5), Guards(disable=Limit(5, 0.0))) == {}


def test_a_lifted_guard_holds_beyond_its_number() -> None:
    model = model_of(company())
    assert tripped(model, company(NUMBER - 9), STRICT, {"disable": 8}) == {"disable": 9}
    assert tripped(model, company(NUMBER - 9), STRICT, {"disable": 9}) == {}


def test_nobody_left_stops_whatever_the_limits_are() -> None:
    model = model_of(company())
    assert tripped(model, company(0), LOOSE) == {"empty": NUMBER}


def test_another_way_of_reading_is_no_evidence() -> None:
    model = model_of(company())
    assert tripped(model, company(NUMBER - 1, scope="other"), LOOSE) == {"scope": 1}
    assert tripped(model, company(NUMBER + 1, scope="other"), LOOSE) == {}
    model.current.marks = {}
    assert tripped(model, company(NUMBER - 1), LOOSE) == {
        "scope": 1
    }  # nobody knows how it was read


def test_administrators_are_never_closed_in_passing() -> None:
    model = model_of(company())
    ruler = next(one for one in model.current.people.values() if one.anchor == "p39")
    model.current.grants |= {hand_given(ruler.id)}
    assert tripped(model, company(NUMBER - 1), LOOSE) == {"disable_admin": 1}


def test_roles_that_rule_over_others_are_asked_for() -> None:
    model = model_of(company())
    given = (WantedGrant("p1", "helpdesk"), WantedGrant("p2", "Administrator"))
    assert tripped(model, company(grants=given), Guards()) == {"grant_role": 1}


@pytest.mark.parametrize(
    "kind", ["remove_department", "remove_group", "remove_member", "set_aside"]
)
def test_each_kind_has_its_guard(kind: str) -> None:
    units = {f"d{n}": WantedDepartment(f"d{n}", f"ou=d{n}", f"D{n}") for n in range(3)}
    groups = {"g": WantedGroup("g", "cn=g", "G", frozenset(("p1", "p2", "p3")))}
    model = model_of(company(departments=units, groups=groups))
    after = {
        "remove_department": company(groups=groups),
        "remove_group": company(departments=units),
        "remove_member": company(departments=units, groups={"g": WantedGroup("g", "cn=g", "G")}),
        "set_aside": company(
            departments=units, groups=groups, set_aside=(SetAside("x", "y", "z"),)
        ),
    }[kind]
    assert kind in tripped(model, after, STRICT)
    assert tripped(model, after, LOOSE) == {}


def test_what_a_tripped_guard_says() -> None:
    model = model_of(company())
    made = plan.make(company(NUMBER - 20), model.current, guards=Guards(), new_id=model.ids)
    (one,) = made.tripped
    assert one.sentence.startswith(
        "20 people would lose access of 40; without being asked at most "
    )
    assert len(one.examples) == guard.MAX_EXAMPLES
    assert not any(isinstance(each, RoleGrant) for each in one.examples)
