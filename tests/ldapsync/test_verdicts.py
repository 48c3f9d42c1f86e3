# SPDX-License-Identifier: GPL-3.0-or-later
"""What refusals of a bind mean, by messages as Active Directory, Samba, OpenLDAP and 389-DS send them."""

from __future__ import annotations

import pytest

from ldapsync import ber, verdicts
from ldapsync.verdicts import Verdict

MICROSOFT = "80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data {}, v2580"


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        ("525", Verdict.WRONG),
        ("52e", Verdict.WRONG),
        ("530", Verdict.NOT_NOW),
        ("532", Verdict.PASSWORD_EXPIRED),
        ("533", Verdict.DISABLED),
        ("701", Verdict.EXPIRED),
        ("773", Verdict.MUST_CHANGE),
        ("775", Verdict.LOCKED),
        ("999", Verdict.WRONG),
    ],
)
def test_codes_of_microsoft(data: str, verdict: Verdict) -> None:
    assert verdicts.of(49, MICROSOFT.format(data), b"") is verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(0, Verdict.ACCEPTED), (49, Verdict.WRONG), (32, Verdict.WRONG), (8, Verdict.UNPROTECTED),
     (51, Verdict.UNAVAILABLE), (52, Verdict.UNAVAILABLE), (80, Verdict.UNAVAILABLE), (19, Verdict.LOCKED)],
)  # fmt: skip
def test_codes_of_ldap(code: int, verdict: Verdict) -> None:
    assert verdicts.of(code, "", b"") is verdict


def test_password_policy() -> None:
    def policy(error: int) -> bytes:
        return ber.sequence(ber.wrap(0xA0, ber.wrap(0x80, b"\x05")), ber.wrap(0x81, bytes([error])))

    assert verdicts.of(49, "", policy(1)) is Verdict.LOCKED
    assert verdicts.of(49, "", policy(0)) is Verdict.PASSWORD_EXPIRED
    assert verdicts.of(0, "", policy(2)) is Verdict.MUST_CHANGE
    assert verdicts.of(0, "", ber.sequence()) is Verdict.ACCEPTED
    assert verdicts.of(49, "", b"\x30\x09garbage") is Verdict.WRONG


def test_a_sentence_says_who_and_why() -> None:
    text = verdicts.sentence(49, MICROSOFT.format("533"), "reader@example.com")
    assert "reader@example.com" in text
    assert "disabled" in text
