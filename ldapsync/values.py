# SPDX-License-Identifier: GPL-3.0-or-later
"""What the octets in an entry mean: ids, times, flags, text. No names and no rules of the organisation here."""

import re
import unicodedata
import uuid
from datetime import UTC, datetime
from typing import Final

UAC_DISABLED: Final = 0x2
"""ACCOUNTDISABLE in userAccountControl."""
_NEVER: Final = {0, 0x7FFFFFFFFFFFFFFF}
_FILETIME_EPOCH_MS: Final = 11_644_473_600_000
"""From 1601, where FILETIME begins, to 1970."""
_GUIDS: Final = {"objectguid", "ms-ds-consistencyguid"}
_GENERALIZED: Final = re.compile(
    r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,](\d+))?(Z|[+-]\d{2}(?:\d\d)?)?"
)
_DAY_MS: Final = 86_400_000

_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_UNSEEN: Final = re.compile(
    "[\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)
"""Marks that show nothing and turn text around or make equal names differ. Joiners stay: Persian and Hindi are spelt with them."""


def anchor_of(attribute: str, octets: bytes) -> str | None:
    """The immutable id in its canonical form; None when these octets are none."""
    name = attribute.lower()
    if name in _GUIDS:
        return str(uuid.UUID(bytes_le=octets)) if len(octets) == 16 else None
    text = octets.decode("utf-8", "replace").strip().lower()
    return text if text and text.isprintable() else None


def anchor_octets(attribute: str, anchor: str) -> bytes | str:
    """The same id as a search filter asks for it."""
    return uuid.UUID(anchor).bytes_le if attribute.lower() in _GUIDS else anchor


def text_of(octets: bytes) -> str:
    """A value as text that can be compared and shown: NFC, one blank between words, nothing invisible."""
    text = octets.decode("utf-8", "replace")
    if _PLAIN.fullmatch(text):
        return text
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", text))
    return " ".join(_CONTROL.sub(" ", text).split())


def fold(text: str) -> str:
    """The form in which logins and mail addresses are the same."""
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFC", text.casefold())
    return text if folded == text else folded  # one text in memory, not two


def filetime_ms(octets: bytes) -> int | None:
    """Microsoft's FILETIME as milliseconds since 1970; None for never. Raises ValueError."""
    ticks = int(octets)
    return None if ticks in _NEVER else ticks // 10_000 - _FILETIME_EPOCH_MS


def generalized_time_ms(octets: bytes) -> int:
    """GeneralizedTime (RFC 4517) as milliseconds since 1970. Raises ValueError."""
    text = octets.decode("ascii", "replace").strip()
    found = _GENERALIZED.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    moment = datetime(
        int(year), int(month), int(day), int(hour), int(minute or 0), min(int(second or 0), 59),
        tzinfo=UTC,
    )  # fmt: skip
    shift_min = 0
    if zone and zone != "Z":
        shift_min = (int(zone[1:3]) * 60 + int(zone[3:5] or 0)) * (-1 if zone[0] == "-" else 1)
    thousandths = int((fraction or "0")[:3].ljust(3, "0")) if second else 0
    return int(moment.timestamp()) * 1000 - shift_min * 60_000 + thousandths


def to_generalized_time(ms: int) -> str:
    """The whole second as GeneralizedTime."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y%m%d%H%M%SZ")


def days_ms(octets: bytes) -> int | None:
    """Days since 1970, as shadowExpire counts; None for never. Raises ValueError."""
    days = int(octets)
    return None if days < 0 else days * _DAY_MS


def is_true(octets: bytes) -> bool:
    """LDAP's TRUE, in any spelling that directories use."""
    return octets.strip().lower() in {b"true", b"yes", b"1"}


def number_of(octets: bytes) -> int | None:
    """A whole number; None when it is none."""
    try:
        return int(octets)
    except ValueError:
        return None


def rid_of(sid: bytes) -> int:
    """The last part of a security id: the number that primaryGroupID names a group by."""
    return int.from_bytes(sid[-4:], "little")
