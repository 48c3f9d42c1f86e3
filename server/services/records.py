# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the org tree as administrators send and see them."""

from protocol.ids import DepartmentId
from protocol.messages import admin as wire
from protocol.messages.people import Person
from server.services.organisation import DepartmentEntry, GroupEntry, PersonEntry


def person_of(change: wire.PutPerson, old: PersonEntry | None) -> Person:
    """The person as colleagues will see them; the photo stays as it was."""
    return Person(
        id=change.id,
        login=change.login,
        name=change.name,
        other_name=change.other_name,
        sort_key=change.sort_key,
        email=change.email,
        phone=change.phone,
        places=change.places,
        custom=change.custom,
        is_disabled=change.is_disabled or change.is_off_at_source,
        is_bot=change.is_bot,
        manager=change.manager,
        photo=old.person.photo if old else b"",
    )


def seats_of(person: Person) -> set[DepartmentId]:
    """Where the person sits: what decides, with roles, whom they see and who sees them."""
    return {place.department for place in person.places}


def put_person(entry: PersonEntry) -> wire.PutPerson:
    """All fields of a person."""
    person = entry.person
    return wire.PutPerson(
        id=person.id,
        login=person.login,
        name=person.name,
        other_name=person.other_name,
        sort_key=person.sort_key,
        email=person.email,
        phone=person.phone,
        places=person.places,
        custom=person.custom,
        is_disabled=entry.is_closed_here,
        is_bot=person.is_bot,
        source=entry.source,
        anchor=entry.anchor,
        manager=person.manager,
        is_off_at_source=entry.is_off_at_source,
        photo=person.photo,
    )


def put_department(entry: DepartmentEntry) -> wire.PutDepartment:
    """All fields of a department."""
    department = entry.department
    return wire.PutDepartment(
        id=department.id,
        name=department.name,
        parent=department.parent,
        other_name=department.other_name,
        order=department.order,
        has_conversation=department.conversation is not None,
        source=entry.source,
        anchor=entry.anchor,
    )


def put_group(entry: GroupEntry) -> wire.PutGroup:
    """All fields of a group that follows a directory."""
    members = tuple(sorted(entry.members))
    return wire.PutGroup(entry.id, entry.name, members, entry.source, entry.anchor)
