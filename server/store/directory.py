# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as it is written: one change at a time, whole or not at all. people.py reads it."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from peewee import Database, IntegrityError, Model

from protocol.ids import ConversationId, DepartmentId, RoleId, UserId
from protocol.messages.admin import Role, VisibilityRule
from server.store import meta
from server.store.models import people as models
from server.store.people import (
    DIRECTORY_VERSION,
    RULES_VERSION,
    DepartmentRow,
    GroupRow,
    PersonRow,
    set_password,
)


class StaleVersion(Exception):
    """The store has another version than the one on which a change was built."""


class AnchorTaken(Exception):
    """Two people or departments would have the same anchor in the same source."""


class StillReferred(Exception):
    """Somebody is to be removed to whom something refers."""


class PasswordRow(Struct, frozen=True):
    """A new password, hashed."""

    key: int
    password_hash: str
    must_change: bool


class GrantRow(Struct, frozen=True):
    """A role given to the person with this key."""

    key: int
    role: RoleId
    department: DepartmentId | None
    source: str = ""


class RemovedPerson(Struct, frozen=True):
    """Somebody to whom nothing refers is taken out."""

    key: int
    id: UserId
    created: int


class Saving(Struct, frozen=True):
    """One change of the directory, to be stored whole or not at all."""

    based_on: int
    """The directory's version on which it was built."""
    version: int
    rules_version: int
    departments: Sequence[DepartmentRow] = ()
    removed_departments: Sequence[DepartmentId] = ()
    people: Sequence[PersonRow] = ()
    same_people: Sequence[PersonRow] = ()
    """People whose id, login and anchor are as they were: their indexes need not be touched."""
    passwords: Sequence[PasswordRow] = ()
    roles: Sequence[Role] = ()
    removed_roles: Sequence[RoleId] = ()
    grants: Sequence[GrantRow] = ()
    removed_grants: Sequence[GrantRow] = ()
    rules: Sequence[VisibilityRule] | None = None
    """None: as they were."""
    login_keys: Sequence[str] = ()
    """The folded login of each of ``people``."""
    removed_people: Sequence[RemovedPerson] = ()
    groups: Sequence[GroupRow] = ()
    removed_groups: Sequence[ConversationId] = ()
    portraits: Sequence[tuple[bytes, bytes]] = ()
    """Photos by their SHA-256."""


def save(db: Database, saving: Saving) -> None:
    """Store a change; to be run in a transaction of its own. Raises StaleVersion, AnchorTaken, StillReferred."""
    put_versions(db, saving.based_on, saving.version, saving.rules_version)
    if referred(db, [person.key for person in saving.removed_people]):
        raise StillReferred
    try:
        # Two who exchange their logins or anchors would collide half way.
        release_people(db, [row.key for row in saving.people])
        release_departments(db, [row.department.id for row in saving.departments])
        release_groups(db, [row.id for row in saving.groups])
        put_records(db, saving)
    except (IntegrityError, sqlite3.IntegrityError) as error:  # a cursor's own are not peewee's
        raise AnchorTaken(str(error)) from error
    for password in saving.passwords:
        set_password(db, password.key, password.password_hash, must_change=password.must_change)
    _save_roles(db, saving)


def put_versions(db: Database, based_on: int, version: int, rules_version: int) -> None:
    """Go from one version of the directory to the next. Raises StaleVersion."""
    if meta.get_int(db, DIRECTORY_VERSION) != based_on:
        raise StaleVersion
    meta.put_int(db, DIRECTORY_VERSION, version)
    meta.put_int(db, RULES_VERSION, rules_version)


def put_records(db: Database, saving: Saving) -> None:
    """Write departments, people, groups and grants, and take out what goes; whatever logins and anchors they get must be free."""
    _save_departments(db, saving)
    keep_portraits(db, saving.portraits)
    _save_people(db, saving)
    _save_groups(db, saving)
    _save_grants(db, saving)
    _remove_people(db, saving)


