# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory says that it is (RFC 4512, section 5.1), and what it is able to do."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ldapsync import values
from ldapsync.answers import Entry
from ldapsync.config import FollowMethod, Kind
from ldapsync.controls import DIRSYNC, SYNC_REQUEST
from ldapsync.directory import Directory
from ldapsync.outcomes import PAGED_RESULTS

_ACTIVE_DIRECTORY: Final = "1.2.840.113556.1.4.800"
"""Among supportedCapabilities (MS-ADTS, 3.1.1.3.4.3)."""

NAMES: Final[Mapping[Kind, str]] = {
    Kind.ACTIVE_DIRECTORY: "Active Directory",
    Kind.SAMBA: "Samba AD",
    Kind.OPENLDAP: "OpenLDAP",
    Kind.DS389: "389 Directory Server",
    Kind.FREEIPA: "FreeIPA",
}


class Vendor(Struct, frozen=True):
    """One server as it describes itself."""

    kind: Kind | None
    """None: nothing that is known."""
    says: str
    """Vendor and version in its own words."""
    bases: tuple[str, ...]
    controls: frozenset[str]

    @property
    def has_paging(self) -> bool:
        """Listings can be read page by page."""
        return PAGED_RESULTS in self.controls

    def can_follow(self, method: FollowMethod) -> bool:
        """Whether it offers what this way of following needs."""
        if method is FollowMethod.SYNCREPL:
            return SYNC_REQUEST in self.controls
        if method is FollowMethod.DIRSYNC:
            return DIRSYNC in self.controls
        if method is FollowMethod.USN:
            return self.kind in {Kind.ACTIVE_DIRECTORY, Kind.SAMBA}
        return True


def ask(directory: Directory) -> Vendor:
    """Ask for the root DSE. Raises ReadFailed and Unreachable."""
    root = directory.read("", ["*", "+", "vendorName", "vendorVersion"])
    texts = _Texts(root)
    bases = texts.all("defaultNamingContext") or [
        base for base in texts.all("namingContexts") if not base.lower().startswith("cn=")
    ]
    return Vendor(
        kind=_kind_of(directory, texts, bases),
        says=" ".join([*texts.all("vendorName")[:1], *texts.all("vendorVersion")[:1]]),
        bases=tuple(bases),
        controls=frozenset(texts.all("supportedControl")),
    )


class _Texts:
    def __init__(self, entry: Entry | None) -> None:
        self._attributes = entry.attributes if entry else {}

    def all(self, name: str) -> list[str]:
        return [values.text_of(octets) for octets in self._attributes.get(name.lower(), ())]


def _kind_of(directory: Directory, texts: _Texts, bases: list[str]) -> Kind | None:
    vendor = " ".join(texts.all("vendorName") + texts.all("vendorVersion")).lower()
    if "samba" in vendor:
        return Kind.SAMBA
    if _ACTIVE_DIRECTORY in texts.all("supportedCapabilities"):
        return Kind.ACTIVE_DIRECTORY
    if "389" in vendor or "fedora" in vendor or "red hat" in vendor:
        is_ipa = any(directory.read(f"cn=ipa,cn=etc,{base}", ["1.1"]) for base in bases)
        return Kind.FREEIPA if is_ipa else Kind.DS389
    if "openldaprootdse" in " ".join(texts.all("objectClass")).lower():
        return Kind.OPENLDAP
    return None
