# SPDX-License-Identifier: GPL-3.0-or-later
"""An office for live tests: a real organisation with people who have PASSWORD, whose server comes back on the same port."""

from __future__ import annotations

import json
import random
import re
import secrets
import socket
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Self

from protocol.ids import UserId, uuid7
from protocol.messages.admin import ChangeDirectory, PutPerson, SetPassword
from server.organisation import Organisation
from tests.support.server_process import (
    PASSWORD,
    Caller,
    ServerProcess,
    copy_organisation,
    lanyard_server,
    make_organisation,
)

STEADY_PORTS: Final = range(20_000, 32_000)
"""Below what the kernel gives to outgoing connections: while the server is down, a client that knocks at a port of those
may be given the same port for its own end, and meet itself."""


class LiveOffice:
    """The organisation, its people by login, and its server, which has a port of its own."""

    def __init__(self, organisation: Organisation, people: dict[str, UserId]) -> None:
        self.organisation = organisation
        self.people = people
        self.port = steady_port()
        text = organisation.config_file.read_text(encoding="utf-8")
        text = re.sub("^port = .*$", f"port = {self.port}", text, flags=re.MULTILINE)
        organisation.config_file.write_text(text, encoding="utf-8")

    @classmethod
    def make(cls, folder: Path, logins: Sequence[str]) -> Self:
        """Make it; nothing runs afterwards."""
        organisation = make_organisation(folder)
        with ServerProcess(organisation) as server, Caller(server) as admin:
            admin.sign_in()
            people = hire(admin, logins)
            admin.close()
            assert server.stop() == 0
        return cls(organisation, people)

    def copied_to(self, folder: Path) -> LiveOffice:
        """The same organisation in another folder and at another port; its server must not be running."""
        return LiveOffice(copy_organisation(self.organisation, folder), self.people)

    @property
    def address(self) -> str:
        """As people type it."""
        return f"127.0.0.1:{self.port}"

    def server(self) -> ServerProcess:
        """Its server, not started yet."""
        return ServerProcess(self.organisation)

    def assert_sound(self, but: Collection[str] = ()) -> None:
        """The server's own check of keys and database (every page, every reference from event to event) finds nothing, ``but``
        in what these checks look at."""
        told = lanyard_server("check", self.organisation.folder, "--json", code=None)
        found = json.loads(told.stdout)["findings"]
        wrong = [each for each in found if each["severity"] not in ("good", "note")]
        assert {each["subject"] for each in wrong} <= set(but), wrong
        assert any(each["subject"] == "database" for each in found)


def hire(admin: Caller, logins: Sequence[str]) -> dict[str, UserId]:
    """New people with PASSWORD, by login."""
    people = {login: uuid7(1, secrets.token_bytes(10)) for login in logins}
    puts = [PutPerson(user, login, login.title()) for login, user in people.items()]
    passwords = [SetPassword(user, PASSWORD, must_change=False) for user in people.values()]
    admin.ask(ChangeDirectory((*puts, *passwords)))
    return people


def steady_port() -> int:
    """A port that nobody has, and that nobody is given by chance while the server is down."""
    for port in random.sample(STEADY_PORTS, 100):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("none of a hundred ports is free")
