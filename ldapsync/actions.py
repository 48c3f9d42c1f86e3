# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made of: actions with before, after and why; proposals; guards that stopped it. Values only, nothing is decided here."""

import enum
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from ldapsync.wanted import Anchor, Photo, SetAside, Why
from protocol.ids import UserId
from protocol.messages.admin import (
    DirectoryChange,
    GrantRole,
    PutDepartment,
    PutGroup,
    PutPerson,
    PutPhoto,
    RemoveDepartment,
    RemoveGroup,
    RevokeRole,
    RoleGrant,
)

Record: TypeAlias = PutPerson | PutDepartment | PutGroup | RoleGrant


class Kind(enum.StrEnum):
    """What an action does; one action may do several of them. The names stand in plans, counts and history: append-only."""

    CREATE = "create"
    MERGE = "merge"
    """A person of the server becomes the person of a new entry, as somebody confirmed."""
    ENABLE = "enable"
    DISABLE = "disable"
    MOVE = "move"
    """Sits in other departments than before."""
    RENAME = "rename"
    """Another name or login."""
    UPDATE = "update"
    """Any other field."""
    CREATE_DEPARTMENT = "create_department"
    MOVE_DEPARTMENT = "move_department"
    RENAME_DEPARTMENT = "rename_department"
    UPDATE_DEPARTMENT = "update_department"
    REMOVE_DEPARTMENT = "remove_department"
    CREATE_GROUP = "create_group"
    UPDATE_GROUP = "update_group"
    REMOVE_GROUP = "remove_group"
    GRANT = "grant"
    REVOKE = "revoke"


TITLES: Final[dict[Kind, str]] = {
    Kind.CREATE: "create people",
    Kind.MERGE: "merge people",
    Kind.ENABLE: "re-enable people",
    Kind.DISABLE: "disable people",
    Kind.MOVE: "move people",
    Kind.RENAME: "rename people",
    Kind.UPDATE: "update people",
    Kind.CREATE_DEPARTMENT: "create departments",
    Kind.MOVE_DEPARTMENT: "move departments",
    Kind.RENAME_DEPARTMENT: "rename departments",
    Kind.UPDATE_DEPARTMENT: "update departments",
    Kind.REMOVE_DEPARTMENT: "remove departments",
    Kind.CREATE_GROUP: "create groups",
    Kind.UPDATE_GROUP: "change groups",
    Kind.REMOVE_GROUP: "remove groups",
    Kind.GRANT: "give roles",
    Kind.REVOKE: "take roles",
}
"""How a plan names them, in the order in which it shows them."""


class Action(Struct, frozen=True, omit_defaults=True, gc=False):
    """One record of the server as it is and as it would be."""

    kinds: tuple[Kind, ...]
    """The first is what it is shown under."""
    anchor: Anchor
    before: Record | None
    """None: it is new."""
    after: Record | None
    """None: it is removed."""
    why: Why = {}
    dn: str = ""
    photo: Photo | None = None
    """The new photo, where the person's photo changes to one."""
    is_photo_changed: bool = False

    @property
    def record(self) -> Record:
        """As it would be, or as it was when it goes."""
        record = self.after if self.after is not None else self.before
        if record is None:
            raise ValueError("an action is about a record")
        return record

    def changes(self, jpeg_of: Callable[[bytes], bytes]) -> Iterator[DirectoryChange]:
        """What the server is told, in order. ``jpeg_of`` gives a portrait for its digest, or nothing for one that can't be used."""
        after = self.after
        if isinstance(after, PutPerson):
            if self.before != after:
                yield after
            if self.is_photo_changed:
                digest = self.photo.digest if self.photo is not None else b""
                jpeg = jpeg_of(digest) if digest else b""
                if jpeg or not digest:
                    yield PutPhoto(after.id, digest, jpeg)
        elif isinstance(after, PutDepartment | PutGroup):
            yield after
        elif isinstance(after, RoleGrant):
            yield GrantRole(after)
        elif isinstance(self.before, PutDepartment):
            yield RemoveDepartment(self.before.id)
        elif isinstance(self.before, PutGroup):
            yield RemoveGroup(self.before.id)
        elif isinstance(self.before, RoleGrant):
            yield RevokeRole(self.before)


