# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may be the person of a new entry: by what rarely changes, with reasons, the best first."""

from __future__ import annotations

from ldapsync.matching import MAX_CANDIDATES, Matching
from ldapsync.wanted import WantedPerson
from protocol.messages.admin import PutPerson


def known(number: int, login: str, **fields: object) -> PutPerson:
    return PutPerson(number.to_bytes(16), login, "Ann", **fields)  # type: ignore[arg-type]


def entry(**fields: object) -> WantedPerson:
    return WantedPerson("a", "uid=ann", "ann", "Ann", **fields)  # type: ignore[arg-type]


def test_more_reasons_stand_first() -> None:
    people = [known(1, "other", email="ann@example.com"), known(2, "ANN", email="Ann@Example.com")]
    found = Matching(people).candidates(entry(email="ann@example.com"))
    assert [one.user[-1] for one in found] == [2, 1]
    assert found[0].reasons == (
        "has the login ANN",
        "has the mail address Ann@Example.com",
        "has the same name",
    )


def test_employee_numbers_by_any_of_their_names() -> None:
    people = [known(1, "x", custom={"Employee-ID": " 007 "}), known(2, "y", custom={"Room": "007"})]
    (found,) = Matching(people).candidates(entry(custom={"employeeNumber": "007"}))
    assert found.login == "x"


def test_a_name_alone_and_an_empty_mail_are_no_reasons() -> None:
    people = [known(1, "x"), known(2, "y", custom={"Employee number": ""})]
    assert Matching(people).candidates(entry(custom={"Employee number": ""})) == ()


def test_bots_are_nobody_and_crowds_are_cut() -> None:
    people = [known(number, f"u{number}", email="a@example.com") for number in range(20)]
    assert len(Matching(people).candidates(entry(email="a@example.com"))) == MAX_CANDIDATES
    assert Matching([known(1, "ann", is_bot=True)]).candidates(entry()) == ()
