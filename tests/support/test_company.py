# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample organisation is whole at any size, and its files say the same."""

import csv
import json
from pathlib import Path

import pytest

from tests.support.company import Company, company, write_csv, write_json


@pytest.fixture(scope="module")
def office() -> Company:
    return company()


def test_the_same_arguments_give_the_same_organisation(office: Company) -> None:
    assert company(200, seed=1) == office
    assert company(200, seed=2) != office


@pytest.mark.parametrize("people", [1, 2, 3, 13, 14, 29, 100, 777, 3000])
def test_it_is_whole_at_any_size(people: int) -> None:
    whole = company(people)
    assert len(whole.people) == people
    known: set[str] = set()
    for department in whole.departments:
        assert department.parent in known or (not known and department.parent is None)
        assert department.key not in known
        known.add(department.key)
    heads = [
        place.department for person in whole.people for place in person.places if place.is_head
    ]
    assert sorted(heads) == sorted(known), "each department has one head"
    for person in whole.people:
        seats = [place.department for place in person.places]
        assert seats
        assert len(set(seats)) == len(seats)
        assert known.issuperset(seats)
    assert len({person.login for person in whole.people}) == people
    assert len({person.employee_number for person in whole.people}) == people


def test_fifty_thousand_people() -> None:
    whole = company(50_000)
    assert len(whole.people) == 50_000
    assert max(whole.path_of(branch.key).count("/") for branch in whole.departments) == 4


def test_the_office_has_what_lists_must_cope_with(office: Company) -> None:
    names = {person.name for person in office.people}
    assert "阿依古丽·麦麦提依明" in names
    assert "Maria-Magdalena Schwarzenberger-Lindqvist" in names
    assert any(len(person.places) == 2 for person in office.people)
    assert all(person.login.isascii() and person.sort_key.isascii() for person in office.people)
    depth = max(office.path_of(branch.key).count("/") for branch in office.departments)
    assert depth == 3, "company, division, department, team"


def test_a_login_of_a_chinese_name_is_its_pinyin(office: Company) -> None:
    staff = [person for person in office.people if person.name.startswith("王")]
    assert staff
    for person in staff:
        assert person.login.startswith("wang")
        assert person.login.rstrip("0123456789") == person.sort_key.replace(" ", "")


def test_paths_and_heads(office: Company) -> None:
    assert office.path_of("finance.tax") == "同合科技/财务中心/税务部"
    assert office.head_of("company").places[0].title in {"总经理", "Managing Director"}


def test_the_json_file(office: Company, tmp_path: Path) -> None:
    boss = office.people[0].login
    write_json(office, tmp_path / "office.json", {boss: "correct horse"})
    read = json.loads((tmp_path / "office.json").read_text(encoding="utf-8"))
    assert [branch["key"] for branch in read["departments"]] == [
        branch.key for branch in office.departments
    ]
    assert len(read["people"]) == len(office.people)
    assert read["people"][0]["password"] == "correct horse"
    assert "password" not in read["people"][1]
    assert read["people"][0]["departments"][0]["is_head"] is True


def test_the_csv_file(office: Company, tmp_path: Path) -> None:
    write_csv(office, tmp_path / "people.csv")
    with (tmp_path / "people.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["login"] for row in rows] == [person.login for person in office.people]
    assert rows[0]["department"] == "同合科技"
    assert list(rows[0]) == ["login", "name", "email", "phone", "department", "title"]