class Candidate(Struct, frozen=True, omit_defaults=True):
    """Somebody at the server who may be the person of a new entry."""

    user: UserId
    login: str
    name: str
    source: str
    """Empty: kept by hand."""
    reasons: tuple[str, ...]


class Proposal(Struct, frozen=True, omit_defaults=True):
    """A new entry that may be somebody who is here already. Nothing happens for it until somebody decides."""

    anchor: Anchor
    dn: str
    login: str
    name: str
    candidates: tuple[Candidate, ...]
    may_be_new: bool = True
    """False: the login is taken by somebody whom the source doesn't keep, so that it can't be a new person."""


class Decisions(Struct, frozen=True):
    """What somebody decided about proposals."""

    merges: dict[Anchor, UserId] = {}
    """The person of this entry is that one."""
    apart: frozenset[Anchor] = frozenset()
    """The person of this entry is nobody who is here."""


class Tripped(Struct, frozen=True, omit_defaults=True):
    """A guard that stops the run."""

    guard: str
    """The word for ``--allow``."""
    count: int
    limit: int
    sentence: str
    examples: tuple[str, ...] = ()


class Plan(Struct, frozen=True):
    """What would happen. A value: it can be shown, kept and compared, and apply does exactly this."""

    source: str
    scope: str
    read_ms: int
    based_on: int
    """The version of the server's directory that it was compared with."""
    actions: tuple[Action, ...] = ()
    """In the order in which they are carried out."""
    parked: tuple[PutPerson, ...] = ()
    """People who swap logins in a circle, with the login that one of them has for a moment."""
    proposals: tuple[Proposal, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    notices: tuple[str, ...] = ()
    tripped: tuple[Tripped, ...] = ()
    marks: dict[str, bytes] = {}
    """What the server keeps with the run for the next one."""
    has_new_marks: bool = False
    """They differ from those at the server in more than cookies."""
    paths: dict[bytes, str] = {}
    """What ids are called in it: departments by their paths, people by name and login, roles by name."""
    new_anchors: dict[bytes, str] = {}
    """The anchors of records that get an id only by this plan."""
    people_count: int = 0
    """People of the source in the directory."""
    department_count: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be changed at the server."""
        return not self.actions

    def counts(self) -> dict[str, int]:
        """How many actions of each kind, in the order of TITLES."""
        found = dict.fromkeys(TITLES, 0)
        for action in self.actions:
            for kind in action.kinds:
                found[kind] += 1
        return {kind.value: number for kind, number in found.items() if number}

    def changes(self, jpeg_of: Callable[[bytes], bytes]) -> Iterator[DirectoryChange]:
        """What the server is told, in an order in which each step is allowed: nobody gets a login that another still has, or a manager
        who is not there yet. Those whose managers stand in a circle get theirs at the end."""
        yield from self.parked
        waiting = {id for action in self.actions if (id := _new_person(action)) is not None}
        late: list[PutPerson] = []
        for action in self.actions:
            for change in action.changes(jpeg_of):
                if isinstance(change, PutPerson):
                    waiting.discard(change.id)
                    if change.manager in waiting:
                        late.append(change)
                        change = msgspec.structs.replace(change, manager=None)
                yield change
        yield from late


def _new_person(action: Action) -> UserId | None:
    after = action.after
    return after.id if action.before is None and isinstance(after, PutPerson) else None


def label(record: Any) -> str:
    """How a record is called for people."""
    if isinstance(record, PutPerson):
        return f"{record.name} ({record.login})"
    name: str = record.name
    return name
