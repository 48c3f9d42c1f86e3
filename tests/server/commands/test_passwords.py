# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords come from a file or standard input, or are made up; never from the command line."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import pytest

from server.commands import passwords
from server.failures import Exit, Failure


def arguments(source: str | None) -> argparse.Namespace:
    return argparse.Namespace(password_file=source, permanent=False)


def test_one_is_made_up_that_can_be_read_out() -> None:
    made = {passwords.given(arguments(None)).text for _ in range(100)}
    assert len(made) == 100
    for text in made:
        assert len(text.split("-")) == 4
        assert not set("0o1li").intersection(text)


def test_the_first_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes("pass wörd \r\nsecond\n".encode())
    given = passwords.given(arguments(str(path)))
    assert given == passwords.GivenPassword("pass wörd ", is_made_up=False)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    assert passwords.given(arguments("-")).text == "secret"


@pytest.mark.parametrize("content", [b"", b"\nx", b"x" * 2000, b"\xff\xfe"])
def test_a_file_without_a_password(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(Failure, match="password"):
        passwords.given(arguments(str(path)))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        passwords.given(arguments(str(tmp_path / "x")))
    assert caught.value.exit_code == Exit.NO_INPUT
