# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer: a child again and again, its words in the log, and none left at the end."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.ldap_timer import SyncTimer, apply_command


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_runs_again_and_again_and_says_what_came_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lanyard.ldap")
    timer = SyncTimer("corp", python("print('nothing to do')"), 0.01)
    timer.start()
    wait_for(lambda: len(caplog.messages) >= 2)
    timer.stop()
    assert caplog.messages[0] == "corp: synchronised, code 0: nothing to do"


@pytest.mark.expected_log("lanyard.ldap", "code 3: a guard|can't be started")
def test_what_goes_wrong_is_a_warning_and_the_next_run_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for command in (python("print('a guard'); raise SystemExit(3)"), ["/nowhere/at/all"]):
        caplog.clear()
        timer = SyncTimer("corp", command, 0.01)
        timer.start()
        wait_for(lambda: len(caplog.messages) >= 2)
        timer.stop()
        assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_child_that_runs_at_the_end_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    timer = SyncTimer("corp", python(text), 0.01)
    timer.start()
    wait_for(mark.exists)
    begun = time.monotonic()
    timer.stop()
    assert time.monotonic() - begun < 15


def test_the_command_names_file_and_directory() -> None:
    command = apply_command(Path("/etc/ldapsync.toml"), "corp")
    assert command[2:] == [
        "ldapsync.main",
        "apply",
        "--config",
        "/etc/ldapsync.toml",
        "--directory",
        "corp",
        "--yes",
    ]
