# SPDX-License-Identifier: GPL-3.0-or-later
"""The bots of docs/bots.md as processes against a real server; and the page names all that they have."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from client.cli.bot import Bot, BotMessage
from client.cli.failures import Exit
from tests.live.test_cli import LONGEST_S, ROOT, Person
from tests.support.server_process import PASSWORD, ServerProcess, lanyard_server, make_organisation

PAGE = (ROOT / "docs" / "bots.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with bob and a bot."""
    made = make_organisation(tmp_path_factory.mktemp("bots") / "office")
    lanyard_server("user", "add", "bob", "--name", "Bob", *_permanent(made.folder), stdin=PASSWORD)
    lanyard_server(
        *("user", "add", "echo", "--name", "Echo", "--bot"),
        *_permanent(made.folder),
        stdin=PASSWORD,
    )
    with ServerProcess(made) as running:
        yield running


def _permanent(folder: Path) -> tuple[str, ...]:
    return ("--permanent", "--password-file", "-", "--dir", str(folder))


@contextmanager
def _running(script: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The script as a process, once it says that the bot is there, with what it logged until then."""
    file = folder / "bot.py"
    file.write_text(script, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(file)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    alarm = threading.Timer(LONGEST_S, process.kill)
    alarm.start()
    try:
        assert process.stdout is not None
        logged = ""
        while "the bot is there" not in logged:
            line = process.stdout.readline()
            assert line, logged
            logged += line
        yield process, logged
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _answers(person: Person, bot: str) -> list[str]:
    records = person.json("history", bot)
    return [one["text"] for one in records if one["type"] == "message" and not one["is_mine"]]


def test_ten_lines_answer(server: ServerProcess, tmp_path: Path) -> None:
    """Signed in by hand, stopped in order, started again, with what was written meanwhile."""
    script = EXAMPLES[0]
    assert len([line for line in script.splitlines() if line]) <= 10
    bob = Person(server, tmp_path / "bob", "bob").sign_in()
    Person(server, Path("~/bots/echo").expanduser(), "echo").sign_in()
    with _running(script, tmp_path) as (process, _logged):
        bob.ok("send", "echo", "早上好", "--wait", "read")
        process.terminate()
        assert process.wait(LONGEST_S) == Exit.OK
    assert _answers(bob, "echo") == ["You said: 早上好"]
    bob.ok("send", "echo", "still there?")
    with _running(script, tmp_path) as (process, _logged):
        # Beside the running bot, its profile may be used.
        bot = Person(server, Path("~/bots/echo").expanduser(), "echo")
        assert "connected" in bot.ok("status")
        bob.ok("send", "echo", "good", "--wait", "read")
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST_S) == Exit.OK
    assert _answers(bob, "echo") == ["You said: 早上好", "You said: still there?", "You said: good"]


def test_a_bot_whose_sessions_are_ended_says_so(server: ServerProcess, tmp_path: Path) -> None:
    Person(server, Path("~/bots/echo").expanduser(), "echo").sign_in()
    with _running(EXAMPLES[0], tmp_path) as (process, _logged):
        lanyard_server("user", "end-sessions", "echo", "--dir", server.organisation.folder)
        assert process.wait(LONGEST_S) == Exit.NOT_SIGNED_IN
        assert process.stdout is not None
        rest = process.stdout.read()
        assert "Traceback" not in rest
        assert rest.splitlines()[-1].endswith("."), rest


def test_a_bot_that_is_given_what_it_needs_signs_in_by_itself(
    server: ServerProcess, tmp_path: Path
) -> None:
    bob = Person(server, tmp_path / "bob", "bob").sign_in()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    given = EXAMPLES[1]
    for old, new in (
        ('"/var/lib/echo"', repr(str(tmp_path / "echo"))),
        ('"chat.example.com"', repr(bob.address)),
        (r'"[0-9a-f]{4}( [0-9a-f]{4}){15}"', repr(bob.fingerprint)),
        ('"/run/secrets/echo"', repr(str(tmp_path / "password"))),
    ):
        given, count = re.subn(old, new, given)
        assert count == 1, old
    script = EXAMPLES[0].replace('bot = Bot("~/bots/echo")\n', given)
    with _running(script, tmp_path):
        bob.ok("send", "echo", "hello", "--wait", "read")
        assert "You said: hello" in _answers(bob, "echo")
        second = subprocess.run(
            [sys.executable, str(tmp_path / "bot.py")],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert second.returncode == Exit.PROFILE, second
        assert "Traceback" not in second.stderr


def test_an_empty_folder_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "bot.py"
    file.write_text(EXAMPLES[0], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(file)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == Exit.NOT_SIGNED_IN
    assert "lanyard-cli login SERVER LOGIN" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_names_everything_with_its_defaults() -> None:
    tables = {
        heading: re.findall(r"^\| `(\w+)` \|(?: (`[^`]+`)? ?\|)? ?", section, flags=re.MULTILINE)
        for heading, section in re.findall(
            r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL
        )
    }
    parameters = {
        name: "" if one.default is one.empty else f"`{one.default}`"
        for name, one in inspect.signature(Bot).parameters.items()
    }
    methods = {name for name in vars(Bot) if not name.startswith("_")}
    told = dict(tables["`Bot(profile, ...)`"])
    assert {name: told[name] for name in parameters} == parameters
    assert told.keys() - parameters == methods
    has = {name for name in vars(BotMessage) if not name.startswith("_")}
    has |= {one.name for one in fields(BotMessage) if not one.name.startswith("_")}
    assert {name for name, _default in tables["`BotMessage`"]} == has
