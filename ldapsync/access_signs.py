# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a directory's entry says that somebody has no access. Locked out for a while, or an expired password, is not that."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ldapsync import values
from ldapsync.config import Names, OffSign
from ldapsync.picks import Attributes

_PERMANENTLY: Final = b"000001010000Z"
"""pwdAccountLockedTime of an account that an administrator locked (draft-behera-ldap-password-policy, section 5.3.3)."""


class AccessSigns:
    """The signs that count in one directory."""

    def __init__(self, off: Iterable[OffSign], off_when: Mapping[str, Names]) -> None:
        self._off = tuple(off)
        self._off_when = {
            name.lower(): (name, {values.fold(each) for each in those})
            for name, those in off_when.items()
        }

    @property
    def attributes(self) -> list[str]:
        """The attributes that have to be read."""
        return [*(sign.value for sign in self._off), *(name for name, _ in self._off_when.values())]

    def why_off(self, attributes: Attributes, now_ms: int) -> str:
        """The sentence that says why there is no access; empty when there is.

        A sign that can't be read counts as one: access is given by what is understood alone.
        """
        for sign in self._off:
            octets = attributes.get(sign.value.lower())
            if octets:
                try:
                    if why := _READINGS[sign](octets[0], now_ms):
                        return why
                except (ValueError, OverflowError):
                    return f"{sign.value} has a value that is not understood"
        for key, (name, those) in self._off_when.items():
            for octets_of_one in attributes.get(key, ()):
                if values.fold(text := values.text_of(octets_of_one)) in those:
                    return f"{name} is {text}"
        return ""


def _account_control(octets: bytes, _now_ms: int) -> str:
    return "disabled by userAccountControl" if int(octets) & values.UAC_DISABLED else ""


def _account_expires(octets: bytes, now_ms: int) -> str:
    end_ms = values.filetime_ms(octets)
    return "expired by accountExpires" if end_ms is not None and end_ms <= now_ms else ""


def _account_lock(octets: bytes, _now_ms: int) -> str:
    return "locked by nsAccountLock" if values.is_true(octets) else ""


def _locked_time(octets: bytes, now_ms: int) -> str:
    """Any other time is a lock-out that passes."""
    return (
        "locked by an administrator (pwdAccountLockedTime)"
        if octets.strip() == _PERMANENTLY
        else ""
    )


def _shadow_expire(octets: bytes, now_ms: int) -> str:
    end_ms = values.days_ms(octets)
    return "expired by shadowExpire" if end_ms is not None and end_ms <= now_ms else ""


_READINGS: Final[dict[OffSign, Callable[[bytes, int], str]]] = {
    OffSign.USER_ACCOUNT_CONTROL: _account_control,
    OffSign.ACCOUNT_EXPIRES: _account_expires,
    OffSign.NS_ACCOUNT_LOCK: _account_lock,
    OffSign.PWD_ACCOUNT_LOCKED: _locked_time,
    OffSign.SHADOW_EXPIRE: _shadow_expire,
}
