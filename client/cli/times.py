# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as people type them on the command line. Pure: the present is passed in."""

import datetime as dt
import re
from typing import Final

from client.cli.failures import Failure

_UNITS: Final = {"m": 60, "min": 60, "h": 3_600, "d": 86_400}


def parse_time(text: str, now: dt.datetime) -> int:
    """Unix milliseconds of ``17:30`` (the next one), a date, date and time, or a length of time from now. Raises Failure."""
    typed = text.strip()
    if found := re.fullmatch(r"\+?(\d{1,6})\s?(m|min|h|d)", typed):
        return _ms(now + dt.timedelta(seconds=int(found[1]) * _UNITS[found[2]]))
    if found := re.fullmatch(r"(\d{1,2}):(\d\d)", typed):
        hour, minute = int(found[1]), int(found[2])
        if hour < 24 and minute < 60:
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return _ms(at if at > now else at + dt.timedelta(days=1))
    else:
        try:
            at = dt.datetime.fromisoformat(typed)
        except ValueError:
            pass
        else:
            return _ms(at if at.tzinfo else at.replace(tzinfo=now.tzinfo))
    raise Failure(
        f"{text!r} is no time. Write 17:30, 2025-11-12, 2025-11-12T17:30, or from now on: 45m, 2h, 3d."
    )


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1000)
