# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of people, departments and presence."""

from collections.abc import Mapping

import msgspec

from client.cli.records.record import People, Record, id_or_none
from client.cli.show import rfc3339
from protocol.ids import DepartmentId, format_id
from protocol.messages import people as wire


class PlaceRecord(msgspec.Struct, frozen=True):
    """A seat in a department."""

    department: str
    department_name: str
    title: str
    is_head: bool


class PersonRecord(Record, frozen=True, tag="person"):
    """A person of the directory."""

    id: str
    login: str
    name: str
    other_name: str
    sort_key: str
    email: str
    phone: str
    places: tuple[PlaceRecord, ...]
    custom: dict[str, str]
    presence: str | None
    """null: not asked for, or the server was not reached."""
    is_disabled: bool
    is_bot: bool

    @classmethod
    def of(
        cls,
        person: wire.Person,
        departments: Mapping[DepartmentId, wire.Department],
        presence: str | None = None,
    ) -> "PersonRecord":
        """The record of a person."""
        places = tuple(
            PlaceRecord(
                format_id(place.department),
                departments[place.department].name if place.department in departments else "",
                place.title,
                place.is_head,
            )
            for place in person.places
        )
        return cls(
            id=format_id(person.id),
            login=person.login,
            name=person.name,
            other_name=person.other_name,
            sort_key=person.sort_key,
            email=person.email,
            phone=person.phone,
            places=places,
            custom=dict(person.custom),
            presence=presence,
            is_disabled=person.is_disabled,
            is_bot=person.is_bot,
        )


class DepartmentRecord(Record, frozen=True, tag="department"):
    """A department of the tree."""

    id: str
    name: str
    other_name: str
    parent: str | None
    depth: int
    """0 for the topmost that is listed."""
    people: int
    """Who sit directly in it."""
    people_below: int
    """Who sit in it or anywhere below, each counted once."""
    conversation: str | None

    @classmethod
    def of(
        cls, department: wire.Department, *, depth: int, people: int, people_below: int
    ) -> "DepartmentRecord":
        """The record of a department."""
        return cls(
            id=format_id(department.id),
            name=department.name,
            other_name=department.other_name,
            parent=id_or_none(department.parent),
            depth=depth,
            people=people,
            people_below=people_below,
            conversation=id_or_none(department.conversation),
        )


class PresenceRecord(Record, frozen=True, tag="presence"):
    """How reachable somebody is."""

    user: str
    login: str
    name: str
    state: str
    """online, away, busy, do_not_disturb, in_call or offline."""
    since: str | None
    status: str
    status_until: str | None

    @classmethod
    def of(cls, presence: wire.Presence, people: People) -> "PresenceRecord":
        """The record of somebody's presence."""
        who = people.who(presence.user)
        return cls(
            user=who.id,
            login=who.login,
            name=who.name,
            state=presence.state,
            since=rfc3339(presence.since_ms),
            status=presence.status,
            status_until=rfc3339(presence.status_until_ms),
        )
