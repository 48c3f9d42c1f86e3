# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed: aligned in every script, and harmless whatever a directory holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ldapsync import words
from protocol.messages.sync import Run


@given(st.text())
def test_no_text_of_a_directory_commands_a_terminal(text: str) -> None:
    shown = words.plain(text)
    assert not any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in shown)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029") & set(shown)


def test_columns_align_in_every_script() -> None:
    lines = words.table(("A", "B"), [("王伟", "1"), ("Ann", "2")])
    assert lines == ["A     B", "王伟  1", "Ann   2"]


def test_history_says_who_what_and_what_became_of_it() -> None:
    run = Run(bytes(15) + b"\1", "main", 0, bytes(16), counts={"create_department": 1_000})
    undone = Run(
        bytes(15) + b"\2", "main", 0, b"u" * 16, allowed={"disable": 7}, undone_by=bytes(15) + b"\3"
    )
    text = words.history_text([run, undone], {b"u" * 16: "ann"})
    assert "operator" in text
    assert "create department 1,000" in text
    assert "ann" in text
    assert "allowed disable=7" in text
    assert "undone by 00000003" in text
    assert words.history_text([], {}) == "There were no runs yet."
