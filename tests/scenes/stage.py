# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a scene is played: an organisation founded by lanyard-server, its server in a child process, the people, and who tells it."""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import wcwidth

from client.cli import show
from client.cli.show import Paint, Style
from client.core.app import Core
from client.core.views import MessageView
from protocol.messages.admin import ChangeDirectory, GetAdminDirectory, PutDepartment, PutPerson
from server.organisation import Organisation
from tests.scenes.actor import Actor, NotSeen
from tests.support.company import NAME, Company, Person, company, write_json
from tests.support.server_process import (
    ADMIN,
    PASSWORD,
    ServerProcess,
    lanyard_server,
    make_organisation,
)

PEOPLE: Final = 200
CAST: Final = 3
"""People who play; one more seat is kept for whoever watches the demo."""
GUEST: Final = CAST
WELCOME: Final = "欢迎！Welcome to the office. Write to anybody: they answer."


@dataclass(frozen=True)
class Founded:
    """What stands before the curtain rises."""

    organisation: Organisation
    company: Company
    cast: tuple[Person, ...]
    """The players, and then the guest."""
    first_password: str
    guest_password_file: Path


def found(folder: Path) -> Founded:
    """Make the organisation with `lanyard-server init` and `import`. Takes some seconds."""
    made = make_organisation(folder / "office", "--name", NAME[0])
    whole = company(PEOPLE)
    cast = _cast(whole)
    first_password = secrets.token_urlsafe(9)
    people_file = folder / "people.json"
    _write_people(whole, people_file, {one.login: first_password for one in cast})
    lanyard_server("import", people_file, "--dir", made.folder)
    people_file.unlink()
    guest_password_file = folder / "password.txt"
    guest_password_file.touch(mode=0o600)
    guest_password_file.write_text(f"{secrets.token_urlsafe(9)}\n", encoding="utf-8")
    lanyard_server(
        *("user", "password", cast[GUEST].login, "--dir", made.folder),
        *("--permanent", "--password-file", guest_password_file),
    )
    return Founded(made, whole, cast, first_password, guest_password_file)


def _cast(whole: Company) -> tuple[Person, ...]:
    """Three people and a guest, from different departments, with Chinese and with English names."""
    chinese = [one for one in whole.people if one.name[0] >= "\u4e00" and one.name[0] <= "\u9fff"]
    western = [one for one in whole.people if one.name.isascii()]
    return (chinese[0], western[1], chinese[4], chinese[7])


def _write_people(whole: Company, path: Path, passwords: dict[str, str]) -> None:
    """The file that `import` takes: names in one script; the administrator adds the rest."""
    write_json(whole, path, passwords)
    content = json.loads(path.read_text(encoding="utf-8"))
    for department in content["departments"]:
        department.pop("other_name")
    for person in content["people"]:
        for field in ("other_name", "sort_key", "custom"):
            person.pop(field)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


