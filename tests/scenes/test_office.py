# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo as a newcomer runs it: the scene to its end, the commands that it offers, and what it says when something is missing."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenes import office, steps
from tests.scenes.actor import NotSeen
from tests.scenes.stage import Stage

ROOT = Path(__file__).parents[2]
ENDED = "Ctrl+C here ends it"
LONGEST_S = 180


def _demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.scenes.office", *arguments]


def test_the_scene_is_played_to_its_end(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = subprocess.run(
        _demo("--once", "--keep", str(kept)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for step in steps.STEPS:
        assert (step.__doc__ or "").splitlines()[0] in done.stdout
    assert re.search(r"^3\d things were seen", done.stdout, re.MULTILINE), done.stdout
    assert ENDED not in done.stdout
    assert kept.is_dir()


@contextmanager
def _running(*arguments: str, until: str = ENDED) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo that stays up, with what it has printed until then. Its server ends with it, whatever the test finds."""
    process = subprocess.Popen(
        _demo(*arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    alarm = threading.Timer(LONGEST_S, process.terminate)
    alarm.start()
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(until):
                break
        yield process, "".join(lines)
    finally:
        alarm.cancel()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        os.killpg(process.pid, 0)


def _commands(printed: str) -> list[str]:
    """The indented commands, with lines that go on joined."""
    joined = printed.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if re.match(r"  \S*lanyard-cli ", line)]


def test_what_it_offers_to_paste_works_and_then_it_ends_in_order(tmp_path: Path) -> None:
    with _running("--keep", str(tmp_path / "kept")) as (process, printed):
        commands = _commands(printed)
        assert len(commands) == 6, printed
        login, tree, people, send, send_and_wait, watch = commands

        def run(command: str) -> str:
            done = subprocess.run(
                command,
                shell=True,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
            assert done.returncode == 0, (command, done)
            return done.stdout

        assert run(login).startswith("Signed in as ")
        assert "研发中心  Research and Development" in run(tree)
        assert "Login" in run(people)
        assert run(send).startswith("Sent to ")
        assert run(send_and_wait).rstrip().endswith(", read.")
        watching = subprocess.Popen(
            [*shlex.split(watch), "--count", "1", "--seconds", str(LONGEST_S)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with watching:
            assert watching.stderr is not None
            assert "connected" in watching.stderr.readline()
            # Through the door of the one that watches; the answer comes to both.
            assert run(send).startswith("Sent to ")
            shown, _ = watching.communicate(timeout=LONGEST_S)
        assert watching.returncode == 0
        assert "has read:" in shown
        ready = list((tmp_path / "kept").glob("*.ready"))
        assert len(ready) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not list((tmp_path / "kept").glob("*.ready")), "the server removes it at its end"


def test_it_ends_in_order_at_any_moment(tmp_path: Path) -> None:
    """Before there is a server, and while it starts: nothing runs on afterwards (the guard of all tests looks)."""
    for number, moment in enumerate(("Founding", "The server runs", "A direct chat")):
        kept = tmp_path / str(number)
        with _running("--keep", str(kept), until=moment) as (process, _printed):
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONGEST_S) == 0
            assert process.stdout is not None
            assert "The office is closed." in process.stdout.read()
        assert not list(kept.glob("*.ready"))


def test_what_does_not_arrive_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def never(stage: Stage) -> None:
        """Something that never comes"""
        raise NotSeen("It did not come.")

    monkeypatch.setattr(steps, "STEPS", (steps.arrive, never, steps.proof))
    assert office.main(["--once", "--keep", str(tmp_path / "kept")]) == 1
    captured = capsys.readouterr()
    assert "✗ It did not come." in captured.out
    assert "Everybody holds the same" not in captured.out
    assert "The server's log" in captured.err


def test_a_folder_with_something_in_it_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    assert office.main(["--once", "--keep", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
