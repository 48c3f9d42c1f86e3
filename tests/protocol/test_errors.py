# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes are words that everybody can read, and say whether trying again is of use."""

from __future__ import annotations

import pytest

from protocol.errors import (
    TRANSIENT_CODES,
    ErrorCode,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    RequestRefused,
)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_code_travels_as_its_value(code: ErrorCode) -> None:
    assert code.value == code.name.lower()
    assert ErrorCode.parse(code.value) is code


def test_a_code_from_the_future_is_internal() -> None:
    assert ErrorCode.parse("on_strike") is ErrorCode.INTERNAL
    assert ErrorCode.parse("") is ErrorCode.INTERNAL


def test_what_may_be_tried_again_is_not_what_the_user_did_wrong() -> None:
    assert {code.value for code in TRANSIENT_CODES} == {
        "slow_down",
        "store_full",
        "unavailable",
        "timed_out",
        "internal",
    }
    assert RequestRefused(ErrorCode.STORE_FULL, "The disk is full.").is_transient
    assert not RequestRefused(ErrorCode.FORBIDDEN, "Not yours.").is_transient


def test_whose_mistake_it_was_is_told_apart() -> None:
    remote = RemoteProtocolError(ErrorCode.BAD_FRAME, "No message.")
    refused = RequestRefused(ErrorCode.SLOW_DOWN, "Too often.", retry_after_ms=500)
    assert (remote.code, remote.sentence, str(remote)) == (
        ErrorCode.BAD_FRAME,
        "No message.",
        "No message.",
    )
    assert (refused.code, refused.retry_after_ms) == (ErrorCode.SLOW_DOWN, 500)
    for error in (remote, refused, LocalProtocolError("bug")):
        assert isinstance(error, ProtocolError)
    assert not isinstance(refused, (RemoteProtocolError, LocalProtocolError))
