# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that a plan must get right, one by one; what holds for all of them is in test_plan_properties.py."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from ldapsync import plan
from ldapsync.actions import Decisions, Kind, Plan
from ldapsync.config import Guards
from ldapsync.refusals import DecisionRefused
from ldapsync.wanted import (
    SetAside,
    Wanted,
    WantedDepartment,
    WantedGrant,
    WantedPerson,
    WantedPlace,
)
from protocol.messages.admin import (
    Effect,
    PutDepartment,
    PutPerson,
    RoleGrant,
    VisibilityRule,
)
from protocol.messages.people import Place
from tests.support.org_model import OrgModel, hand_given


def person(anchor: str, login: str = "", **fields: Any) -> WantedPerson:
    login = login or anchor
    return WantedPerson(anchor, f"uid={login}", login, fields.pop("name", login.title()), **fields)


def unit(anchor: str, parent: str | None = None, **fields: Any) -> WantedDepartment:
    return WantedDepartment(anchor, f"ou={anchor}", fields.pop("name", anchor), parent, **fields)


def reading(*records: Any, scope: str = "s", **fields: Any) -> Wanted:
    people = {one.anchor: one for one in records if isinstance(one, WantedPerson)}
    units = {one.anchor: one for one in records if isinstance(one, WantedDepartment)}
    return Wanted("office", scope, 0, people, units, **fields)


def made(model: OrgModel, wanted: Wanted, **options: Any) -> Plan:
    return plan.make(wanted, model.current, guards=Guards(), new_id=model.ids, **options)


def model_of(*records: Any, **fields: Any) -> OrgModel:
    model = OrgModel()
    model.apply(made(model, reading(*records, **fields)))
    return model


def by_login(model: OrgModel, login: str) -> PutPerson:
    (found,) = [one for one in model.current.people.values() if one.login == login]
    return found


# --------------------------------------------------------------------------------------------- logins


def test_swapped_logins_change_hands_in_one_run() -> None:
    model = model_of(person("a", "ann"), person("b", "bob"), person("c", "cal"))
    wanted = reading(person("a", "bob"), person("b", "cal"), person("c", "ann"))
    found = made(model, wanted)
    assert found.counts() == {"rename": 3}
    assert len(found.parked) == 1
    model.apply(found)
    assert by_login(model, "ann").anchor == "c"


def test_a_login_that_a_leaver_had_goes_to_who_is_here() -> None:
    model = model_of(person("a", "ann"), person("b", "smith"))
    model.apply(made(model, reading(person("a", "smith"))))
    assert by_login(model, "smith").anchor == "a"
    (leaver,) = [one for one in model.current.people.values() if one.anchor == "b"]
    assert leaver.is_off_at_source
    assert leaver.login.startswith("smith~left-")
    model.apply(made(model, reading(person("a", "ann"), person("b", "smith"))))
    assert by_login(model, "smith").anchor == "b"
    assert not by_login(model, "smith").is_off_at_source


def test_of_two_entries_with_one_login_the_one_who_has_it_keeps_it() -> None:
    model = model_of(person("b", "ann"))
    found = made(model, reading(person("a", "Ann"), person("b", "ann", phone="1")))
    assert found.counts() == {"update": 1}
    (aside,) = found.set_aside
    assert aside.anchor == "a"
    assert "ann" in aside.reason


def test_a_chain_of_logins_ends_at_somebody_who_keeps_theirs() -> None:
    model = model_of(person("a", "ann"), person("b", "bob"))
    model.change([PutPerson(bytes(15) + b"l", "local", "Local")])
    found = made(model, reading(person("a", "local"), person("b", "ann")))
    assert found.is_empty
    assert {one.anchor for one in found.set_aside} == {"a", "b"}


# ------------------------------------------------------------------------------------------ identity


def test_a_renamed_and_moved_person_is_the_same() -> None:
    model = model_of(unit("x"), unit("y"), person("a", "ann", places=(WantedPlace("x"),)))
    before = by_login(model, "ann")
    found = made(
        model, reading(unit("x"), unit("y"), person("a", "ann.b", places=(WantedPlace("y"),)))
    )
    (action,) = found.actions
    assert action.kinds == (Kind.MOVE, Kind.RENAME)
    model.apply(found)
    assert by_login(model, "ann.b").id == before.id


