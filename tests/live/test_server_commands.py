# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of lanyard-server as processes of their own, against a running server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.people import FindPeople
from server.failures import Exit
from server.organisation import Organisation
from tests.support.server_process import (
    ADMIN,
    PASSWORD,
    Caller,
    ServerProcess,
    copy_organisation,
    lanyard_json,
    make_organisation,
)

Command: TypeAlias = Callable[..., Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make_organisation(tmp_path_factory.mktemp("made") / "office")


@pytest.fixture
def organisation(original: Organisation, tmp_path: Path) -> Organisation:
    return copy_organisation(original, tmp_path / "office")


@pytest.fixture
def server(organisation: Organisation) -> Iterator[ServerProcess]:
    with ServerProcess(organisation) as running:
        yield running
        running.stop()


@pytest.fixture
def command(server: ServerProcess) -> Command:
    """Runs a command for the folder whose server runs."""

    def run(*arguments: str | Path, stdin: str = "", code: int = 0) -> Any:
        folder = server.organisation.folder
        return lanyard_json(*arguments, "--dir", folder, stdin=stdin, code=code)

    return run


def test_people(command: Command) -> None:
    command("dept", "add", "Sales/North")
    added = command("user", "add", "li.wei", "--name", "李伟", "--dept", "Sales/North:Clerk")
    assert len(added["password"]) == 19
    shown = command("user", "show", "LI.WEI")
    assert shown["id"] == added["id"]
    assert (
        shown["departments"][0] | {"path": "Sales/North", "title": "Clerk"}
        == (shown["departments"][0])
    )
    assert shown["must_change_password"]
    command("user", "set", "li.wei", "--phone", "4711", "--other-name", "Li Wei")
    shown = command("user", "show", "li.wei")
    assert (shown["phone"], shown["name"], len(shown["departments"])) == ("4711", "李伟", 1)
    assert command("user", "disable", "li.wei")["is_changed"]
    assert not command("user", "disable", "li.wei")["is_changed"]
    listed = command("user", "list", "--disabled")["people"]
    assert [person["login"] for person in listed] == ["li.wei"]
    assert not command("user", "list", "--dept", "Sales", "nobody")["people"]
    command("user", "enable", "li.wei")
    refused = command("user", "add", "LI.WEI", "--name", "Other", code=Exit.REFUSED)
    assert "already" in refused["error"]
    missing = command("user", "show", "li.wie", code=Exit.REFUSED)
    assert "Did you mean li.wei?" in missing["error"]


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


def test_a_closed_account_is_out_at_once(server: ServerProcess) -> None:
    folder = server.organisation.folder
    add = ("user", "add", "ann", "--name", "Ann", "--password-file", "-", "--permanent")
    lanyard_json(*add, "--dir", folder, stdin=PASSWORD)
    with Caller(server) as caller:
        caller.sign_in("ann")
        (device,) = lanyard_json("user", "sessions", "ann", "--dir", folder)["devices"]
        assert device["is_online"]
        changed = lanyard_json("user", "disable", "ann", "--dir", folder)
        assert changed["ended_sessions"] == 1
        assert caller.goodbye().reason == "account_disabled"
    with Caller(server) as caller:
        with pytest.raises(RequestRefused) as caught:
            caller.sign_in("ann")
        assert caught.value.code is ErrorCode.ACCOUNT_DISABLED


def test_ended_sessions_need_the_password_again(server: ServerProcess) -> None:
    folder = server.organisation.folder
    with Caller(server) as caller:
        caller.sign_in()
        lanyard_json("user", "end-sessions", ADMIN, "--dir", folder)
        assert caller.goodbye().reason == "session_ended"
    with Caller(server) as caller:
        caller.sign_in()
        assert caller.ask(FindPeople(ADMIN)).people
