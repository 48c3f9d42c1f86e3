# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found: each figure with all of its repetitions, beside its goal and its baseline; as a table and as JSON."""

import enum
import statistics
from collections.abc import Iterable
from typing import Any

from msgspec import Struct


class Wish(enum.Enum):
    """On which side of its goal a figure should be."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


class Goal(Struct, frozen=True):
    """What is wanted of the median."""

    wish: Wish
    value: float

    def is_met(self, value: float) -> bool:
        """Whether a median is good enough."""
        return value >= self.value if self.wish is Wish.AT_LEAST else value <= self.value


class Figure(Struct, frozen=True):
    """One quantity, measured several times."""

    key: str
    unit: str
    values: tuple[float, ...]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The middle of the repetitions."""
        return statistics.median(self.values)


class Section(Struct, frozen=True):
    """One situation in which things were measured."""

    key: str
    title: str
    figures: tuple[Figure, ...]

    def figure(self, key: str) -> Figure:
        """One of the figures, which must be there."""
        return next(figure for figure in self.figures if figure.key == key)


class Ratio(Struct, frozen=True):
    """A figure beside its baseline: what can be compared between machines."""

    key: str
    meaning: str
    value: float


def as_record(sections: Iterable[Section], ratios: Iterable[Ratio]) -> dict[str, Any]:
    """For JSON: by section and figure."""
    return {
        "figures": {
            section.key: {figure.key: _record(figure) for figure in section.figures}
            for section in sections
        },
        "ratios": {ratio.key: round(ratio.value, 3) for ratio in ratios},
    }


def _record(figure: Figure) -> dict[str, Any]:
    record: dict[str, Any] = {
        "n": len(figure.values),
        "min": round(min(figure.values), 4),
        "median": round(figure.median, 4),
        "max": round(max(figure.values), 4),
        "unit": figure.unit,
    }
    if figure.goal is not None:
        record["goal"] = f"{figure.goal.wish.value} {figure.goal.value:g}"
        record["is_met"] = figure.goal.is_met(figure.median)
    return record


def as_table(sections: Iterable[Section], ratios: Iterable[Ratio]) -> str:
    """For people; it is Markdown, too."""
    lines = []
    for section in sections:
        lines += [f"### {section.title}", ""]
        lines += [
            "| what | unit | n | min | median | max | goal |",
            "|---|---|---|---|---|---|---|",
        ]
        for figure in section.figures:
            numbers = (min(figure.values), figure.median, max(figure.values))
            cells = [figure.key, figure.unit, str(len(figure.values)), *map(_shown, numbers)]
            lines.append(f"| {' | '.join([*cells, _goal(figure)])} |")
        lines.append("")
    lines += ["### Ratios", "", "| what | value |", "|---|---|"]
    lines += [f"| {ratio.key}: {ratio.meaning} | {ratio.value:.2f} |" for ratio in ratios]
    return "\n".join(lines)


def _shown(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    verdict = "met" if figure.goal.is_met(figure.median) else "**missed**"
    return f"{figure.goal.wish.value} {figure.goal.value:,g}: {verdict}"