@pytest.mark.parametrize(
    "fields",
    [
        {"login": "ann"},
        {"login": "ann.b", "email": "Ann@Example.com"},
        {"login": "ann.b", "custom": {"Employee number": "17"}},
    ],
)
def test_a_new_anchor_is_proposed_never_merged_in_silence(fields: dict[str, Any]) -> None:
    old = person("a", "ann", email="ann@example.com", custom={"Employee-Number": "17"})
    model = model_of(old)
    known = by_login(model, "ann")
    wanted = reading(person("z", **fields))
    found = made(model, wanted)
    (proposal,) = found.proposals
    assert proposal.candidates[0].user == known.id
    assert found.counts() == {"disable": 1}
    merged = made(model, wanted, decisions=Decisions({"z": known.id}))
    assert not merged.proposals
    (action,) = merged.actions
    assert action.kinds[0] is Kind.MERGE
    model.apply(merged)
    assert model.current.people[known.id].anchor == "z"
    assert len(model.current.people) == 1


def test_somebody_new_with_the_login_of_a_leaver() -> None:
    model = model_of(person("a", "ann"))
    found = made(model, reading(person("z", "ann")), decisions=Decisions(apart=frozenset(("z",))))
    assert found.counts() == {"create": 1, "disable": 1, "rename": 1}
    model.apply(found)
    assert by_login(model, "ann").anchor == "z"


def test_a_local_account_is_left_alone_until_somebody_says_so() -> None:
    model = OrgModel()
    user = bytes(15) + b"l"
    local = PutPerson(user, "ann", "Ann", phone="by hand")
    model.change([local])
    found = made(model, reading(person("a", "ANN")))
    assert found.is_empty
    (proposal,) = found.proposals
    assert not proposal.may_be_new
    model.apply(made(model, reading(person("a", "ANN")), decisions=Decisions({"a": user})))
    assert model.current.people[user].source == "office"
    assert model.current.people[user].phone == ""


def test_decisions_that_make_no_sense() -> None:
    model = model_of(person("a", "ann"), person("b", "bob"))
    ann, wanted = by_login(model, "ann"), reading(person("a", "ann"), person("z", "zoe"))
    for merges in ({"q": ann.id}, {"z": bytes(16)}, {"a": ann.id}, {"z": ann.id}):
        with pytest.raises(DecisionRefused):
            made(model, wanted, decisions=Decisions(merges))


def test_the_own_word_of_an_administrator_stays() -> None:
    model = model_of(person("a", "ann"))
    closed = structs.replace(by_login(model, "ann"), is_disabled=True)
    model.change([closed])
    assert made(model, reading(person("a", "ann"))).is_empty
    model.apply(made(model, reading(person("a", "ann", phone="1"))))
    assert by_login(model, "ann").is_disabled


def test_the_returner_is_opened_again() -> None:
    model = model_of(person("a", "ann"), person("b", "bob"))
    model.apply(made(model, reading(person("b", "bob"))))
    assert by_login(model, "ann").is_off_at_source
    found = made(model, reading(person("a", "ann"), person("b", "bob")))
    assert found.counts() == {"enable": 1}


# --------------------------------------------------------------------------------------- departments


def test_departments_turned_upside_down() -> None:
    model = model_of(unit("a"), unit("b", "a"), unit("c", "b"))
    wanted = reading(unit("c"), unit("b", "c"), unit("a", "b"))
    found = made(model, wanted)
    assert found.counts() == {"move_department": 3}
    model.apply(found)
    assert made(model, wanted).is_empty


