# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as it is written: one change at a time, whole or not at all. people.py reads it."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from peewee import Database, IntegrityError, Model

from protocol.ids import DepartmentId, RoleId
from protocol.messages.admin import Role, VisibilityRule
from server.store import meta
from server.store.models import people as models
from server.store.people import (
    DIRECTORY_VERSION,
    RULES_VERSION,
    DepartmentRow,
    PersonRow,
    set_password,
)


class StaleVersion(Exception):
    """The store has another version than the one on which a change was built."""


class AnchorTaken(Exception):
    """Two people or departments would have the same anchor in the same source."""


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


class Saving(Struct, frozen=True):
    """One change of the directory, to be stored whole or not at all."""

    based_on: int
    """The directory's version on which it was built."""
    version: int
    rules_version: int
    departments: Sequence[DepartmentRow] = ()
    removed_departments: Sequence[DepartmentId] = ()
    people: Sequence[PersonRow] = ()
    passwords: Sequence[PasswordRow] = ()
    roles: Sequence[Role] = ()
    removed_roles: Sequence[RoleId] = ()
    grants: Sequence[GrantRow] = ()
    removed_grants: Sequence[GrantRow] = ()
    rules: Sequence[VisibilityRule] | None = None
    """None: as they were."""
    login_keys: Sequence[str] = ()
    """The folded login of each of ``people``."""


def save(db: Database, saving: Saving) -> None:
    """Store a change; to be run in a transaction of its own. Raises StaleVersion, AnchorTaken."""
    if meta.get_int(db, DIRECTORY_VERSION) != saving.based_on:
        raise StaleVersion
    meta.put_int(db, DIRECTORY_VERSION, saving.version)
    meta.put_int(db, RULES_VERSION, saving.rules_version)
    try:
        _save_departments(db, saving)
        _save_people(db, saving)
    except (IntegrityError, sqlite3.IntegrityError) as error:  # a cursor's own are not peewee's
        raise AnchorTaken(str(error)) from error
    for password in saving.passwords:
        set_password(db, password.key, password.password_hash, must_change=password.must_change)
    _save_roles(db, saving)


def _save_departments(db: Database, saving: Saving) -> None:
    # Two who exchange their anchors would collide half way.
    db.cursor().executemany(
        "UPDATE department SET anchor = '' WHERE id = ?",
        [(row.department.id,) for row in saving.departments],
    )
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
    keys = [(row.key,) for row in saving.people]
    # The same for logins and anchors.
    db.cursor().executemany(
        "UPDATE person SET login_key = ' ' || key, anchor = '' WHERE key = ?", keys
    )
    _put(
        db,
        models.Person,
        "key id login login_key name other_name sort_key email phone custom is_disabled is_bot"
        " source anchor version moved created",
        [
            (
                row.key,
                row.person.id,
                row.person.login,
                login_key,
                row.person.name,
                row.person.other_name,
                row.person.sort_key,
                row.person.email,
                row.person.phone,
                msgspec.json.encode(row.person.custom).decode(),
                row.person.is_disabled,
                row.person.is_bot,
                row.source,
                row.anchor,
                row.version,
                row.moved,
                row.created,
            )
            for row, login_key in zip(saving.people, saving.login_keys, strict=True)
        ],
    )
    db.cursor().executemany("DELETE FROM place WHERE person = ?", keys)
    _put(
        db,
        models.Place,
        "person position department title sort_order is_head",
        [
            (row.key, position, place.department, place.title, place.order, place.is_head)
            for row in saving.people
            for position, place in enumerate(row.person.places)
        ],
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
        "DELETE FROM role_grant WHERE person = ? AND role = ? AND department = ?",
        [(grant.key, grant.role, grant.department or b"") for grant in saving.removed_grants],
    )
    _put(
        db,
        models.RoleGrant,
        "person role department",
        [(grant.key, grant.role, grant.department or b"") for grant in saving.grants],
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
