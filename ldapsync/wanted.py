# SPDX-License-Identifier: GPL-3.0-or-later
"""What the directory says the organisation should be: the result of reading, and half of what a plan compares. No LDAP here.

Records name each other by anchor, the immutable id in the directory; the server's ids come in when a plan is made. Each record
carries why it is what it is, as sentences that an administrator reads in plans and explanations.
"""

from typing import TypeAlias

from msgspec import Struct

Anchor: TypeAlias = str
"""The immutable id of an entry, canonical and in lower case (objectGUID and entryUUID as 8-4-4-4-12)."""
Why: TypeAlias = dict[str, str]
"""For the name of a field the sentence that says where its value comes from; for "" why the record is there at all."""


class WantedPlace(Struct, frozen=True, omit_defaults=True, gc=False):
    """One person's seat in one department."""

    department: Anchor
    title: str = ""
    order: int = 0
    is_head: bool = False


class Photo(Struct, frozen=True, omit_defaults=True, gc=False):
    """A portrait: reading notes which one it is, and ldapsync.pictures fetches it when a plan sets it."""

    digest: bytes
    """SHA-256 of the photo as the directory holds it."""


class WantedPerson(Struct, frozen=True, omit_defaults=True, gc=False):
    """One person as the directory wants them."""

    anchor: Anchor
    dn: str
    """Where the entry stood when it was read; shown, never compared."""
    login: str
    name: str
    other_name: str = ""
    sort_key: str = ""
    email: str = ""
    phone: str = ""
    places: tuple[WantedPlace, ...] = ()
    manager: Anchor | None = None
    custom: dict[str, str] = {}
    is_disabled: bool = False
    photo: Photo | None = None
    why: Why = {}


class WantedDepartment(Struct, frozen=True, omit_defaults=True):
    """One department as the directory wants it."""

    anchor: Anchor
    dn: str
    name: str
    parent: Anchor | None = None
    other_name: str = ""
    order: int = 0
    has_conversation: bool = False
    why: Why = {}


class WantedGroup(Struct, frozen=True, omit_defaults=True):
    """A Lanyard group that follows a group of the directory, nested groups resolved."""

    anchor: Anchor
    dn: str
    name: str
    members: frozenset[Anchor] = frozenset()
    why: Why = {}


class WantedGrant(Struct, frozen=True, omit_defaults=True):
    """A role that somebody holds because of a group of the directory."""

    person: Anchor
    role: str
    """The role's name at the server."""
    department: Anchor | None = None
    """Only over this department and what is below; None: everywhere."""
    why: str = ""


class SetAside(Struct, frozen=True, omit_defaults=True):
    """An entry that can't become a record; the others go on. It counts for the guards, and what it was at the server stays."""

    dn: str
    reason: str
    mend: str
    anchor: Anchor | None = None


class Wanted(Struct, frozen=True, omit_defaults=True):
    """A complete reading of one source. One that is not complete does not exist: reading raises instead."""

    source: str
    """The name of the directory in the configuration; with the anchor the identity of a record."""
    scope: str
    """A digest of what was read how (address, bases, filters, anchor, mapping of departments): while it stays the same, what is
    missing is gone; after it changed, what is missing may only be out of scope."""
    read_ms: int
    people: dict[Anchor, WantedPerson] = {}
    departments: dict[Anchor, WantedDepartment] = {}
    """Parents before children."""
    groups: dict[Anchor, WantedGroup] = {}
    grants: tuple[WantedGrant, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    notices: tuple[str, ...] = ()
    """What an administrator should know: unresolved managers, members outside of the scope, cycles."""
