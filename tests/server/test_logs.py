# SPDX-License-Identifier: GPL-3.0-or-later
"""Log lines: for people, for the journal, for programs; nobody can forge one."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from server.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, with_error: bool = False) -> logging.LogRecord:
    error = None
    if with_error:
        try:
            raise ValueError("broken")
        except ValueError:
            error = sys.exc_info()
    return logging.LogRecord(
        "lanyard.transport", logging.WARNING, "x.py", 1, message, arguments, error
    )


def test_a_line_for_people() -> None:
    line = TextFormatter(for_journal=False).format(record("refused %s", "it"))
    assert line.endswith(" WARNING transport: refused it")


def test_a_line_for_the_journal_carries_its_priority_on_each_line() -> None:
    text = TextFormatter(for_journal=True).format(record("failed", with_error=True))
    lines = text.splitlines()
    assert lines[0] == "<4>transport: failed"
    assert lines[-1] == "<4>ValueError: broken"
    assert all(line.startswith("<4>") for line in lines)


def test_a_line_for_programs_is_one_object() -> None:
    line = JsonFormatter().format(record("said %r\nand more", "李\n", with_error=True))
    assert "\n" not in line
    read = json.loads(line)
    assert read["message"] == "said '李\\n'\nand more"
    assert read["category"] == "lanyard.transport"
    assert read["level"] == "warning"
    assert read["time"].endswith("+00:00")
    assert "ValueError: broken" in read["error"]


@pytest.mark.parametrize("for_journal", [True, False])
def test_a_carriage_return_overwrites_nothing(for_journal: bool) -> None:
    line = TextFormatter(for_journal=for_journal).format(record("x\rlanyard: forged"))
    assert "\r" not in line


def test_a_line_says_whose_request_it_belongs_to_once() -> None:
    mine = record("refused")
    mine.session = "user 7"
    assert TextFormatter(for_journal=False).format(mine).endswith("transport: refused [user 7]")
    assert json.loads(JsonFormatter().format(mine))["session"] == "user 7"
    named = record("user 7: refused")
    named.session = "user 7"
    assert TextFormatter(for_journal=False).format(named).endswith("transport: user 7: refused")
