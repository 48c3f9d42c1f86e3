# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and records of figures: medians, goals, ratios."""

from __future__ import annotations

from bench import figures
from bench.figures import Figure, Goal, Ratio, Section, Wish

ACKS = Figure("acks_per_s", "1/s", (17_000.0, 19_000.0, 18_500.0), Goal(Wish.AT_LEAST, 18_000))
DELAY = Figure("ack_p99_ms", "ms", (250.0,), Goal(Wish.AT_MOST, 100))
PLAIN = Figure("cpu_us_per_message", "µs", (4.0, 2.0))
SECTION = Section("closed_few", "closed loop", (ACKS, DELAY, PLAIN))


def test_a_record_has_minimum_median_maximum_and_whether_the_goal_is_met() -> None:
    record = figures.as_record([SECTION], [Ratio("memory", "KB / KB", 1.23456)])
    assert record["ratios"] == {"memory": 1.235}
    found = record["figures"]["closed_few"]
    assert found["acks_per_s"] == {
        "n": 3,
        "min": 17_000.0,
        "median": 18_500.0,
        "max": 19_000.0,
        "unit": "1/s",
        "goal": "at least 18000",
        "is_met": True,
    }
    assert found["ack_p99_ms"]["is_met"] is False
    assert "goal" not in found["cpu_us_per_message"]


def test_the_table_names_what_is_missed() -> None:
    lines = figures.as_table([SECTION], [Ratio("memory", "KB / KB", 1.5)]).splitlines()
    assert "| acks_per_s | 1/s | 3 | 17,000 | 18,500 | 19,000 | at least 18,000: met |" in lines
    assert "| ack_p99_ms | ms | 1 | 250.0 | 250.0 | 250.0 | at most 100: **missed** |" in lines
    assert "| cpu_us_per_message | µs | 2 | 2.00 | 3.00 | 4.00 |  |" in lines
    assert "| memory: KB / KB | 1.50 |" in lines
