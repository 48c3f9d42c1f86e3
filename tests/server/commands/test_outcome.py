# SPDX-License-Identifier: GPL-3.0-or-later
"""How results look: columns that stand under each other, sizes and times for people."""

from __future__ import annotations

import pytest

from server.commands.outcome import count, table
from server.commands.times import shown_size, shown_time


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    text = table(("login", "name"), [("ann", "Ann"), ("li.wei", "李伟")])
    assert text.splitlines() == ["login   name", "ann     Ann", "li.wei  李伟"]


def test_wide_characters_count_twice() -> None:
    lines = table(("n", "x"), [("李伟", "1"), ("abcd", "2")]).splitlines()
    assert lines[1] == "李伟  1"
    assert lines[2] == "abcd  2"


def test_counts_have_their_plural() -> None:
    assert count(1, "person", "people") == "1 person"
    assert count(2, "person", "people") == "2 people"
    assert count(0, "session") == "0 sessions"


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 bytes"), (12_400_000, "12 MB"), (3 * 10**15, "3000.0 TB")]
)
def test_sizes(size: int, shown: str) -> None:
    assert shown_size(size) == shown


def test_never_and_once() -> None:
    assert shown_time(0) == "never"
    assert shown_time(1_900_000_000_000).startswith("2030-03-1")
