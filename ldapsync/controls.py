# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls that go with requests, as numbers and octets."""

from dataclasses import dataclass
from typing import Final

from ldapsync import ber
from ldapsync.outcomes import PAGED_RESULTS

PASSWORD_POLICY: Final = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 - no password
SYNC_REQUEST: Final = "1.3.6.1.4.1.4203.1.9.1.1"
DIRSYNC: Final = "1.2.840.113556.1.4.841"
SHOW_DELETED: Final = "1.2.840.113556.1.4.417"


@dataclass(frozen=True)
class Control:
    """A control of a request."""

    number: str
    value: bytes | None = None
    is_critical: bool = True
    """A server that does not know it has to refuse rather than go without."""


PASSWORD_POLICY_ASKED: Final = Control(PASSWORD_POLICY, is_critical=False)


def paged(size: int, cookie: bytes) -> Control:
    """Ask for a page (RFC 2696); with the cookie of the page before, for the next."""
    return Control(PAGED_RESULTS, ber.sequence(ber.number(size), ber.wrap(ber.OCTETS, cookie)))


def synchronising(cookie: bytes) -> Control:
    """Ask for what changed since the cookie, and then for every change as it happens (RFC 4533, refreshAndPersist)."""
    mode = ber.number(3, ber.ENUMERATED)
    return Control(
        SYNC_REQUEST, ber.sequence(mode, ber.wrap(ber.OCTETS, cookie) if cookie else b"")
    )


def directory_changes(cookie: bytes, size: int) -> Control:
    """Ask for what changed since the cookie (MS-ADTS, 3.1.1.3.4.1.3), as far as the account may read it, in parts of this many octets."""
    object_security = ber.number(1)
    return Control(
        DIRSYNC, ber.sequence(object_security, ber.number(size), ber.wrap(ber.OCTETS, cookie))
    )