class Stage:
    """The running office."""

    def __init__(self, founded: Founded, folder: Path, paint: Paint) -> None:
        self.founded = founded
        self.folder = folder
        self.server = ServerProcess(founded.organisation)
        self._paint = paint
        self.actors = tuple(
            Actor(folder / "computers" / one.login, one.login, one.name, founded.first_password)
            for one in founded.cast[:CAST]
        )
        self._widest = max(wcwidth.width(one.name) for one in self.actors)
        self._is_open = False
        self.seen = 0
        """How many things were seen at the side where they had to arrive."""

    @property
    def address(self) -> str:
        """Where the server listens."""
        host, port = self.server.address
        return f"{host}:{port}"

    @property
    def fingerprint(self) -> bytes:
        """The organisation's, as its administrator publishes it."""
        return bytes.fromhex(self.server.ready["organisation_id"])

    def open(self) -> None:
        """Start the server and wait until it serves."""
        self.server.start()
        self._is_open = True

    async def close(self) -> None:
        """Send everybody home and stop the server, in order."""
        for actor in self.actors:
            await actor.leave()
        if self._is_open:
            self._is_open = False
            await asyncio.to_thread(self.server.stop)

    async def prepare(self) -> None:
        """The administrator adds names in the other script and how they are typed, and leaves a word for the guest."""
        core = await Core.open(self.folder / "computers" / ADMIN, software="lanyard demo")
        async with core:
            await core.servers.trust(await core.servers.probe(self.address))
            await core.account.sign_in(ADMIN, PASSWORD)
            directory = await core.request(GetAdminDirectory())
            whole = self.founded.company
            departments = {whole.path_of(one.key): one for one in whole.departments}
            by_id = {one.id: one for one in directory.departments}
            people = {one.login: one for one in whole.people}
            changes: list[PutDepartment | PutPerson] = [
                msgspec.structs.replace(one, other_name=departments[_path(one, by_id)].other_name)
                for one in directory.departments
            ]
            changes += (
                msgspec.structs.replace(
                    one.person,
                    other_name=people[one.person.login].other_name,
                    sort_key=people[one.person.login].sort_key,
                )
                for one in directory.people
                if one.person.login in people
            )
            await core.request(ChangeDirectory(tuple(changes), directory.version))
            guest = self.founded.cast[GUEST].login
            to = next(one.person.id for one in directory.people if one.person.login == guest)
            post = await core.messages.send_to(to, WELCOME)
            await core.messages.until_sent(post)

    # Telling

    def title(self, text: str) -> None:
        """A new step; what happened before does not count any more."""
        for actor in self.actors:
            actor.turn_page()
        print(f"\n{self._paint(Style.STRONG, text)}", flush=True)

    def does(self, actor: Actor, what: str) -> None:
        """Somebody does something."""
        self._line(actor.name, what, "→", Style.ACCENT)

    def saw(self, actor: Actor, what: str) -> None:
        """Something arrived: said after it did, with what arrived."""
        self.seen += 1
        self._line(actor.name, what, "✓", Style.GOOD)

    def say(self, text: str) -> None:
        """A line without a person."""
        print(f"  {text}", flush=True)

    def check(self, is_so: bool, what: str) -> None:
        """Raise NotSeen unless it is so."""
        if not is_so:
            raise NotSeen(f"It is not so: {what}.")

    def _line(self, name: str, what: str, mark: str, style: Style) -> None:
        padded = show.pad(name, self._widest)
        print(f"  {self._paint(style, mark)} {padded}  {show.one_line(what)}", flush=True)


def invitation(stage: Stage) -> Sequence[str]:
    """How to join the office from another terminal: commands to paste."""
    program = Path(sys.executable).with_name("lanyard-cli")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    guest = stage.founded.cast[GUEST]
    profile = shlex.quote(str(stage.folder / "you"))
    password = shlex.quote(str(stage.founded.guest_password_file))
    run = shlex.quote(str(program))
    friend, other = stage.founded.cast[0], stage.founded.cast[1]
    return (
        f"The office stays open at {stage.address}. Its fingerprint is, in words:",
        f"  {stage.server.ready['fingerprint_words']}",
        "",
        f"Join it from another terminal as {guest.name}. Sign in:",
        f"  {run} login {stage.address} {guest.login} --profile {profile} \\",
        f"      --password-file {password} \\",
        f"      --fingerprint {stage.fingerprint.hex()}",
        "Look round, write to somebody (who answers), and watch:",
        f"  {run} tree --profile {profile}",
        f"  {run} people {guest.sort_key.split()[0]} --profile {profile}",
        f"  {run} send {friend.login} 你好 --profile {profile}",
        f"  {run} send {other.login} 'Good morning' --wait read --profile {profile}",
        f"  {run} watch --profile {profile}",
        "",
        "Ctrl+C here ends it and removes everything.",
    )


def quoted(message: MessageView) -> str:
    """A message in a line."""
    return f"“{show.one_line(message.text)}”"


def _path(department: PutDepartment, by_id: dict[bytes, PutDepartment]) -> str:
    names = [department.name]
    while department.parent is not None:
        department = by_id[department.parent]
        names.insert(0, department.name)
    return "/".join(names)
