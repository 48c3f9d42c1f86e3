# SPDX-License-Identifier: GPL-3.0-or-later
"""`user`: people are added, found, changed, closed; passwords are set and shown once."""

from __future__ import annotations

from server.failures import Exit
from tests.server.commands.conftest import ADMIN, PASSWORD, Command


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


def test_a_new_password_holds(command: Command) -> None:
    made = command("user", "password", ADMIN)
    assert made["password"]
    shown = command("user", "show", ADMIN)
    assert shown["must_change_password"]
    command("user", "password", ADMIN, "--password-file", "-", "--permanent", stdin=PASSWORD)
    assert not command("user", "show", ADMIN)["must_change_password"]
    weak = command("user", "password", ADMIN, "--password-file", "-", stdin="x", code=Exit.REFUSED)
    assert weak["code"] == "weak_password"


def test_nobody_has_a_device_before_signing_in(command: Command) -> None:
    assert command("user", "sessions", ADMIN)["devices"] == []
    command("user", "end-sessions", ADMIN)
    wrong = command("user", "end-sessions", ADMIN, "--device", "7", code=Exit.USAGE)
    assert "is not an id" in wrong["error"]
