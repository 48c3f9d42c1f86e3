# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as files: kept whole, refused when they were touched, and compared so that an administrator sees what is different."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from ldapsync import plan, plan_file, words
from ldapsync.actions import Plan
from ldapsync.config import Guards
from ldapsync.plan_file import Document, differences, document
from ldapsync.refusals import PlanUnusable
from ldapsync.wanted import Wanted
from tests.ldapsync.test_plan import made, model_of, person, reading
from tests.support.org_model import OrgModel
from tests.support.wanted_strategies import readings


def told(found: Plan) -> Document:
    return document(found, b"\1" * 32, merges={}, apart=frozenset(), allowed={"disable": 3})


def test_a_plan_is_kept_whole_for_its_owner_alone(tmp_path: Path) -> None:
    found = told(made(model_of(person("a")), reading(person("a", phone="1"), person("b"))))
    path = tmp_path / "plan.json"
    plan_file.save(found, path)
    assert path.stat().st_mode & 0o77 == 0
    loaded = plan_file.load(path)
    assert loaded.actions == found.actions
    assert loaded.digest == found.digest
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("Ann", "Bob", "changed"), ("plan 1", "plan 2", "version"), ("{", "[", "not a plan")],
)
def test_a_file_that_is_no_plan(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "plan.json"
    plan_file.save(told(made(OrgModel(), reading(person("a", "ann", name="Ann")))), path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PlanUnusable, match=says):
        plan_file.load(path)
    with pytest.raises(PlanUnusable, match="can't be read"):
        plan_file.load(tmp_path / "nothing")


def test_what_is_different_is_told_by_name() -> None:
    model = model_of(person("a", "ann"), person("b", "bob"))
    one = told(made(model, reading(person("a", "ann", phone="1"), person("b", "bob"))))
    other = told(made(model, reading(person("a", "ann", phone="2"), person("b", "bob", phone="3"))))
    said = differences(one, other)
    assert any("New" in line and "Bob" in line and "3" in line for line in said)
    assert any("No longer" in line and "1" in line for line in said)
    assert differences(one, one) == []


@given(readings(), readings())
def test_every_plan_can_be_written_and_shown(a: Wanted, b: Wanted) -> None:
    model = OrgModel()
    first = plan.make(a, model.current, guards=Guards(), new_id=model.ids)
    model.apply(first)
    for found in (first, plan.make(b, model.current, guards=Guards(), new_id=model.ids)):
        doc = told(found)
        text = words.plan_text(doc, found)
        assert "In all: " in text
        for action in doc.actions:
            assert words.plain(action.name) in text
            assert action.fields or action.what in ("grant", "group", "department") or action.kinds