@pytest.mark.parametrize("pin", ["person", "department", "rule", "grant", "set aside"])
def test_a_department_goes_only_when_nobody_needs_it(pin: str) -> None:
    seat = (WantedPlace("x"),)
    model = model_of(unit("top"), unit("x", "top"), person("a", "ann", places=seat))
    x = next(one.id for one in model.current.departments.values() if one.anchor == "x")
    user = bytes(15) + b"l"
    wanted = reading(person("b", "bob"))
    if pin == "person":
        model.change([PutPerson(user, "local", "Local", places=(Place(x),))])
    elif pin == "department":
        model.change([PutDepartment(bytes(15) + b"d", "By hand", x)])
    elif pin == "rule":
        model.current.rules = (VisibilityRule(targets=x, effect=Effect.HIDE),)
    elif pin == "grant":
        model.current.grants = frozenset((hand_given(by_login(model, "ann").id, 2, x),))
    else:
        wanted = structs.replace(wanted, set_aside=(SetAside("uid=ann", "broken", "mend", "a"),))
    found = made(model, wanted)
    assert "remove_department" not in found.counts()
    assert any("stays" in one for one in found.notices)
    model.apply(found)
    assert x in model.current.departments
    assert made(model, wanted).is_empty


def test_a_removed_department_lets_its_leavers_go() -> None:
    model = model_of(unit("top"), unit("x", "top"), person("a", "ann", places=(WantedPlace("x"),)))
    found = made(model, reading(person("b", "bob")))
    assert found.counts()["remove_department"] == 2
    model.apply(found)
    assert not model.current.departments
    assert by_login(model, "ann").places == ()


# -------------------------------------------------------------------------------------------- grants


def test_roles_given_by_hand_are_never_taken() -> None:
    gives = (WantedGrant("a", "helpdesk", why="a member"),)
    model = model_of(person("a", "ann"), grants=gives)
    ann = by_login(model, "ann").id
    model.change([])
    model.current.grants |= {hand_given(ann, 1)}
    found = made(model, reading(person("a", "ann")))
    assert found.counts() == {"revoke": 1}
    model.apply(found)
    assert model.current.grants == {hand_given(ann, 1)}
    again = reading(person("a", "ann"), grants=(WantedGrant("a", "ADMINISTRATOR"),))
    assert made(model, again).is_empty  # has it already


def test_a_role_that_the_server_does_not_have_is_a_notice() -> None:
    model = OrgModel()
    found = made(model, reading(person("a", "ann"), grants=(WantedGrant("a", "Nobody"),)))
    assert found.counts() == {"create": 1}
    assert any("Nobody" in one for one in found.notices)
    assert RoleGrant(bytes(16), bytes(16)) not in model.current.grants


def test_one_bad_entry_does_not_stop_the_others() -> None:
    bad = [
        person("a", "a" * 300),
        person("b", "bob\n"),
        person("c", name=" "),
        person("d", name="x" * 300),
        person("e", phone="1" * 2_000),
        person("f", custom={"Room": "x" * 2_000}),
        person("g", places=(WantedPlace("x"), WantedPlace("x"))),
    ]
    found = made(OrgModel(), reading(unit("x"), *bad, person("z", "zoe")))
    assert found.counts() == {"create": 1, "create_department": 1}
    assert {one.anchor for one in found.set_aside} == set("abcdefg")
    assert all(one.reason and one.mend for one in found.set_aside)


def test_managers_in_a_circle_and_above_who_come_later() -> None:
    wanted = reading(
        person("a", manager="b"), person("b", manager="c"), person("c", manager="a"),
        person("d", manager="a"),
    )  # fmt: skip
    model = OrgModel()
    model.apply(made(model, wanted))
    assert made(model, wanted).is_empty
    assert by_login(model, "a").manager == by_login(model, "b").id


def test_only_who_is_touched_is_looked_at() -> None:
    model = model_of(person("a", "ann"), person("b", "bob"))
    wanted = reading(person("a", "ann", phone="1"), person("b", "bob", phone="2"))
    found = made(model, wanted, touched=frozenset(("b",)))
    assert [one.anchor for one in found.actions] == ["b"]
    newcomer = structs.replace(wanted, people=wanted.people | {"c": person("c")})
    assert len(made(model, newcomer, touched=frozenset(("c",))).actions) == 3
