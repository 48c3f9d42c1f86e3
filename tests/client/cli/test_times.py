# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as people type them."""

from __future__ import annotations

import datetime as dt

import pytest

from client.cli.failures import Exit, Failure
from client.cli.times import parse_time

ZONE = dt.timezone(dt.timedelta(hours=8))
NOW = dt.datetime(2025, 11, 20, 15, 30, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("17:30", "2025-11-20T17:30+08:00"),
        ("9:05", "2025-11-21T09:05+08:00"),
        ("15:30", "2025-11-21T15:30+08:00"),
        ("45m", "2025-11-20T16:15+08:00"),
        ("+2h", "2025-11-20T17:30+08:00"),
        ("3d", "2025-11-23T15:30+08:00"),
        ("2025-12-01", "2025-12-01T00:00+08:00"),
        ("2025-12-01T08:15", "2025-12-01T08:15+08:00"),
        ("2025-12-01 08:15", "2025-12-01T08:15+08:00"),
        ("2025-12-01T08:15Z", "2025-12-01T08:15+00:00"),
    ],
)
def test_times(text: str, meant: str) -> None:
    assert parse_time(text, NOW) == int(dt.datetime.fromisoformat(meant).timestamp() * 1000)


@pytest.mark.parametrize("text", ["25:00", "12:75", "soon", "", "-3d", "3w", "9999999d x"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(Failure, match="17:30") as caught:
        parse_time(text, NOW)
    assert caught.value.exit_code is Exit.USAGE
