# SPDX-License-Identifier: GPL-3.0-or-later
"""Times for people to read, in the machine's zone."""

import datetime as dt


def shown_time(at_ms: int) -> str:
    """``2030-03-17 17:46``; ``never`` for 0."""
    if not at_ms:
        return "never"
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).astimezone():%Y-%m-%d %H:%M}"


def shown_size(size_bytes: int) -> str:
    """``12 MB``."""
    size = float(size_bytes)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
