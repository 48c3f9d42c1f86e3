# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of people: what they say, and each mistake with its place."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import people_file
from server.failures import Exit, Failure
from server.people_file import FileInvalid, FilePlace

GOOD = {
    "departments": [
        {"key": "d2", "name": "North", "parent": "d1", "order": 3},
        {"key": "d1", "name": "Sales"},
    ],
    "people": [
        {
            "login": "li.wei",
            "name": "李伟",
            "departments": [{"key": "d2", "title": "Head", "is_head": True, "order": 1}],
        },
        {"login": "ann", "name": "Ann", "email": "ann@example.com", "password": "once-only"},
    ],
}


def test_json_is_read_and_departments_stand_below_their_parents() -> None:
    read = people_file.parse_json(json.dumps(GOOD), "x.json")
    assert [department.key for department in read.departments] == ["d1", "d2"]
    assert read.has_keys
    wei, ann = read.people
    assert wei.departments == (FilePlace("d2", "Head", 1, is_head=True),)
    assert (wei.email, ann.email) == (None, "ann@example.com")
    assert ann.departments is None


def test_csv_is_read_with_paths_and_titles() -> None:
    text = (
        "login,name,phone,department,title\n"
        "li.wei,李伟,100,Sales/North; Board,Head;Member\n"
        'ann,"Ann, the first",101,Sales,Clerk\n'
        "\n"
        "bob,Bob,,,\n"
        "eve,Eve,,Sales/North;Board,Auditor\n"
    )
    read = people_file.parse_csv(text, "x.csv")
    assert [department.key for department in read.departments] == ["Sales", "Sales/North", "Board"]
    assert read.departments[1].parent == "Sales"
    wei, ann, bob, eve = read.people
    assert wei.departments == (FilePlace("Sales/North", "Head"), FilePlace("Board", "Member"))
    assert ann.name == "Ann, the first"
    assert bob.departments == ()
    assert wei.email is None
    assert eve.departments is not None
    assert [place.title for place in eve.departments] == ["Auditor", "Auditor"]


def test_a_spreadsheets_semicolons_and_byte_order_mark_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes("Login;Name\r\nann;Ann\r\n".encode("utf-8-sig"))
    assert people_file.read(path).people[0].login == "ann"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("login\nann", ["line 1: there is no column 'name'"]),
        ("login,name,shoe\nann,Ann,42", ["line 1: unknown column 'shoe'"]),
        ("login,name\n,Ann\nbob,", ["line 2: .*length >= 1", r"line 3 \(login 'bob'\): .*name"]),
        ("login,name\nann", ["line 2: expected 2 values"]),
        ("login,name\nann,Ann,x", ["line 2: expected 2 values"]),
        ("login,name\nann,Ann\nANN,Ann", ["login 'ann' stands there twice"]),
        ('login,name\nann,"Ann', ["line 2: unexpected end of data"]),
        ("", ["line 1: there is no column 'login'", "'name'"]),
    ],
)
def test_mistakes_in_csv_are_named(text: str, mistakes: list[str]) -> None:
    with pytest.raises(FileInvalid, match=r"Nothing was changed") as caught:
        people_file.parse_csv(text, "people.csv")
    assert caught.value.exit_code == Exit.BAD_DATA
    for mistake in mistakes:
        assert any(_found(mistake, each) for each in caught.value.mistakes), caught.value.mistakes
    assert all(each.startswith("people.csv") for each in caught.value.mistakes)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def test_mistakes_in_json_are_named_all_at_once() -> None:
    bad = {
        "departments": [
            {"key": "a", "name": "A", "parent": "b"},
            {"key": "b", "name": "B", "parent": "a"},
            {"key": "c", "name": "C", "parent": "nowhere"},
        ],
        "people": [
            {"login": "ann", "name": "Ann", "shoe": 42},
            {"login": "bob", "name": "Bob", "departments": [{"key": "zz"}]},
            {"login": "bob", "name": "Bob"},
            7,
        ],
    }
    with pytest.raises(FileInvalid) as caught:
        people_file.parse_json(json.dumps(bad), "x.json")
    text = "\n".join(caught.value.mistakes)
    assert "people[0] (login 'ann'): Object contains unknown field `shoe`" in text
    assert "people[3]: " in text
    assert "bob: there is no department 'zz'" in text
    assert "login 'bob' stands there twice" in text
    assert "stands below itself" in text
    assert "there is no department 'nowhere'" in text


@pytest.mark.parametrize("text", ["[]", '{"persons": []}', '{"people": {}}', "7", "{"])
def test_json_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(FileInvalid, match=r"x\.json"):
        people_file.parse_json(text, "x.json")


def test_a_tree_deeper_than_allowed_is_refused() -> None:
    chain = [{"key": "0", "name": "0"}]
    chain += [{"key": str(n), "name": "x", "parent": str(n - 1)} for n in range(1, 40)]
    with pytest.raises(FileInvalid, match="levels deep"):
        people_file.parse_json(json.dumps({"departments": chain[::-1]}), "x.json")


def test_only_so_many_mistakes_are_shown() -> None:
    text = "login,name\n" + "x,\n" * 200
    with pytest.raises(FileInvalid, match=r"and 1.. more") as caught:
        people_file.parse_csv(text, "x.csv")
    assert len(caught.value.sentence.splitlines()) < 60


@pytest.mark.parametrize(("name", "data"), [("x.txt", b""), ("x.csv", b"login,name\n\xff,x")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Failure) as caught:
        people_file.read(tmp_path / name)
    assert caught.value.exit_code == Exit.BAD_DATA


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        people_file.read(tmp_path / "x.csv")
    assert caught.value.exit_code == Exit.NO_INPUT


@given(st.text(max_size=300))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    for parse in (people_file.parse_csv, people_file.parse_json):
        try:
            parse(text, "x")
        except FileInvalid:
            continue


@given(
    st.lists(
        st.tuples(
            st.text("abcxyz0123456789", min_size=1, max_size=20),
            st.text("abc ,;\"'李", min_size=1, max_size=30).filter(str.strip),
        ),
        unique_by=lambda pair: pair[0],
        max_size=20,
    )
)
def test_what_a_csv_writer_wrote_is_read(people: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("login", "name"), *people])
    read = people_file.parse_csv(out.getvalue(), "x.csv").people
    assert [(person.login, person.name) for person in read] == [
        (login, name.strip()) for login, name in people
    ]
