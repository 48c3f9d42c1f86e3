# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of numbers that are held, and what is missing between them. Pure; runs are (first, last), ascending, never touching."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TypeAlias

Run: TypeAlias = tuple[int, int]
Runs: TypeAlias = tuple[Run, ...]


def add(runs: Sequence[Run], first: int, last: int) -> Runs:
    """The runs with first..last added and neighbours joined."""
    if last < first:
        return tuple(runs)
    low = bisect_left(runs, first, key=lambda run: run[1] + 1)
    high = bisect_right(runs, last, key=lambda run: run[0] - 1)
    if low < high:
        first = min(first, runs[low][0])
        last = max(last, runs[high - 1][1])
    return (*runs[:low], (first, last), *runs[high:])


def missing(runs: Sequence[Run], first: int, last: int) -> Runs:
    """The runs of first..last that are not held."""
    gaps: list[Run] = []
    expected = first
    for low, high in runs:
        if high < expected:
            continue
        if low > last:
            break
        if low > expected:
            gaps.append((expected, low - 1))
        expected = high + 1
    if expected <= last:
        gaps.append((expected, last))
    return tuple(gaps)


def end_of_run(runs: Sequence[Run], number: int) -> int | None:
    """The last number of the run that holds ``number``; None when it is not held."""
    at = bisect_left(runs, number, key=lambda run: run[1])
    if at < len(runs) and runs[at][0] <= number:
        return runs[at][1]
    return None


def covers(runs: Sequence[Run], first: int, last: int) -> bool:
    """Whether all of first..last is held; an empty stretch always is."""
    if last < first:
        return True
    end = end_of_run(runs, first)
    return end is not None and end >= last
