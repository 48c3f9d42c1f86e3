# SPDX-License-Identifier: GPL-3.0-or-later
"""The org tree, people and presence."""

import enum
from typing import Annotated

from msgspec import Meta, Struct

from protocol import limits
from protocol.ids import ConversationId, DepartmentId, UserId
from protocol.messages.kinds import Count, Done, Integer, Push, Reply, Request

Field = Annotated[str, Meta(max_length=limits.MAX_FIELD_CHARS)]
PhotoDigest = Annotated[bytes, Meta(max_length=limits.PHOTO_DIGEST_BYTES)]
Jpeg = Annotated[bytes, Meta(max_length=limits.MAX_PHOTO_BYTES)]


class Place(Struct, frozen=True, omit_defaults=True):
    """One person's seat in one department."""

    department: DepartmentId
    title: Field = ""
    order: Integer = 0
    """People of a department are listed by this, then by name."""
    is_head: bool = False


class Person(Struct, frozen=True, omit_defaults=True):
    """One person as a colleague may see them."""

    id: UserId
    login: str
    name: str
    other_name: str = ""
    """The name in another script or language."""
    sort_key: str = ""
    """How the name is sorted and typed in Latin letters, such as pinyin."""
    email: str = ""
    phone: str = ""
    places: tuple[Place, ...] = ()
    custom: dict[str, str] = {}
    is_disabled: bool = False
    is_bot: bool = False
    manager: UserId | None = None
    """To whom the person reports; None also when the viewer may not see them."""
    photo: bytes = b""
    """Changes whenever the photo does; empty: there is none."""


class Department(Struct, frozen=True, omit_defaults=True):
    """One department of the tree."""

    id: DepartmentId
    name: str
    parent: DepartmentId | None = None
    other_name: str = ""
    order: Integer = 0
    conversation: ConversationId | None = None
    """The department's own conversation, when it has one."""


class Directory(Reply, frozen=True, tag="directory"):
    """The directory as this user may see it, or what changed in it."""

    version: Count
    is_full: bool = False
    """The records replace everything that the client holds; otherwise they are added to it."""
    departments: tuple[Department, ...] = ()
    people: tuple[Person, ...] = ()
    gone_departments: tuple[DepartmentId, ...] = ()
    gone_people: tuple[UserId, ...] = ()
    """Removed, or not visible to this user any more."""


class GetDirectory(Request[Directory], frozen=True, tag="get_directory"):
    """The directory; with the version that the client holds, only the differences."""

    since: Count = 0


class DirectoryMoved(Push, frozen=True, tag="directory_moved"):
    """The directory has a new version; fetch the differences when convenient."""

    version: Count


class People(Reply, frozen=True, tag="people"):
    """People that match, best first."""

    people: tuple[Person, ...] = ()


class FindPeople(Request[People], frozen=True, tag="find_people"):
    """Find people by name, other name, sort key, login, mail, phone or title."""

    text: Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_CHARS)]
    department: DepartmentId | None = None
    """Only below this department."""
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_FOUND_PEOPLE)] = 20


class PhotoOf(Reply, frozen=True, tag="photo_of"):
    """A person's photo, or nothing."""

    user: UserId
    photo: bytes = b""
    """As in Person."""
    jpeg: bytes = b""


class GetPhoto(Request[PhotoOf], frozen=True, tag="get_photo"):
    """The photo of somebody whom the user may see."""

    user: UserId


class PresenceState(enum.StrEnum):
    """How reachable someone is; of several devices the most reachable counts."""

    ONLINE = "online"
    AWAY = "away"
    BUSY = "busy"
    DO_NOT_DISTURB = "do_not_disturb"
    IN_CALL = "in_call"
    OFFLINE = "offline"


class Presence(Struct, frozen=True, omit_defaults=True):
    """One person's presence, merged over their devices."""

    user: UserId
    state: str = PresenceState.OFFLINE.value
    """One of PresenceState; an unknown value counts as online."""
    since_ms: Count = 0
    """Since when, by the server's clock; for offline: when last seen, or 0."""
    status: str = ""
    status_until_ms: Count = 0
    """When the status text ends by itself; 0: never."""


class PresenceDigest(Push, frozen=True, tag="presence_digest"):
    """The people whose presence changed in the last tick."""

    people: tuple[Presence, ...] = ()


class PresenceList(Reply, frozen=True, tag="presence_list"):
    """The presence of all that were asked for."""

    people: tuple[Presence, ...] = ()


Departments = Annotated[tuple[DepartmentId, ...], Meta(max_length=limits.MAX_WATCHED_DEPARTMENTS)]


class WatchPresence(Request[PresenceList], frozen=True, tag="watch_presence"):
    """Replace the set of people whose presence this session is told; answered with their presence
    now."""

    users: Annotated[tuple[UserId, ...], Meta(max_length=limits.MAX_WATCHED_USERS)] = ()
    departments: Departments = ()
    """Everyone who sits directly in these."""


class SetPresence(Request[Done], frozen=True, tag="set_presence"):
    """What this device knows of its user: the state; and for all devices the status text."""

    state: PresenceState | None = None
    """ONLINE, AWAY and IN_CALL hold for this device; BUSY and DO_NOT_DISTURB for the user, until
    ONLINE is set. OFFLINE hides this device. None: as it was."""
    status: Annotated[str, Meta(max_length=limits.MAX_STATUS_CHARS)] | None = None
    """Empty: none. None: as it was, and ``status_until_ms`` is not looked at."""
    status_until_ms: Count = 0
