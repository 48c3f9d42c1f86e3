# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a search brought everything that it was asked for: result codes, the mark of the next page, ranges of values."""

from typing import Final

from ldapsync import ber
from ldapsync.answers import Done, Entry
from ldapsync.failures import ReadFailed

PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"

SUCCESS: Final = 0
SIZE_LIMIT_EXCEEDED: Final = 4
UNAVAILABLE_CRITICAL_EXTENSION: Final = 12
NO_SUCH_OBJECT: Final = 32

_CODES: Final = {
    1: "the directory can't do it in its present state",
    3: "the directory's time limit was exceeded",
    SIZE_LIMIT_EXCEEDED: "the directory gives this account only part of the entries (size limit)."
    " Raise the limit for the account, for paged results too",
    8: "the directory wants a stronger protected connection",
    10: "another server holds this part of the tree",
    11: "an administrative limit of the directory was exceeded",
    UNAVAILABLE_CRITICAL_EXTENSION: "the directory does not know the control that is needed",
    NO_SUCH_OBJECT: "the base does not exist, or the account may not see it",
    34: "the base is no valid DN",
    50: "the account has not the right",
    51: "the directory is busy",
    52: "the directory is not available",
    53: "the directory refuses",
}


def demand_success(done: Done, base: str, search_filter: str) -> None:
    """Raise ReadFailed unless everything came that was asked for."""
    if done.code == SUCCESS:
        return
    why = _CODES.get(done.code, f"result {done.code}")
    said = f" (it said: {done.message})" if done.message else ""
    elsewhere = f" It points to {', '.join(done.referrals)}." if done.referrals else ""
    raise ReadFailed(f"Reading {search_filter} below {base} failed: {why}{said}.{elsewhere}")


def cookie_of(done: Done, base: str) -> bytes:
    """Where the next page begins; empty after the last. A page that says nothing about it can't be trusted to be the last."""
    value = done.controls.get(PAGED_RESULTS)
    if value is None:
        raise ReadFailed(
            f"Reading below {base} failed: a page came without saying whether more follow."
        )
    try:
        ((_, parts),) = ber.elements(value)
        (_, _), (_, cookie) = ber.elements(parts)
    except ValueError as error:
        raise ReadFailed(f"Reading below {base} failed: the mark of a page is garbled.") from error
    return cookie


def range_of(entry: Entry, name: str) -> tuple[list[bytes], int | None] | None:
    """Values that came as a range, with the number of the last one, None when it is the very last; None when none came."""
    for key, values in entry.attributes.items():
        if key.startswith(f"{name};range="):
            last = key.rpartition("-")[2]
            return values, None if last == "*" else int(last)
    return None
