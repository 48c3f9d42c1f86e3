# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as it is read: whole, when the server starts; and the passwords' hashes. Changes are written by directory.py."""

from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec
from msgspec import Struct
from peewee import Database

from protocol.ids import (
    ID_BYTES,
    ConversationId,
    DepartmentId,
    UserId,
    department_conversation_id,
)
from protocol.messages.admin import Effect, Role, RoleGrant, VisibilityRule
from protocol.messages.people import Department, Person, Place
from server.store import meta

DIRECTORY_VERSION: Final = "directory_version"
RULES_VERSION: Final = "rules_version"


class PersonRow(Struct, frozen=True, gc=False):
    """A person with what only the server knows; see models.people.Person."""

    key: int
    person: Person
    source: str
    anchor: str
    version: int
    moved: int
    created: int
    portrait: bytes = b""
    is_closed_here: bool = False
    is_off_at_source: bool = False


class GroupRow(Struct, frozen=True, gc=False):
    """A group whose members follow another directory."""

    id: ConversationId
    name: str
    members: tuple[UserId, ...]
    source: str
    anchor: str
    version: int


class DepartmentRow(Struct, frozen=True, gc=False):
    """A department with what only the server knows."""

    department: Department
    source: str
    anchor: str
    version: int


class StoredDirectory(Struct, frozen=True):
    """Everything about the directory but passwords."""

    version: int
    rules_version: int
    departments: list[DepartmentRow]
    gone_departments: dict[DepartmentId, int]
    people: list[PersonRow]
    """In the order of their keys."""
    gone_people: dict[UserId, tuple[int, int]]
    """With the versions that removed and that created them."""
    groups: list[GroupRow]
    roles: list[Role]
    grants: list[RoleGrant]
    rules: tuple[VisibilityRule, ...]


class Account(Struct, frozen=True):
    """How a person signs in."""

    password_hash: str
    """Empty: no password was set."""
    must_change: bool


def load(db: Database) -> StoredDirectory:
    """Read the whole directory."""
    return StoredDirectory(
        version=meta.get_int(db, DIRECTORY_VERSION),
        rules_version=meta.get_int(db, RULES_VERSION),
        departments=_load_departments(db),
        gone_departments=dict(db.execute_sql("SELECT id, version FROM removed_department")),
        people=_load_people(db),
        gone_people={
            id: (version, created)
            for id, version, created in db.execute_sql(
                "SELECT id, version, created FROM removed_person"
            )
        },
        groups=[
            GroupRow(id, name, _split(members), source, anchor, version)
            for id, name, members, source, anchor, version in db.execute_sql(
                "SELECT id, name, members, source, anchor, version FROM followed_group"
            )
        ],
        roles=[
            Role(bytes(id), name, tuple(permissions.split()), bool(is_for_everyone))
            for id, name, permissions, is_for_everyone in db.execute_sql(
                "SELECT id, name, permissions, is_for_everyone FROM role ORDER BY name"
            )
        ],
        grants=[
            RoleGrant(bytes(user), bytes(role), bytes(department) or None, source)
            for user, role, department, source in db.execute_sql(
                "SELECT person.id, role, department, role_grant.source FROM role_grant"
                " JOIN person ON person.key = role_grant.person"
            )
        ],
        rules=tuple(
            VisibilityRule(row[0], row[1], row[2], row[3], Effect(row[4]), bool(row[5]))
            for row in db.execute_sql(
                "SELECT viewers, viewers_role, targets, targets_role, effect, spares_insiders"
                " FROM visibility_rule ORDER BY position"
            )
        ),
    )


def account(db: Database, key: int) -> Account | None:
    """How the person signs in."""
    row = db.execute_sql(
        "SELECT password_hash, must_change_password FROM person WHERE key = ?", (key,)
    ).fetchone()
    return Account(row[0], bool(row[1])) if row else None


def set_password(db: Database, key: int, password_hash: str, *, must_change: bool) -> None:
    """Give the person another password."""
    db.execute_sql(
        "UPDATE person SET password_hash = ?, must_change_password = ? WHERE key = ?",
        (password_hash, must_change, key),
    )


def accounts(db: Database, first_key: int, last_key: int) -> dict[int, Account]:
    """How the people sign in whose keys lie in this range."""
    rows = db.execute_sql(
        "SELECT key, password_hash, must_change_password FROM person WHERE key BETWEEN ? AND ?",
        (first_key, last_key),
    )
    return {
        key: Account(password_hash, bool(must_change)) for key, password_hash, must_change in rows
    }


def _load_departments(db: Database) -> list[DepartmentRow]:
    rows = db.execute_sql(
        "SELECT id, parent, name, other_name, sort_order, has_conversation, source, anchor, version"
        " FROM department"
    )
    return [
        DepartmentRow(
            Department(
                id=id,
                name=name,
                parent=parent,
                other_name=other_name,
                order=order,
                conversation=department_conversation_id(id) if has_conversation else None,
            ),
            source,
            anchor,
            version,
        )
        for id, parent, name, other_name, order, has_conversation, source, anchor, version in rows
    ]


def _load_people(db: Database) -> list[PersonRow]:
    # One object for equal values: thousands share a department, a title, the empty custom fields.
    shared: dict[Any, Any] = {}
    places: dict[int, tuple[Place, ...]] = {}
    rows = db.execute_sql(
        "SELECT person, department, title, sort_order, is_head FROM place ORDER BY person, position"
    )
    for key, group in groupby(rows, itemgetter(0)):
        places[key] = tuple(
            Place(
                department=shared.setdefault(department, department),
                title=shared.setdefault(title, title),
                order=order,
                is_head=bool(is_head),
            )
            for _, department, title, order, is_head in group
        )
    no_fields: dict[str, str] = {}
    rows = db.execute_sql(
        "SELECT key, id, login, name, other_name, sort_key, email, phone, custom, is_disabled, is_bot,"
        " source, anchor, version, moved, created, manager, is_off_at_source, photo, portrait"
        " FROM person ORDER BY key"
    )
    return [
        PersonRow(
            row[0],
            Person(
                id=row[1],
                login=row[2],
                name=row[3],
                other_name=row[4],
                sort_key=row[5],
                email=row[6],
                phone=row[7],
                places=places.pop(row[0], ()),
                custom=no_fields if row[8] == "{}" else msgspec.json.decode(row[8]),
                is_disabled=bool(row[9] or row[17]),
                is_bot=bool(row[10]),
                manager=row[16],
                photo=row[18],
            ),
            shared.setdefault(row[11], row[11]),
            row[12],
            row[13],
            row[14],
            row[15],
            row[19],
            bool(row[9]),
            bool(row[17]),
        )
        for row in rows
    ]


def _split(members: bytes) -> tuple[UserId, ...]:
    return tuple(members[at : at + ID_BYTES] for at in range(0, len(members), ID_BYTES))
