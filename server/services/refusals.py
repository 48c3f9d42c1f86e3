# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client is told when the store can't take its request."""

from typing import Final

from protocol.errors import ErrorCode, RequestRefused
from server.store.errors import DiskFull, StoreError

RETRY_AFTER_MS: Final = 1_000
"""A disk that hiccups is over it by then."""
RETRY_WHEN_FULL_MS: Final = 30_000
"""Somebody has to make room."""


def refusal_of(error: BaseException) -> RequestRefused | None:
    """The refusal that an error means; None when it is a fault of the program."""
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, DiskFull):
        return RequestRefused(
            ErrorCode.STORE_FULL,
            "The server's disk is full: nothing was stored.",
            retry_after_ms=RETRY_WHEN_FULL_MS,
        )
    if isinstance(error, StoreError):
        return RequestRefused(
            ErrorCode.UNAVAILABLE,
            "The server can't store or read anything just now; try again.",
            retry_after_ms=RETRY_AFTER_MS,
        )
    return None
