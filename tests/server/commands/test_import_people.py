# SPDX-License-Identifier: GPL-3.0-or-later
"""`import`: shown first, done once, in several requests when it is large."""

from __future__ import annotations

import json
from pathlib import Path

from server.failures import Exit
from tests.server.commands.conftest import Command


def test_import_is_shown_first_and_done_once(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "login,name,department,title,password\n"
        "ann,Ann,Sales/North;Board,Head;Member,first-time-9\n"
        "bob,Bob,Sales,,\n",
        encoding="utf-8",
    )
    before = command("user", "list")
    planned = command("import", path, "--dry-run")
    assert (planned["new_people"], planned["new_departments"]) == (2, 3)
    assert "+ person ann" in planned["lines"]
    assert command("user", "list") == before
    done = command("import", path)
    assert (done["new_people"], done["is_dry_run"]) == (2, False)
    again = command("import", path)
    assert (again["new_people"], again["changed_people"], again["unchanged_people"]) == (0, 0, 2)
    people = {person["login"]: person for person in command("user", "list")["people"]}
    assert [place["path"] for place in people["ann"]["departments"]] == ["Sales/North", "Board"]
    assert (people["ann"]["has_password"], people["bob"]["has_password"]) == (True, False)
    path.write_text("login,name\nann,Ann\n,Nobody\n", encoding="utf-8")
    wrong = command("import", path, code=Exit.BAD_DATA)
    assert f"{path}, line 3" in wrong["error"]


def test_a_large_import_goes_in_several_requests(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    people = [
        {"login": f"user{n}", "name": f"Person {n}", "departments": [{"key": str(n % 40)}]}
        for n in range(6000)
    ]
    departments = [{"key": str(n), "name": f"Department {n}"} for n in range(40)]
    path.write_text(json.dumps({"departments": departments, "people": people}), encoding="utf-8")
    assert command("import", path)["new_people"] == 6000
    assert command("import", path)["unchanged_people"] == 6000
