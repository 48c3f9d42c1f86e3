# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory's answer to a bind means: result codes, Microsoft's data codes, the password policy control."""

import enum
import re
from typing import Final

from ldapsync import ber


class Verdict(enum.StrEnum):
    """What a directory says of a name and a password."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    """The name or the password; directories don't say which."""
    DISABLED = "disabled"
    EXPIRED = "expired"
    """The account's time is over."""
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - no password
    MUST_CHANGE = "must_change"
    """The password is right, and has to be changed before anything else."""
    LOCKED = "locked"
    """Too many wrong passwords; passes by itself."""
    NOT_NOW = "not_now"
    """Not at this time, or not from this machine."""
    UNPROTECTED = "unprotected"
    """The directory takes no password without TLS."""
    UNAVAILABLE = "unavailable"
    """Busy, shutting down, or something else that says nothing about the password."""


_INVALID_CREDENTIALS: Final = 49
_CODES: Final = {
    0: Verdict.ACCEPTED,
    8: Verdict.UNPROTECTED,
    13: Verdict.UNPROTECTED,
    32: Verdict.WRONG,
    34: Verdict.WRONG,
    48: Verdict.WRONG,
    _INVALID_CREDENTIALS: Verdict.WRONG,
    19: Verdict.LOCKED,  # 389-DS: exceed password retry limit
}
_MICROSOFT: Final = {
    "525": Verdict.WRONG,
    "52e": Verdict.WRONG,
    "530": Verdict.NOT_NOW,
    "531": Verdict.NOT_NOW,
    "532": Verdict.PASSWORD_EXPIRED,
    "533": Verdict.DISABLED,
    "568": Verdict.UNAVAILABLE,
    "701": Verdict.EXPIRED,
    "773": Verdict.MUST_CHANGE,
    "775": Verdict.LOCKED,
}
"""The code after "data" in the message of a refused bind."""
_POLICY: Final = {0: Verdict.PASSWORD_EXPIRED, 1: Verdict.LOCKED, 2: Verdict.MUST_CHANGE}
_SENTENCES: Final = {
    Verdict.WRONG: "the name or the password is wrong",
    Verdict.DISABLED: "the account is disabled",
    Verdict.EXPIRED: "the account has expired",
    Verdict.PASSWORD_EXPIRED: "the password has expired",
    Verdict.MUST_CHANGE: "the password has to be changed first",
    Verdict.LOCKED: "the account is locked after too many wrong passwords",
    Verdict.NOT_NOW: "the account may not sign in at this time or from this machine",
    Verdict.UNPROTECTED: "the directory takes no password without TLS; use ldaps:// or security = checked",
}


def of(code: int, message: str, policy: bytes) -> Verdict:
    """The meaning of a bind's result; ``policy`` is the value of the password policy control, if one came."""
    if policy and (verdict := _of_policy(policy)) is not None:
        return verdict
    if code == _INVALID_CREDENTIALS and (found := re.search(r"\bdata ([0-9a-f]+)", message)):
        return _MICROSOFT.get(found[1], Verdict.WRONG)
    return _CODES.get(code, Verdict.UNAVAILABLE)


def sentence(code: int, message: str, who: str) -> str:
    """Why a bind was refused, for an administrator."""
    why = _SENTENCES.get(of(code, message, b""), f"result {code}")
    said = f" (it said: {message})" if message else ""
    return f"The directory does not let {who} in: {why}{said}."


def _of_policy(value: bytes) -> Verdict | None:
    """draft-behera-ldap-password-policy, section 6.2: the error, which is the second of two optional parts."""
    try:
        (_, parts), *_ = ber.elements(value)
        errors = [ber.to_number(content) for tag, content in ber.elements(parts) if tag == 0x81]
    except (ber.Malformed, ValueError):
        return None
    return _POLICY.get(errors[0]) if errors else None