def release_people(db: Database, keys: Iterable[int]) -> None:
    """Free the logins and anchors of people who get others, or the same, in the same transaction or run."""
    db.cursor().executemany(
        "UPDATE person SET login_key = ' ' || key, anchor = '' WHERE key = ?",
        [(key,) for key in keys],
    )


def release_departments(db: Database, ids: Iterable[DepartmentId]) -> None:
    """The same for the anchors of departments."""
    db.cursor().executemany("UPDATE department SET anchor = '' WHERE id = ?", [(id,) for id in ids])


def release_groups(db: Database, ids: Iterable[ConversationId]) -> None:
    """The same for the anchors of groups."""
    db.cursor().executemany(
        "UPDATE followed_group SET anchor = '' WHERE id = ?", [(id,) for id in ids]
    )


def keep_portraits(db: Database, portraits: Iterable[tuple[bytes, bytes]]) -> None:
    """Store photos by their SHA-256; those that are there already are the same."""
    db.cursor().executemany(
        "INSERT INTO portrait (digest, jpeg) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        list(portraits),
    )


def portrait(db: Database, digest: bytes) -> bytes:
    """A photo; empty when it is not there."""
    row = db.execute_sql("SELECT jpeg FROM portrait WHERE digest = ?", (digest,)).fetchone()
    return bytes(row[0]) if row else b""


def referred(db: Database, keys: Iterable[int]) -> set[int]:
    """Those of the people who have signed in or who belong, or have belonged, to a conversation."""
    return {
        key
        for key in keys
        if db.execute_sql(
            "SELECT EXISTS (SELECT 1 FROM device WHERE person = ?1)"
            " OR EXISTS (SELECT 1 FROM member WHERE user = ?1)",
            (key,),
        ).fetchone()[0]
    }


def taken_conversations(db: Database, ids: Iterable[ConversationId]) -> set[ConversationId]:
    """Those of the ids that are conversations which follow no directory and never have."""
    return {
        id
        for id in ids
        if db.execute_sql(
            "SELECT EXISTS (SELECT 1 FROM conversation WHERE id = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM sync_record WHERE kind = 'group' AND id = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM followed_group WHERE id = ?1)",
            (id,),
        ).fetchone()[0]
    }


def _save_departments(db: Database, saving: Saving) -> None:
    _put(
        db,
        models.Department,
        "id parent name other_name sort_order has_conversation source anchor version",
        [
            (
                row.department.id,
                row.department.parent,
                row.department.name,
                row.department.other_name,
                row.department.order,
                row.department.conversation is not None,
                row.source,
                row.anchor,
                row.version,
            )
            for row in saving.departments
        ],
    )
    db.cursor().executemany(
        "DELETE FROM removed_department WHERE id = ?",
        [(row.department.id,) for row in saving.departments],
    )
    db.cursor().executemany(
        "DELETE FROM department WHERE id = ?", [(id,) for id in saving.removed_departments]
    )
    _put(
        db,
        models.RemovedDepartment,
        "id version",
        [(id, saving.version) for id in saving.removed_departments],
    )


def _save_people(db: Database, saving: Saving) -> None:
    columns = [
        "name",
        "other_name",
        "sort_key",
        "email",
        "phone",
        "custom",
        "is_disabled",
        "is_bot",
        "version",
        "moved",
        "created",
        "manager",
        "is_off_at_source",
        "photo",
        "portrait",
    ]
    db.cursor().executemany(
        f"UPDATE person SET {', '.join(f'{name} = ?' for name in columns)} WHERE key = ?",  # noqa: S608 - names of ours
        [(*_columns_of(row), row.key) for row in saving.same_people],
    )
    everybody = [*saving.people, *saving.same_people]
    _put(
        db,
        models.Person,
        f"key id login login_key source anchor {' '.join(columns)}",
        [
            (
                row.key,
                row.person.id,
                row.person.login,
                login_key,
                row.source,
                row.anchor,
                *_columns_of(row),
            )
            for row, login_key in zip(saving.people, saving.login_keys, strict=True)
        ],
    )
    db.cursor().executemany("DELETE FROM place WHERE person = ?", [(row.key,) for row in everybody])
    _put(
        db,
        models.Place,
        "person position department title sort_order is_head",
        [
            (row.key, position, place.department, place.title, place.order, place.is_head)
            for row in everybody
            for position, place in enumerate(row.person.places)
        ],
    )


