# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command has to say: lines for people, one object for programs, an exit code."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from server.failures import Exit


class Outcome(Struct, frozen=True):
    """The end of a command that was carried out."""

    text: str
    data: dict[str, Any]
    """What ``--json`` prints; part of the manual, append-only."""
    exit_code: Exit = Exit.OK


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in columns, wide enough for what is in them; East Asian characters count twice."""
    widths = [max(map(_width, column)) for column in zip(headings, *rows, strict=True)]
    lines = []
    for row in (headings, *rows):
        cells = (
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 person``, ``2 people``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
