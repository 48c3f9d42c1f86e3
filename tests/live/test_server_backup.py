# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup while messages arrive, and back: into a new folder, a stopped server, a running one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from protocol.codec import encode_content
from protocol.ids import direct_conversation_id, parse_id, uuid7
from protocol.messages.chat import GetHistory, Post
from protocol.messages.content import Text
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


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    made = make_organisation(tmp_path_factory.mktemp("made") / "office")
    add = ("user", "add", "ann", "--name", "Ann", "--password-file", "-", "--permanent")
    lanyard_json(*add, "--dir", made.folder, stdin=PASSWORD)
    return made


@pytest.fixture
def organisation(original: Organisation, tmp_path: Path) -> Organisation:
    return copy_organisation(original, tmp_path / "office")


class Talk:
    """The administrator's conversation with Ann."""

    def __init__(self, caller: Caller, folder: Path) -> None:
        self.caller = caller
        self.me = caller.sign_in(ADMIN).user
        self.ann = parse_id(lanyard_json("user", "show", "ann", "--dir", folder)["id"])
        self.conversation = direct_conversation_id(self.me, self.ann)

    def say(self, text: str) -> int:
        """Post; the number that it got."""
        message = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
        post = Post(self.conversation, message, encode_content(Text(text)), self.ann)
        return self.caller.ask(post).seq

    def numbers(self) -> list[int]:
        """What stands there."""
        history = self.caller.ask(GetHistory(self.conversation, after=0, limit=200))
        return [event.seq for event in history.events]


def test_a_backup_taken_while_messages_arrive_begins_a_new_office(
    organisation: Organisation, tmp_path: Path
) -> None:
    backup = tmp_path / "backups"
    backup.mkdir()
    with ServerProcess(organisation) as server, Caller(server) as caller:
        talk = Talk(caller, organisation.folder)
        before = talk.say("before")
        stop = threading.Event()
        last: list[int] = [before]

        def chatter() -> None:
            while not stop.is_set() and last[0] < 150:
                last[0] = talk.say("and on")

        chatting = threading.Thread(target=chatter)
        chatting.start()
        taken = lanyard_json("backup", backup, "--dir", organisation.folder)
        stop.set()
        chatting.join()
        epoch = caller.welcome.epoch
    assert Path(taken["path"]).stat().st_mode & 0o777 == 0o600
    other = Organisation(tmp_path / "moved")
    restored = lanyard_json("restore", taken["path"], "--dir", other.folder)
    assert restored["organisation_id"] == taken["organisation_id"]
    with ServerProcess(other) as server, Caller(server) as caller:
        talk = Talk(caller, other.folder)
        found = talk.numbers()
        assert found == list(range(1, len(found) + 1))
        assert before <= len(found) <= last[0]
        assert caller.welcome.epoch != epoch
        assert caller.welcome.organisation_id.hex() == taken["organisation_id"]
        assert talk.say("after") == len(found) + 1
        caller.close()
        assert server.stop() == 0
    assert lanyard_json("check", other.folder)["severity"] in ("good", "note")


def test_a_running_server_goes_back_and_serves_on_the_same_port(
    organisation: Organisation, tmp_path: Path
) -> None:
    backup = tmp_path / "x"
    with ServerProcess(organisation) as server:
        with Caller(server) as caller:
            talk = Talk(caller, organisation.folder)
            kept = talk.say("kept")
            lanyard_json("backup", backup, "--dir", organisation.folder)
            talk.say("lost")
            epoch = caller.welcome.epoch
            done: list[dict[str, str]] = []
            restoring = threading.Thread(
                target=lambda: done.append(
                    lanyard_json("restore", backup, "--dir", organisation.folder)
                )
            )
            restoring.start()
            goodbye = caller.goodbye()
            assert goodbye.reconnect_after_ms > 0
            caller.close()
            restoring.join()
        assert Path(done[0]["kept"]).exists()
        with Caller(server) as caller:
            talk = Talk(caller, organisation.folder)
            assert talk.numbers() == list(range(1, kept + 1))
            assert caller.welcome.epoch != epoch
        assert lanyard_json("status", "--dir", organisation.folder)["people"] == 2
        assert server.stop() == 0


def test_a_stopped_server_goes_back(organisation: Organisation, tmp_path: Path) -> None:
    folder = organisation.folder
    lanyard_json("backup", tmp_path / "x", "--no-keys", "--dir", folder)
    lanyard_json("user", "add", "bob", "--name", "Bob", "--dir", folder)
    kept = lanyard_json("restore", tmp_path / "x", "--dir", folder)["kept"]
    logins = [person["login"] for person in lanyard_json("user", "list", "--dir", folder)["people"]]
    assert logins == [ADMIN, "ann"]
    assert Path(kept).parent == folder
    without = lanyard_json("restore", tmp_path / "x", "--keys", "--dir", folder, code=Exit.BAD_DATA)
    assert "holds no keys" in without["error"]
    into_new = tmp_path / "new"
    lanyard_json("restore", tmp_path / "x", "--dir", into_new, code=Exit.BAD_DATA)
    assert not into_new.exists()


def test_a_backup_of_another_organisation_is_refused(
    organisation: Organisation, tmp_path: Path
) -> None:
    other = make_organisation(tmp_path / "other", "--name", "Other")
    lanyard_json("backup", tmp_path / "x", "--dir", other.folder)
    refused = lanyard_json(
        "restore", tmp_path / "x", "--dir", organisation.folder, code=Exit.BAD_DATA
    )
    assert "another organisation, Other" in refused["error"]
    with ServerProcess(organisation) as server:
        lanyard_json("restore", tmp_path / "x", "--dir", organisation.folder, code=Exit.BAD_DATA)
        with Caller(server) as caller:
            caller.sign_in()
        server.stop()