def _columns_of(row: PersonRow) -> tuple[Any, ...]:
    """What may change of a person without an index being touched."""
    person = row.person
    return (
        person.name,
        person.other_name,
        person.sort_key,
        person.email,
        person.phone,
        msgspec.json.encode(person.custom).decode(),
        row.is_closed_here,
        person.is_bot,
        row.version,
        row.moved,
        row.created,
        person.manager,
        row.is_off_at_source,
        person.photo,
        row.portrait,
    )


def _save_groups(db: Database, saving: Saving) -> None:
    _put(
        db,
        models.FollowedGroup,
        "id name members source anchor version",
        [
            (row.id, row.name, b"".join(row.members), row.source, row.anchor, row.version)
            for row in saving.groups
        ],
    )
    db.cursor().executemany(
        "DELETE FROM followed_group WHERE id = ?", [(id,) for id in saving.removed_groups]
    )


def _remove_people(db: Database, saving: Saving) -> None:
    gone = [(person.key,) for person in saving.removed_people]
    for table, column in (("place", "person"), ("presence_setting", "person"), ("person", "key")):
        db.cursor().executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)  # noqa: S608 - names of ours
    _put(
        db,
        models.RemovedPerson,
        "id version created",
        [(person.id, saving.version, person.created) for person in saving.removed_people],
    )
    db.cursor().executemany(
        "DELETE FROM removed_person WHERE id = ?", [(row.person.id,) for row in saving.people]
    )


def _save_grants(db: Database, saving: Saving) -> None:
    db.cursor().executemany(
        "DELETE FROM role_grant WHERE person = ? AND role = ? AND department = ?",
        [(grant.key, grant.role, grant.department or b"") for grant in saving.removed_grants],
    )
    _put(
        db,
        models.RoleGrant,
        "person role department source",
        [(grant.key, grant.role, grant.department or b"", grant.source) for grant in saving.grants],
    )


def _save_roles(db: Database, saving: Saving) -> None:
    _put(
        db,
        models.Role,
        "id name permissions is_for_everyone",
        [
            (role.id, role.name, " ".join(role.permissions), role.is_for_everyone)
            for role in saving.roles
        ],
    )
    db.cursor().executemany(
        "DELETE FROM role WHERE id = ?", [(role,) for role in saving.removed_roles]
    )
    if saving.rules is not None:
        models.VisibilityRule.delete().execute(db)
        _put(
            db,
            models.VisibilityRule,
            "position viewers viewers_role targets targets_role effect spares_insiders",
            [
                (
                    position,
                    rule.viewers,
                    rule.viewers_role,
                    rule.targets,
                    rule.targets_role,
                    rule.effect.value,
                    rule.spares_insiders,
                )
                for position, rule in enumerate(saving.rules)
            ],
        )


def _put(db: Database, model: type[Model], columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows or set these columns of those that are there, by the primary key.

    Not a query of peewee's: building one for 5,000 people takes more than a second, in which nobody's message is stored.
    """
    names = columns.split()
    keys = [field.column_name for field in model._meta.get_primary_keys()]
    others = [f"{name} = excluded.{name}" for name in names if name not in keys]
    action = f"UPDATE SET {', '.join(others)}" if others else "NOTHING"
    db.cursor().executemany(
        f"INSERT INTO {model._meta.table_name} ({', '.join(names)})"  # noqa: S608 - names of ours
        f" VALUES ({', '.join('?' * len(names))}) ON CONFLICT ({', '.join(keys)}) DO {action}",
        rows,
    )
