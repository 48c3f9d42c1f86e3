# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypothesis makes directories: small, so that names, logins and places meet often, and with everything that a reading can have."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import strategies as st

from ldapsync.wanted import (
    Photo,
    Wanted,
    WantedDepartment,
    WantedGrant,
    WantedGroup,
    WantedPerson,
    WantedPlace,
)

SOURCE = "office"
LOGINS = ["ann", "Bob", "çem", "李四", "o'neil", "dora", "zed.9"]
NAMES = ["Ann", "Bob", "李四", "Łukasz", "Zoë"]
DEPARTMENTS = [f"d{number}" for number in range(6)]
PEOPLE = [f"p{number}" for number in range(7)]
GROUPS = ["g0", "g1"]


@st.composite
def departments(draw: Any) -> dict[str, WantedDepartment]:
    found: dict[str, WantedDepartment] = {}
    for anchor in draw(st.lists(st.sampled_from(DEPARTMENTS), unique=True, max_size=6)):
        parent = draw(st.none() | st.sampled_from(list(found))) if found else None
        found[anchor] = WantedDepartment(
            anchor=anchor,
            dn=f"ou={anchor}",
            name=draw(st.sampled_from(NAMES)),
            parent=parent,
            order=draw(st.integers(0, 2)),
            why={"": "a unit", "name": "from ou"},
        )
    return found


@st.composite
def people(draw: Any, units: list[str]) -> dict[str, WantedPerson]:
    anchors = draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=len(PEOPLE)))
    logins = draw(st.permutations(LOGINS))
    return {
        anchor: WantedPerson(
            anchor=anchor,
            dn=f"uid={anchor}",
            login=login,
            name=draw(st.sampled_from(NAMES)),
            email=draw(st.sampled_from(["", "a@example.com", "b@example.com"])),
            places=tuple(
                WantedPlace(unit, draw(st.sampled_from(["", "Clerk"])), is_head=draw(st.booleans()))
                for unit in draw(st.lists(st.sampled_from(units), unique=True, max_size=2))
            )
            if units
            else (),
            manager=draw(st.none() | st.sampled_from(anchors).filter(lambda one: one != anchor)),  # noqa: B023
            custom=draw(st.sampled_from([{}, {"Room": "1"}, {"Employee number": "7"}])),
            is_disabled=draw(st.integers(0, 9)) == 0,
            photo=draw(st.sampled_from([None, _photo(b"one"), _photo(b"two")])),
            why={"": "matches the filter"},
        )
        for anchor, login in zip(anchors, logins, strict=False)
    }


def _photo(jpeg: bytes) -> Photo:
    return Photo(hashlib.sha256(jpeg).digest())


@st.composite
def readings(draw: Any) -> Wanted:
    """A complete reading of a directory."""
    units = draw(departments())
    staff = draw(people(list(units)))
    anchors = list(staff)
    members = st.frozensets(st.sampled_from(anchors)) if anchors else st.just(frozenset())
    grants = (
        st.lists(
            st.builds(
                WantedGrant,
                person=st.sampled_from(anchors),
                role=st.sampled_from(["Administrator", "helpdesk"]),
                department=st.none() | st.sampled_from(list(units)) if units else st.none(),
                why=st.just("a member of the group"),
            ),
            unique=True,
            max_size=3,
        )
        if anchors
        else st.just([])
    )
    return Wanted(
        source=SOURCE,
        scope="the same",
        read_ms=1,
        people=staff,
        departments=units,
        groups={
            anchor: WantedGroup(anchor, f"cn={anchor}", draw(st.sampled_from(NAMES)), draw(members))
            for anchor in draw(st.lists(st.sampled_from(GROUPS), unique=True))
        },
        grants=tuple(draw(grants)),
    )


def expected(wanted: Wanted) -> dict[str, Any]:
    """What the server has when it is as wanted; see org_model.shown."""
    return {
        "departments": {
            one.anchor: (one.name, one.other_name, one.parent, one.order)
            for one in wanted.departments.values()
        },
        "people": {
            one.anchor: (
                one.login,
                one.name,
                one.email,
                one.custom,
                one.manager,
                one.photo.digest if one.photo is not None else b"",
                [(place.department, place.title, place.is_head) for place in one.places],
                False,
            )
            for one in wanted.people.values()
            if not one.is_disabled
        },
        "groups": {one.anchor: (one.name, set(one.members)) for one in wanted.groups.values()},
        "grants": {(one.person, one.role.capitalize(), one.department) for one in wanted.grants},
    }
