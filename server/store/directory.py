# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as it is written: one change at a time, whole or not at all. people.py reads it."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

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

_CHUNK_ROWS: Final = 500
"""Rows in one statement: 19 columns of a person stay below the 32,766 parameters that SQLite takes."""


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
    except IntegrityError as error:
        raise AnchorTaken(str(error)) from error
    for password in saving.passwords:
        set_password(db, password.key, password.password_hash, must_change=password.must_change)
    _save_roles(db, saving)


def _save_departments(db: Database, saving: Saving) -> None:
    _upsert(
        db,
        models.Department,
        [
            {
                "id": row.department.id,
                "parent": row.department.parent,
                "name": row.department.name,
                "other_name": row.department.other_name,
                "sort_order": row.department.order,
                "has_conversation": row.department.conversation is not None,
                "source": row.source,
                "anchor": row.anchor,
                "version": row.version,
            }
            for row in saving.departments
        ],
    )
    for row in saving.departments:
        db.execute_sql("DELETE FROM removed_department WHERE id = ?", (row.department.id,))
    for department in saving.removed_departments:
        db.execute_sql("DELETE FROM department WHERE id = ?", (department,))
    _upsert(
        db,
        models.RemovedDepartment,
        [{"id": id, "version": saving.version} for id in saving.removed_departments],
    )


def _save_people(db: Database, saving: Saving) -> None:
    keys = [row.key for row in saving.people]
    for chunk in _chunks(keys):
        # Two who swap their logins would collide half way.
        marks = ", ".join("?" * len(chunk))
        db.execute_sql(
            f"UPDATE person SET login_key = ' ' || key, anchor = '' WHERE key IN ({marks})",  # noqa: S608
            tuple(chunk),
        )
    _upsert(
        db,
        models.Person,
        [
            {
                "key": row.key,
                "id": row.person.id,
                "login": row.person.login,
                "login_key": login_key,
                "name": row.person.name,
                "other_name": row.person.other_name,
                "sort_key": row.person.sort_key,
                "email": row.person.email,
                "phone": row.person.phone,
                "custom": msgspec.json.encode(row.person.custom).decode(),
                "is_disabled": row.person.is_disabled,
                "is_bot": row.person.is_bot,
                "source": row.source,
                "anchor": row.anchor,
                "version": row.version,
                "moved": row.moved,
                "created": row.created,
            }
            for row, login_key in zip(saving.people, saving.login_keys, strict=True)
        ],
    )
    for chunk in _chunks(keys):
        models.Place.delete().where(models.Place.person.in_(list(chunk))).execute(db)
    _upsert(
        db,
        models.Place,
        [
            {
                "person": row.key,
                "position": position,
                "department": place.department,
                "title": place.title,
                "sort_order": place.order,
                "is_head": place.is_head,
            }
            for row in saving.people
            for position, place in enumerate(row.person.places)
        ],
    )


def _save_roles(db: Database, saving: Saving) -> None:
    _upsert(
        db,
        models.Role,
        [
            {
                "id": role.id,
                "name": role.name,
                "permissions": " ".join(role.permissions),
                "is_for_everyone": role.is_for_everyone,
            }
            for role in saving.roles
        ],
    )
    for grant in saving.removed_grants:
        db.execute_sql(
            "DELETE FROM role_grant WHERE person = ? AND role = ? AND department = ?",
            (grant.key, grant.role, grant.department or b""),
        )
    _upsert(
        db,
        models.RoleGrant,
        [
            {"person": grant.key, "role": grant.role, "department": grant.department or b""}
            for grant in saving.grants
        ],
    )
    for role_id in saving.removed_roles:
        db.execute_sql("DELETE FROM role WHERE id = ?", (role_id,))
    if saving.rules is not None:
        models.VisibilityRule.delete().execute(db)
        _upsert(
            db,
            models.VisibilityRule,
            [
                {
                    "position": position,
                    "viewers": rule.viewers,
                    "viewers_role": rule.viewers_role,
                    "targets": rule.targets,
                    "targets_role": rule.targets_role,
                    "effect": rule.effect.value,
                    "spares_insiders": rule.spares_insiders,
                }
                for position, rule in enumerate(saving.rules)
            ],
        )


def _upsert(db: Database, model: type[Model], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows or set the given columns of those that are there, by the primary key."""
    if not rows:
        return
    table = model._meta
    keys = [field.name for field in table.get_primary_keys()]
    others = [getattr(model, name) for name in rows[0] if name not in keys]
    targets = [getattr(model, name) for name in keys]
    for chunk in _chunks(rows):
        query = model.insert_many(chunk)
        if others:
            query = query.on_conflict(conflict_target=targets, preserve=others)
        else:
            query = query.on_conflict_ignore()
        query.execute(db)


def _chunks(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[start : start + _CHUNK_ROWS] for start in range(0, len(rows), _CHUNK_ROWS))
