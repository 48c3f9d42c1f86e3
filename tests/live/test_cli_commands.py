# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of lanyard-cli once against a real server, as a script gives it: its records are those that the manual names."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.cli import manual
from tests.client.cli.test_manual import sections
from tests.live.test_cli import LONGEST_S, PEOPLE, Person
from tests.support.server_process import (
    ADMIN,
    PASSWORD,
    ServerProcess,
    lanyard_server,
    make_organisation,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with an administrator and a few people; all have PASSWORD."""
    made = make_organisation(tmp_path_factory.mktemp("commands") / "office")
    for login, name in PEOPLE.items():
        words = ("user", "add", login, "--name", name, "--permanent", "--password-file", "-")
        lanyard_server(*words, "--dir", made.folder, stdin=PASSWORD)
    with ServerProcess(made) as running:
        yield running


class Script:
    """Gives commands with --json, and holds what comes back to the manual."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        self._kinds = manual.record_kinds()
        self._named = {
            name: set(re.findall(r"#record-(\w+)\)", section))
            for name, section in sections("Commands", 4).items()
        }

    def __call__(self, who: Person, line: str, *rest: str, stdin: str = "") -> list[dict[str, Any]]:
        """Run ``line`` with the words that follow it; the records that it printed."""
        words = (*line.split(), *rest)
        name = next(
            " ".join(words[:size]) for size in (3, 2, 1) if " ".join(words[:size]) in self._named
        )
        self.given.add(name)
        printed = [json.loads(one) for one in who.ok(*words, "--json", stdin=stdin).splitlines()]
        self.check(name, printed)
        return printed

    def check(self, name: str, printed: list[dict[str, Any]]) -> None:
        """Their types are named for this command, and their fields are all there."""
        for record in printed:
            assert record["type"] in self._named[name], (name, record)
            fields = manual.fields(self._kinds[record["type"]])
            assert list(record) == ["type", *fields], (name, record)


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


def sign_in(script: Script, server: ServerProcess, folder: Path, login: str) -> Person:
    person = Person(server, folder / login, login)
    words = (person.address, login, "--fingerprint", person.fingerprint)
    (account,) = script(person, "login", *words, stdin=PASSWORD)
    assert account["user"]["login"] == login
    return person


def test_talk(script: Script, server: ServerProcess, folder: Path) -> None:
    bob = sign_in(script, server, folder, "bob")
    ya = sign_in(script, server, folder, "zhouyawen")
    assert script(bob, "status")[0]["phase"] == "connected"
    assert {one["login"] for one in script(bob, "people")} == {ADMIN, *PEOPLE}
    script(bob, "presence set busy --until 2h --status", "Budget review")
    assert script(ya, "presence bob")[0]["status"] == "Budget review"
    (sent,) = script(bob, "send zhouyawen", "早上好")
    message = sent["id"]
    assert script(bob, "where", message)[0]["delivery"]["state"] == "sent"
    assert [one["type"] for one in script(ya, "history bob")][-1] == "message"
    script(ya, "react", message[-8:], "👍")
    script(bob, "edit", message, "早上好！")
    assert script(ya, "search", "早上好")[0]["text"] == "早上好！"
    script(ya, "forward", message[-8:], "eve")
    script(bob, "recall", message)
    script(bob, "draft zhouyawen", "to be said")
    assert script(bob, "draft zhouyawen --remove")[0]["text"] == ""
    assert {one["name"] for one in script(ya, "chats")} == {"Robert Miller", "Eve O'Neill"}
    script(ya, "read --all")


def test_groups(script: Script, server: ServerProcess, folder: Path) -> None:
    bob, ya = (Person(server, folder / login, login) for login in ("bob", "zhouyawen"))
    assert script(bob, "group create", "季度方案", "zhouyawen")[0]["members"] == 2
    script(bob, "group add 季度方案 eve")
    script(bob, "group role 季度方案 admin zhouyawen")
    script(bob, "group remove 季度方案 eve")
    roles = {one["user"]["login"]: one["role"] for one in script(ya, "group members 季度方案")}
    assert roles == {"bob": "owner", "zhouyawen": "admin"}
    script(bob, "group rename 季度方案 Q4")
    script(bob, "group readers-only Q4 on")
    script(ya, "group mute Q4")
    script(ya, "group pin Q4 on")
    (chat,) = [one for one in script(ya, "chats") if one["name"] == "Q4"]
    assert (chat["is_muted"], chat["is_pinned"], chat["can_write"]) == (True, True, True)
    script(ya, "group leave Q4")
    assert [one["type"] for one in script(bob, "history Q4")] == ["notice"] * 7


def test_watching(script: Script, server: ServerProcess, folder: Path) -> None:
    """And what another person does meanwhile; the outbox, while its owner is not reached."""
    bob, ya = (Person(server, folder / login, login) for login in ("bob", "zhouyawen"))
    with bob.running("watch", "--json", "--presence", "--typing") as watching:
        (sent,) = script(ya, "send bob", "are you there?")
        ya.ok("react", sent["id"], "❓")
        bob.ok("send", "zhouyawen", "yes", "--wait", "queued")
        watching.send_signal(signal.SIGINT)
        shown, said = watching.communicate(timeout=LONGEST_S)
    assert (watching.returncode, said) == (0, "")
    script.given.add("watch")
    printed = [json.loads(line) for line in shown.splitlines()]
    script.check("watch", printed)
    assert {"message", "changed", "chat"} <= {one["type"] for one in printed}
    bob.ok("send", "eve", "later", "--wait", "queued", "--offline")
    (queued,) = script(bob, "outbox list --offline")
    assert queued["preview"] == "later"
    script(bob, "outbox discard --offline", queued["id"])
    bob.ok("send", "eve", "now", "--wait", "queued", "--offline")
    (queued,) = script(bob, "outbox list --offline")
    script(bob, "outbox retry", queued["id"])
    assert script(bob, "outbox list") == []


def test_administration(script: Script, server: ServerProcess, folder: Path) -> None:
    admin = sign_in(script, server, folder, ADMIN)
    bob = Person(server, folder / "bob", "bob")
    assert script(admin, "admin status")[0]["people"] == len(PEOPLE) + 1
    for line in (
        "admin dept add 总部/销售部 --conversation",
        "admin dept add Old",
        "admin dept set 销售部 --other-name Sales --order 3",
        "admin dept rename 销售部 市场部",
        "admin dept move 市场部 /",
        "admin dept remove Old",
        "admin user add new --name New --dept 市场部:Clerk --phone 4711",
        "admin user set new --dept 市场部 --email new@example.com",
        "admin user password new",
        "admin user disable new",
        "admin user enable new",
        "admin user sessions bob",
        "admin role add Helpers --permission chat.recall_any",
        "admin role set Helpers --name Aides",
        "admin role grant Aides new --dept 市场部",
        "admin role list",
        "admin role revoke Aides new --dept 市场部",
        "admin role remove Aides",
        "admin rules add see_only --viewers 市场部 --targets 总部",
        "admin policy --edit-within 3600 --password-min-chars 9",
    ):
        script(admin, line)
    rules = admin.ok("admin", "rules", "list", "--json")
    script.given.add("admin rules list")
    script(admin, "admin rules remove 1")
    script(admin, "admin rules set -", stdin=rules)
    assert admin.ok("admin", "rules", "list", "--json") == rules
    assert {one["path"] for one in script(admin, "admin dept list")} == {"总部", "市场部"}
    (shown,) = script(admin, "admin user show new")
    assert (shown["email"], shown["departments"][0]["path"]) == ("new@example.com", "市场部")
    assert len(script(admin, "admin user list")) == len(PEOPLE) + 2
    tree = script(bob, "tree --people")
    assert [one["type"] for one in tree] == ["department", "department", "person"]
    script(admin, "admin user end-sessions eve")


def test_leaving(script: Script, server: ServerProcess, folder: Path) -> None:
    bob = Person(server, folder / "bob", "bob")
    there = Person(server, folder / "there", "bob").sign_in()
    new = f"{PASSWORD} of my own"
    script(bob, "password", stdin=f"{PASSWORD}\n{new}\n")
    assert len(script(bob, "devices list")) == 2
    script(bob, "devices remove --others")
    assert there("status").returncode != 0
    script(bob, "logout --forget")
    again = (bob.address, "bob", "--fingerprint", bob.fingerprint)
    script(bob, "login", *again, stdin=new)
    script(bob, "logout")


def test_no_command_was_left_out(script: Script) -> None:
    """Of those that stay on this machine: `servers` asks the network."""
    assert script.given == manual.commands().keys() - {"servers"}
