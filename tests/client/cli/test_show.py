# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for people: alignment in every script, times in words, nothing that commands a terminal."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from client.cli import show
from client.cli.show import Column, Paint, Style

PLAIN = Paint(has_colour=False)
COLOUR = Paint(has_colour=True)
NOW = dt.datetime(2025, 11, 20, 15, 30, tzinfo=dt.UTC)  # a Thursday


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1000)


def _starts(line: str, cells: list[str]) -> list[int]:
    """At which columns of the terminal the cells begin."""
    places = []
    at = 0
    for cell in cells:
        at = line.index(cell, at)
        places.append(wcwidth.width(line[:at]))
        at += len(cell)
    return places


def test_columns_align_with_chinese_japanese_emoji_and_arabic() -> None:
    rows = [
        ["周雅雯", "zhouyawen", "高级软件工程师"],
        ["Eve", "eve", "Clerk"],
        ["𠮷田 直樹", "naoki", "🎉 party"],
        ["محمد", "m", "x"],
        ["👩‍👩‍👧", "family", "y"],
    ]
    lines = show.table(
        [Column("Name"), Column("Login"), Column("Title")], rows, width=None, paint=PLAIN
    )
    starts = {tuple(_starts(line, row)) for line, row in zip(lines[1:], rows, strict=True)}
    assert len(starts) == 1, lines


def test_a_table_keeps_to_the_width_and_marks_what_it_cuts() -> None:
    rows = [["阿依古丽·麦麦提依明", "a"], ["Maria-Magdalena Schwarzenberger-Lindqvist", "m"]]
    columns = [Column("Name", shrinks=True), Column("Login")]
    lines = show.table(columns, rows, width=24, paint=PLAIN)
    assert max(map(wcwidth.width, lines)) <= 24
    assert "…" in lines[2]
    assert lines[2].endswith("  m")
    whole = show.table(columns, rows, width=None, paint=PLAIN)
    assert "Schwarzenberger-Lindqvist" in whole[2]


def test_a_column_without_content_is_left_out() -> None:
    lines = show.table(
        [Column("A"), Column("B"), Column("N", is_number=True)],
        [["x", "", "7"], ["yy", "", "12"]],
        width=80,
        paint=PLAIN,
    )
    assert lines == ["A    N", "x    7", "yy  12"]


def test_colour_is_round_the_text_and_not_counted() -> None:
    columns = [Column("Name", Style.STRONG), Column("Login")]
    lines = show.table(columns, [["周雅雯", "zhou"], ["Bob", "b"]], width=40, paint=COLOUR)
    assert "\x1b[1m周雅雯\x1b[0m  zhou" in lines[1]
    assert "\x1b[1mBob\x1b[0m     b" in lines[2]


def test_chinese_breaks_anywhere_but_not_before_its_punctuation() -> None:
    lines = show.wrap("方案第三页改好了，你看一下？谢谢。", 18)
    assert lines == ["方案第三页改好了，", "你看一下？谢谢。"]
    assert show.wrap("Good plan 我看过了，觉得第三页还需要再改", 20) == [
        "Good plan 我看过了，",
        "觉得第三页还需要再改",
    ]


def test_own_line_breaks_stay_and_long_words_are_cut() -> None:
    assert show.wrap("one\n\n  two", 20) == ["one", "", "  two"]
    assert show.wrap("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert show.wrap("a\nb", None) == ["a", "b"]


@given(st.text(max_size=200), st.integers(6, 60))
def test_no_line_is_wider_than_asked_and_nothing_is_lost(text: str, width: int) -> None:
    lines = show.wrap(text, width)
    wide = [line for line in lines if wcwidth.width(line) > width]
    # A single cluster (a letter with many marks, an emoji family) may not be cut.
    assert not [line for line in wide if len(list(wcwidth.iter_graphemes(line))) > 1], lines
    kept = "".join(lines).replace(" ", "")
    expected = show.plain(text).expandtabs(4).replace("\n", "").replace(" ", "")
    assert kept == expected


@given(st.text(max_size=100))
def test_nothing_of_others_commands_the_terminal(text: str) -> None:
    for letter in show.plain(text):
        assert letter in "\n\t" or not 0 <= ord(letter) < 0x20
        assert not 0x7F <= ord(letter) < 0xA0
        assert letter not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"


def test_escape_sequences_are_shown_not_obeyed() -> None:
    assert show.plain("\x1b]0;owned\x07\x1b[2Jhi\x9b31m") == "␛]0;owned␇␛[2Jhi\ufffd31m"
    assert show.one_line("a\nb\tc\r\nd") == "a b c d"
    assert show.plain("gpj.\u202eexe") == "gpj.exe"


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2025-11-20T10:21", "10:21"),
        ("2025-11-19T23:59", "Yesterday"),
        ("2025-11-18T08:00", "Tue"),
        ("2025-11-14T08:00", "Fri"),
        ("2025-11-12T08:00", "11-12"),
        ("2024-11-12T08:00", "2024-11-12"),
        ("2025-11-21T08:00", "11-21"),
    ],
)
def test_times_in_lists(at: str, shown: str) -> None:
    assert show.when(_ms(at), NOW) == shown


def test_times_elsewhere() -> None:
    at = _ms("2025-11-12T10:21:03.045")
    assert show.rfc3339(at) == "2025-11-12T10:21:03.045Z"
    assert show.rfc3339(0) is None
    assert show.clock(at) == "10:21"
    assert show.day(at, NOW) == "Wed 2025-11-12"
    assert show.day(_ms("2025-11-20T00:00"), NOW) == "Today"
    assert show.moment(at, NOW) == "2025-11-12 10:21"
    assert show.moment(_ms("2025-11-20T10:21"), NOW) == "10:21"
    assert show.when(0, NOW) == show.moment(0, NOW) == ""
    # A server with a broken clock must not break a list.
    assert show.when(1 << 52, NOW) == "9999-12-31"
    assert show.when(-5, NOW) == "1970-01-01"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.2, "less than a second"),
        (59, "59 s"),
        (840, "14 min"),
        (7300, "2 hours"),
        (90000, "1 day"),
    ],
)
def test_lengths_of_time(seconds: float, shown: str) -> None:
    assert show.span(seconds) == shown
    assert show.span(-seconds) == shown


def test_counts_have_their_noun() -> None:
    assert show.count(1, "message") == "1 message"
    assert show.count(1200, "message") == "1,200 messages"
    assert show.count(2, "person", "people") == "2 people"


def test_facts_leave_out_what_is_not_known() -> None:
    assert show.facts([("Login", "bob"), ("Phone", ""), ("部门", "IT")], PLAIN) == [
        "Login  bob",
        "部门   IT",
    ]


def test_times_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    assert show.clock(_ms("2025-11-12T10:21")) == "18:21"
