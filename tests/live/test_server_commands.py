# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of lanyard-server as processes of their own, against a running server: the tests of the commands that work on a
folder without one run here once more, and what only a running server can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.people import FindPeople
from server.organisation import Organisation
from tests.server.commands import test_import_people, test_user
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


test_people = test_user.test_people
test_import_is_shown_first_and_done_once = (
    test_import_people.test_import_is_shown_first_and_done_once
)
test_a_large_import_goes_in_several_requests = (
    test_import_people.test_a_large_import_goes_in_several_requests
)


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
