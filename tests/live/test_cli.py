# SPDX-License-Identifier: GPL-3.0-or-later
"""lanyard-cli as a process against a server as a process: what a newcomer, a script and two terminals meet."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from client.cli.failures import Exit
from tests.support.server_process import (
    ADMIN,
    PASSWORD,
    ServerProcess,
    free_port,
    lanyard_server,
    make_organisation,
)

ROOT = Path(__file__).parents[2]
PEOPLE = {"zhouyawen": "周雅雯", "bob": "Robert Miller", "eve": "Eve O'Neill"}
LONGEST_S = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with an administrator and three people; all have PASSWORD."""
    made = make_organisation(tmp_path_factory.mktemp("cli") / "office")
    for login, name in PEOPLE.items():
        words = ("user", "add", login, "--name", name, "--permanent", "--password-file", "-")
        lanyard_server(*words, "--dir", made.folder, stdin=PASSWORD)
    with ServerProcess(made) as running:
        yield running


class Person:
    """Somebody with a profile and a shell."""

    def __init__(self, server: ServerProcess, profile: Path, login: str) -> None:
        self.server = server
        self.profile = profile
        self.login = login

    @property
    def address(self) -> str:
        host, port = self.server.address
        return f"{host}:{port}"

    @property
    def fingerprint(self) -> str:
        return str(self.server.ready["organisation_id"])

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "client.cli.main", *words, "--profile", str(self.profile)]

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Nothing that is expected prints a traceback."""
        done = subprocess.run(
            self.command(*words),
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *words: str, stdin: str = "") -> str:
        done = self(*words, stdin=stdin)
        assert done.returncode == 0, done
        return done.stdout

    def json(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok(*words, "--json").splitlines()]

    def sign_in(self) -> Person:
        words = ("login", self.address, self.login, "--fingerprint", self.fingerprint)
        assert self.ok(*words, stdin=PASSWORD).startswith("Signed in as ")
        return self

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A watch; it is up when it has printed that it is connected: a note, or with --json a record."""
        process = subprocess.Popen(
            self.command(*words),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                first = process.stdout if "--json" in words else process.stderr
                assert first is not None
                while "connected" not in (line := first.readline()):
                    assert line, "it ended before it was connected"
                yield process
            finally:
                process.kill()


@pytest.fixture
def bob(server: ServerProcess, tmp_path: Path) -> Person:
    return Person(server, tmp_path / "bob", "bob").sign_in()


@pytest.fixture
def ya(server: ServerProcess, tmp_path: Path) -> Person:
    return Person(server, tmp_path / "ya", "zhouyawen").sign_in()


# --------------------------------------------------------------------------------------- a newcomer


def test_each_step_that_goes_wrong_says_what_to_do(server: ServerProcess, tmp_path: Path) -> None:
    bob = Person(server, tmp_path / "bob", "bob")
    trusted = ("--fingerprint", bob.fingerprint)
    nowhere = f"127.0.0.1:{free_port()}"
    cases = [
        (("chats",), "", Exit.NOT_SIGNED_IN, "lanyard-cli login SERVER LOGIN"),
        (("login", nowhere, "bob"), "x", Exit.UNREACHABLE, "Check the address"),
        (("login", "what is this?", "bob"), "x", Exit.USAGE, ":PORT"),
        (("login", bob.address, "bob"), PASSWORD, Exit.TRUST, bob.fingerprint),
        (("login", bob.address, "bob", "--fingerprint", "ab" * 32), "x", Exit.TRUST, "Compare it"),
        (("login", bob.address, "bob", *trusted), "wrong", Exit.REFUSED, "Check the login"),
        (("login", bob.address, "nobody", *trusted), PASSWORD, Exit.REFUSED, "Check the login"),
        (
            ("login", bob.address, "bob", *trusted, "--password-file", "no/such"),
            "",
            Exit.USAGE,
            "no/such",
        ),
        (("history", "bob", "--offline"), "", Exit.NOT_SIGNED_IN, "lanyard-cli login"),
        (("senf", "bob", "x"), "", Exit.USAGE, "Similar: send"),
        (("send", "bob"), "", Exit.USAGE, "--help"),
    ]
    for words, stdin, code, said in cases:
        done = bob(*words, stdin=stdin)
        assert done.returncode == code, (words, done)
        assert said in done.stderr, (words, done.stderr)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stdout == ""
    bob.sign_in()
    assert "connected" in bob.ok("status")


def test_another_organisation_is_not_believed(bob: Person, tmp_path: Path) -> None:
    other = make_organisation(tmp_path / "impostor")
    with ServerProcess(other) as impostor:
        host, port = impostor.address
        done = bob("login", f"{host}:{port}", "bob", stdin=PASSWORD)
        assert done.returncode == Exit.TRUST
        assert "Tell IT" in done.stderr
    assert bob("status").returncode == Exit.OK


def test_a_person_at_a_terminal(server: ServerProcess, tmp_path: Path) -> None:
    """Asked for trust and password, which is not echoed; colours, unless they are not wanted."""
    bob = Person(server, tmp_path / "bob", "bob")
    shown = _at_terminal(
        bob.command("login", bob.address, "bob"),
        [("[yes/no] ", "yes\n"), ("Password of bob: ", f"{PASSWORD}\n")],
    )
    assert "Signed in as Robert Miller." in shown
    assert server.ready["fingerprint_words"].split()[0] in shown
    assert PASSWORD not in shown
    assert "\x1b[" in _at_terminal(bob.command("people"), [])
    assert "\x1b[" not in _at_terminal(bob.command("people"), [], NO_COLOR="1")
    assert "\x1b[" not in _at_terminal(bob.command("people", "--no-colour"), [])


def _at_terminal(command: list[str], answers: list[tuple[str, str]], **variables: str) -> str:
    """What appears on a terminal on which the questions are answered."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"} | variables
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    try:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux says so when the last writer has gone
                break
            if not data:
                break
            shown += data
            if answers and shown.endswith(answers[0][0].encode()):
                os.write(ours, answers.pop(0)[1].encode())
        assert process.wait(LONGEST_S) == 0, shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert not answers, shown.decode()
    return shown.decode()


# ------------------------------------------------------------------------------------------- talking


def test_two_people_talk(ya: Person, bob: Person) -> None:
    sent = ya.json("send", "bob", "早上好 👍 Good morning")[0]
    assert sent["delivery"]["state"] == "sent"
    history = bob.json("history", "周雅雯")
    assert history[-1]["text"] == "早上好 👍 Good morning"
    assert history[-1]["id"] == sent["id"]
    short = sent["id"][-8:]
    bob.ok("send", "zhouyawen", "Thanks", "--reply", short)
    bob.ok("react", short, "❤️")
    ya.ok("edit", short, "早上好，各位")
    message = next(one for one in bob.json("history", "zhouyawen") if one["id"] == sent["id"])
    assert (message["text"], message["reactions"][0]["emoji"]) == ("早上好，各位", "❤️")
    bob.ok("read", "zhouyawen")
    assert "Read by" in ya.ok("where", short)
    ya.ok("recall", short)
    assert "(recalled)" in bob.ok("history", "zhouyawen")
    assert "已" not in bob.ok("search", "Thanks")
    unknown = ya("send", "bobb", "x")
    assert unknown.returncode == Exit.NOT_FOUND
    assert unknown.stderr.splitlines()[1] == "  @bob  Robert Miller"


def test_everything_local_works_without_the_server(server: ServerProcess, tmp_path: Path) -> None:
    made = make_organisation(tmp_path / "office")
    with ServerProcess(made) as own:
        admin = Person(own, tmp_path / "admin", ADMIN).sign_in()
        admin.ok("group", "create", "Notes")
        admin.ok("send", "Notes", "remember the milk")
        own.stop()
        for words in (("people",), ("tree",), ("chats",), ("history", "Notes"), ("search", "milk")):
            done = admin(*words)
            assert done.returncode == 0, done
            assert "Shown is what this computer has." in done.stderr
            assert admin.ok(*words, "--offline") == done.stdout
        waits = admin("send", "Notes", "and the bread")
        assert waits.returncode == Exit.UNREACHABLE
        assert "It waits on this computer" in waits.stderr
        assert admin("status").returncode == Exit.UNREACHABLE
        own.start()
        host, port = own.address
        admin.ok("login", f"{host}:{port}", stdin=PASSWORD)
        said = [one["text"] for one in admin.json("history", "Notes") if one["type"] == "message"]
        assert said == ["remember the milk", "and the bread"]
        own.stop()


@pytest.mark.parametrize(
    ("words", "first"), [(("people",), "Name"), (("--help",), ""), (("send", "--help"), "")]
)
def test_output_that_nobody_reads_to_its_end(
    bob: Person, words: tuple[str, ...], first: str
) -> None:
    # The reader of --help has gone before anything is written.
    reader = "head -1" if first else "true"
    done = subprocess.run(
        f"{' '.join(bob.command(*words))} | {reader}; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(first)


# ------------------------------------------------------------------------------------- two terminals


def test_a_second_command_runs_beside_a_watch(ya: Person, bob: Person) -> None:
    with bob.running("watch", "--json") as watching:
        assert "connected" in bob.ok("status")
        bob.ok("send", "zhouyawen", "from the second terminal")
        bob.ok("send", "zhouyawen", "-", stdin="from a pipe\n")
        refused = bob("send", "nobody", "x")
        assert refused.returncode == Exit.NOT_FOUND
        ya.ok("send", "bob", "answer", "--wait", "delivered")
        assert [
            one["text"] for one in bob.json("history", "zhouyawen") if one["type"] == "message"
        ][-1] == "answer"
        # A second watch, which goes on by itself when the first one ends.
        with bob.running("watch") as second:
            watching.send_signal(signal.SIGINT)
            shown, _ = watching.communicate(timeout=LONGEST_S)
            assert watching.returncode == 0
            assert second.stderr is not None
            assert "connected" in second.stderr.readline()
            ya.ok("send", "bob", "still there?", "--wait", "delivered")
            second.terminate()
            assert "still there?" in second.communicate(timeout=LONGEST_S)[0]
            assert second.returncode == 0
    texts = [one["text"] for one in map(json.loads, shown.splitlines()) if one["type"] == "message"]
    assert texts == ["from the second terminal", "from a pipe", "answer"]


def test_a_watch_that_was_killed_is_in_nobodys_way(bob: Person) -> None:
    with bob.running("watch") as watching:
        watching.kill()
        watching.wait()
    assert (bob.profile / "door").exists()
    assert "connected" in bob.ok("status")
    with bob.running("watch"):
        bob.ok("status")


def test_commands_at_the_same_time_all_succeed(bob: Person) -> None:
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda number: bob("send", "eve", f"number {number}"), range(6)))
    assert [one.returncode for one in done] == [0] * 6, done
    texts = {one["text"] for one in bob.json("history", "eve") if one["type"] == "message"}
    assert texts >= {f"number {number}" for number in range(6)}


# ------------------------------------------------------------------------------------ administration


def test_an_administrator_adds_closes_and_hides_people(
    server: ServerProcess, tmp_path: Path, bob: Person
) -> None:
    admin = Person(server, tmp_path / "admin", ADMIN).sign_in()
    assert admin.json("admin", "status")[0]["type"] == "server_status"
    assert bob("admin", "status").returncode == Exit.REFUSED
    admin.ok("admin", "dept", "add", "总部/销售部", "--conversation")
    admin.ok("admin", "dept", "add", "总部/财务部")
    made = admin.json(
        "admin", "user", "add", "new", "--name", "新人", "--dept", "总部/销售部:Clerk"
    )
    assert [one["type"] for one in made] == ["directory_changed", "one_time_password"]
    shown = admin.json("admin", "user", "show", "new")[0]
    assert shown["departments"] == [
        {"path": "总部/销售部", "title": "Clerk", "order": 0, "is_head": False}
    ]
    new = Person(server, tmp_path / "new", "new")
    first = f"{made[1]['password']}\n{PASSWORD} mine\n"
    words = ("login", new.address, "new", "--fingerprint", new.fingerprint)
    assert new.ok(*words, stdin=first) == "Signed in as 新人.\n"
    assert "总部" in new.ok("tree")
    assert new.json("chats")[0]["kind"] == "department"

    admin.ok("admin", "role", "add", "Helpers", "--permission", "chat.recall_any")
    admin.ok("admin", "role", "grant", "Helpers", "new", "--dept", "总部")
    roles = {one["name"]: one for one in admin.json("admin", "role", "list")}
    assert roles["Helpers"]["holders"][0]["department"] == "总部"
    admin.ok("admin", "role", "revoke", "Helpers", "new", "--dept", "总部")
    admin.ok("admin", "role", "set", "Helpers", "--name", "Aides")
    admin.ok("admin", "role", "remove", "Aides")

    admin.ok("admin", "user", "set", "bob", "--dept", "总部/财务部")
    admin.ok(
        "admin", "rules", "add", "hide", "--viewers", "总部/销售部", "--targets", "总部/财务部"
    )
    rules = admin.ok("admin", "rules", "list", "--json")
    assert new("send", "bob", "x").returncode == Exit.NOT_FOUND
    admin.ok("admin", "rules", "remove", "1")
    assert new.ok("send", "bob", "x").startswith("Sent to Robert Miller")
    admin.ok("admin", "rules", "set", "-", stdin=rules)
    assert admin.ok("admin", "rules", "list", "--json") == rules
    admin.ok("admin", "rules", "set", "-", stdin="")

    before = admin.json("admin", "policy")[0]
    assert admin.json("admin", "policy", "--edit-within", "60")[0]["edit_within_s"] == 60
    admin.ok("admin", "policy", "--edit-within", str(before["edit_within_s"]))

    sessions = admin.json("admin", "user", "sessions", "new")
    assert sessions[0]["kind"] == "cli"
    admin.ok("admin", "user", "disable", "new")
    assert new("status").returncode == Exit.NOT_SIGNED_IN
    assert "closed" in admin.ok("admin", "user", "list", "--disabled")
    admin.ok("admin", "user", "enable", "new")
    admin.ok("admin", "user", "set", "new", "--dept", "总部/财务部")
    admin.ok("admin", "dept", "rename", "总部/销售部", "市场部")
    admin.ok("admin", "dept", "move", "总部/市场部", "/")
    admin.ok("admin", "dept", "set", "市场部", "--other-name", "Marketing", "--conversation", "off")
    admin.ok("admin", "dept", "remove", "市场部")
    names = {one["path"] for one in admin.json("admin", "dept", "list")}
    assert names == {"总部", "总部/财务部"}
    nothing = admin("admin", "user", "show", "zhouyaven")
    assert (nothing.returncode, nothing.stderr.splitlines()[1:]) == (
        Exit.NOT_FOUND,
        ["  zhouyawen"],
    )


def test_devices_are_listed_and_removed(server: ServerProcess, tmp_path: Path) -> None:
    here = Person(server, tmp_path / "here", "eve").sign_in()
    there = Person(server, tmp_path / "there", "eve").sign_in()
    devices = here.json("devices", "list")
    assert len(devices) == 2
    assert [one["is_this"] for one in devices].count(True) == 1
    other = next(one for one in devices if not one["is_this"])
    here.ok("devices", "remove", other["id"][-8:])
    assert there("status").returncode == Exit.NOT_SIGNED_IN
    assert len(here.json("devices", "list")) == 1
    assert here("devices", "remove").returncode == Exit.USAGE
    done = here("logout")
    assert (done.returncode, done.stdout) == (0, "Signed out.\n")
    assert here("chats").returncode == Exit.NOT_SIGNED_IN


def test_the_profile_is_the_users_own_by_default(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(os.environ["HOME"])
    done = subprocess.run(
        [sys.executable, "-m", "client.cli.main", "status", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == Exit.NOT_SIGNED_IN
    profile = Path(json.loads(done.stdout)["profile"])
    assert profile.is_relative_to(home)
    assert re.fullmatch(r"\S*lanyard\S*", str(profile))
    assert profile.stat().st_mode & 0o077 == 0
