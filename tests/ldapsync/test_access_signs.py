# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has no access, and who is only locked out for a while."""

from __future__ import annotations

import pytest

from ldapsync.access_signs import AccessSigns
from ldapsync.config import OffSign

NOW_MS = 1_704_067_200_000
SIGNS = AccessSigns(OffSign, {"employeeType": ("Left", "Retired")})


@pytest.mark.parametrize(
    ("attribute", "octets", "is_off"),
    [
        ("userAccountControl", b"514", True),
        ("userAccountControl", b"66050", True),
        ("userAccountControl", b"512", False),
        ("userAccountControl", b"528", False),  # LOCKOUT
        ("accountExpires", b"133485407999999999", True),
        ("accountExpires", b"133485408100000000", False),
        ("accountExpires", b"0", False),
        ("accountExpires", b"9223372036854775807", False),
        ("accountExpires", b"never", True),
        ("nsAccountLock", b"TRUE", True),
        ("nsAccountLock", b"false", False),
        ("pwdAccountLockedTime", b"000001010000Z", True),
        ("pwdAccountLockedTime", b"20240101000000Z", False),
        ("shadowExpire", b"19000", True),
        ("shadowExpire", b"30000", False),
        ("shadowExpire", b"-1", False),
        ("employeeType", b"left", True),
        ("employeeType", b"clerk", False),
    ],
)
def test_a_sign(attribute: str, octets: bytes, is_off: bool) -> None:
    assert bool(SIGNS.why_off({attribute.lower(): [octets]}, NOW_MS)) is is_off


def test_no_sign_is_access_and_signs_that_are_not_asked_for_do_not_count() -> None:
    assert SIGNS.why_off({}, NOW_MS) == ""
    assert AccessSigns((), {}).why_off({"useraccountcontrol": [b"514"]}, NOW_MS) == ""
