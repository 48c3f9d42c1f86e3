# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says when it serves. The process itself: tests/live/test_server_process.py."""

from __future__ import annotations

import json

import pytest

from server.running import Ready, say_json, say_line

READY = Ready(
    7, "Example", bytes(32).hex(), "abandon " * 12, (("0.0.0.0", 7370), ("2001:db8::1", 7370))
)


def test_the_line_names_addresses_and_fingerprint(capsys: pytest.CaptureFixture[str]) -> None:
    say_line(READY)
    said = capsys.readouterr().out
    assert said.startswith("ready: Example on 0.0.0.0:7370, [2001:db8::1]:7370; fingerprint 0000 ")
    assert said.count("\n") == 1


def test_programs_get_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    say_json(READY)
    data = json.loads(capsys.readouterr().out)
    assert data["process"] == 7
    assert data["addresses"] == [["0.0.0.0", 7370], ["2001:db8::1", 7370]]
