# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs: written down record by record, decided in one short transaction, carried out in portions, remembered.

Theory: a hundred thousand people in one transaction would keep every message waiting for seconds. So a run is a log that is redone:
its records (as they were, as they will be) are written down first, in portions that count for nothing; one transaction decides; then
the records are carried out in portions, each of which can be repeated. After a crash, what is decided is carried out before anything
is read, and what is not decided is swept away.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from peewee import Database

from protocol.ids import ConversationId, DepartmentId, RunId, UserId
from protocol.messages.admin import RoleGrant
from server.store import directory
from server.store.directory import GrantRow, RemovedPerson, Saving
from server.store.people import DepartmentRow, GroupRow, PersonRow

WRITTEN: Final = 0
DECIDED: Final = 1
CARRIED_OUT: Final = 2

DEPARTMENT: Final = "department"
PERSON: Final = "person"
GROUP: Final = "group"
GRANTS: Final = "grants"


class PersonImage(Struct, frozen=True, gc=False):
    """A person at one time."""

    row: PersonRow
    login_key: str
    """The folded login."""


class GrantsImage(Struct, frozen=True, gc=False):
    """All roles of a person at one time."""

    key: int
    grants: tuple[RoleGrant, ...] = ()


class Record(NamedTuple):
    """One record that a run changes. The images are encoded; empty: there was, or will be, none."""

    kind: str
    id: bytes
    before: bytes
    after: bytes
    portrait: bytes | None = None
    """The photo that the person had, when it is another then."""


class Facts(Struct, frozen=True, omit_defaults=True):
    """What is told of a run again."""

    at_ms: int
    by: UserId
    kind: str
    version_before: int
    version_after: int
    rules_version: int
    plan: bytes = b""
    counts: dict[str, int] = {}
    allowed: dict[str, int] = {}
    undoes: RunId | None = None
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    marks_before: dict[str, bytes] = {}
    marks_after: dict[str, bytes] = {}


class StoredRun(Struct, frozen=True):
    """A run that was decided."""

    number: int
    id: RunId
    source: str
    facts: Facts
    has_records: bool
    undone_by: RunId | None


class Released(NamedTuple):
    """Whose logins or anchors change: they must be free before others get them."""

    people: list[int]
    departments: list[DepartmentId]
    groups: list[ConversationId]


_IMAGES: Final[dict[str, Any]] = {
    DEPARTMENT: msgspec.msgpack.Decoder(DepartmentRow),
    PERSON: msgspec.msgpack.Decoder(PersonImage),
    GROUP: msgspec.msgpack.Decoder(GroupRow),
    GRANTS: msgspec.msgpack.Decoder(GrantsImage),
}
_facts: Final = msgspec.msgpack.Decoder(Facts)
_encoder: Final = msgspec.msgpack.Encoder()
_COLUMNS: Final = "number, id, source, facts, has_records, undone_by"


def encoded(image: Struct | None) -> bytes:
    """An image for a record."""
    return _encoder.encode(image) if image is not None else b""


def image(kind: str, data: bytes) -> Any:
    """What an image holds: a DepartmentRow, PersonImage, GroupRow or GrantsImage; None for none."""
    return _IMAGES[kind].decode(data) if data else None


# Writing down, deciding, carrying out


def begin(db: Database, id: RunId, source: str, facts: Facts) -> int:
    """Begin to write a run down; its number."""
    cursor = db.execute_sql(
        "INSERT INTO sync_run (id, source, state, facts) VALUES (?, ?, ?, ?)",
        (id, source, WRITTEN, _encoder.encode(facts)),
    )
    return int(cursor.lastrowid)


def write_down(db: Database, number: int, first: int, records: Sequence[Record]) -> None:
    """Write down records, the first of which has this position."""
    db.cursor().executemany(
        "INSERT INTO sync_record (run, position, kind, id, before, after, portrait)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(number, position, *record) for position, record in enumerate(records, start=first)],
    )


def decide(
    db: Database, number: int, source: str, facts: Facts, released: Released, gone: Sequence[int]
) -> None:
    """From here on the run counts. ``gone``: keys of people who are removed. Raises StaleVersion, StillReferred."""
    directory.put_versions(db, facts.version_before, facts.version_after, facts.rules_version)
    if directory.referred(db, gone):
        raise directory.StillReferred
    directory.release_people(db, released.people)
    directory.release_departments(db, released.departments)
    directory.release_groups(db, released.groups)
    put_marks(db, source, facts.marks_after)
    db.execute_sql(
        "UPDATE sync_run SET state = ?, facts = ? WHERE number = ?",
        (DECIDED, _encoder.encode(facts), number),
    )
    if facts.undoes is not None:
        db.execute_sql(
            "UPDATE sync_run SET undone_by = (SELECT id FROM sync_run WHERE number = ?) WHERE id = ?",
            (number, facts.undoes),
        )


def carry_out(db: Database, number: int, version: int, first: int, count: int) -> int:
    """Carry out a portion of a decided run; how many records there were. To do it again changes nothing."""
    rows = db.execute_sql(
        "SELECT kind, id, before, after FROM sync_record WHERE run = ? AND position >= ? AND position < ?",
        (number, first, first + count),
    ).fetchall()
    directory.put_records(db, _saving(version, rows))
    return len(rows)


def finish(db: Database, number: int) -> None:
    """All of the run is carried out."""
    db.execute_sql("UPDATE sync_run SET state = ? WHERE number = ?", (CARRIED_OUT, number))


def unfinished(db: Database) -> list[tuple[int, int, int]]:
    """Runs that a crash interrupted: number, state, version."""
    rows = db.execute_sql(
        "SELECT number, state, facts FROM sync_run WHERE state <> ? ORDER BY number",
        (CARRIED_OUT,),
    ).fetchall()
    return [(number, state, _facts.decode(facts).version_after) for number, state, facts in rows]


def forget_records(db: Database, number: int, count: int) -> int:
    """Delete some of a run's records; how many there were."""
    cursor = db.execute_sql(
        "DELETE FROM sync_record WHERE run = ? AND position IN"
        " (SELECT position FROM sync_record WHERE run = ? LIMIT ?)",
        (number, number, count),
    )
    db.execute_sql("UPDATE sync_run SET has_records = 0 WHERE number = ?", (number,))
    return int(cursor.rowcount)


def forget_run(db: Database, number: int) -> None:
    """Delete a run that has no records any more and was not decided."""
    db.execute_sql("DELETE FROM sync_run WHERE number = ? AND state = ?", (number, WRITTEN))


def outdated(db: Database, source: str, keep: int) -> list[int]:
    """The runs of a source whose records are not kept any longer: all but the newest so many."""
    rows = db.execute_sql(
        "SELECT number FROM sync_run WHERE source = ? AND has_records ORDER BY number DESC"
        " LIMIT -1 OFFSET ?",
        (source, keep),
    )
    return [number for (number,) in rows.fetchall()]


# What is known of runs


def find(db: Database, id: RunId) -> StoredRun | None:
    """A run that was decided."""
    row = db.execute_sql(
        f"SELECT {_COLUMNS} FROM sync_run WHERE id = ? AND state <> ?",  # noqa: S608 - names of ours
        (id, WRITTEN),
    ).fetchone()
    return _stored(row) if row else None


def newest(db: Database, source: str, before: int | None, limit: int) -> list[StoredRun]:
    """Runs with numbers below ``before``, newest first; of one source, or of all."""
    conditions, values = ["state <> ?"], [WRITTEN]
    arguments: list[Any] = list(values)
    if source:
        conditions.append("source = ?")
        arguments.append(source)
    if before is not None:
        conditions.append("number < ?")
        arguments.append(before)
    rows = db.execute_sql(
        f"SELECT {_COLUMNS} FROM sync_run WHERE {' AND '.join(conditions)}"  # noqa: S608 - names of ours
        " ORDER BY number DESC LIMIT ?",
        (*arguments, limit),
    ).fetchall()
    return [_stored(row) for row in rows]


def records(
    db: Database, number: int, first: int, count: int
) -> list[tuple[str, bytes, bytes, bytes]]:
    """A portion of a run's records: kind, id, image before, image after."""
    rows = db.execute_sql(
        "SELECT kind, id, before, after FROM sync_record WHERE run = ? AND position >= ? AND position < ?",
        (number, first, first + count),
    )
    return rows.fetchall()  # type: ignore[no-any-return]


def marks(db: Database, source: str) -> dict[str, bytes]:
    """What the source left."""
    rows = db.execute_sql("SELECT name, value FROM sync_mark WHERE source = ?", (source,))
    return {name: bytes(value) for name, value in rows.fetchall()}


def put_marks(db: Database, source: str, values: dict[str, bytes]) -> None:
    """Replace what the source left."""
    db.execute_sql("DELETE FROM sync_mark WHERE source = ?", (source,))
    db.cursor().executemany(
        "INSERT INTO sync_mark (source, name, value) VALUES (?, ?, ?)",
        [(source, name, value) for name, value in values.items()],
    )


def lately_changed_groups(db: Database) -> list[ConversationId]:
    """The groups that runs changed of which the records are kept, also those that are gone."""
    rows = db.execute_sql("SELECT DISTINCT id FROM sync_record WHERE kind = 'group'")
    return [bytes(id) for (id,) in rows.fetchall()]


# Photos


def unused_portraits(db: Database) -> list[bytes]:
    """Photos to which neither a person nor a run refers."""
    rows = db.execute_sql(
        "SELECT digest FROM portrait p WHERE NOT EXISTS (SELECT 1 FROM person WHERE portrait = p.digest AND portrait <> X'')"
        " AND NOT EXISTS (SELECT 1 FROM sync_record WHERE portrait = p.digest)"
    )
    return [bytes(digest) for (digest,) in rows.fetchall()]


def forget_portraits(db: Database, digests: Iterable[bytes]) -> None:
    """Delete photos."""
    db.cursor().executemany("DELETE FROM portrait WHERE digest = ?", [(each,) for each in digests])


def _stored(row: Sequence[Any]) -> StoredRun:
    number, id, source, facts, has_records, undone_by = row
    return StoredRun(number, id, source, _facts.decode(facts), bool(has_records), undone_by)


def _saving(version: int, rows: Iterable[tuple[str, bytes, bytes, bytes]]) -> Saving:
    """What must be written so that everything is as the records say."""
    found: dict[str, list[Any]] = {kind: [] for kind in _IMAGES}
    gone: dict[str, list[Any]] = {kind: [] for kind in _IMAGES}
    taken: list[GrantRow] = []
    same: list[PersonRow] = []
    for kind, id, before, after in rows:
        if after:
            then = image(kind, after)
            if kind == PERSON and before and _is_same(image(kind, before), then):
                same.append(then.row)
            else:
                found[kind].append(then)
        elif kind == PERSON:
            row = image(kind, before).row
            gone[kind].append(RemovedPerson(row.key, row.person.id, row.created))
        else:
            gone[kind].append(bytes(id))
        if kind == GRANTS and before:
            taken += _grant_rows(image(kind, before))
    return Saving(
        based_on=0,  # deciding has looked at the versions
        version=version,
        rules_version=0,
        departments=found[DEPARTMENT],
        removed_departments=gone[DEPARTMENT],
        people=[each.row for each in found[PERSON]],
        login_keys=[each.login_key for each in found[PERSON]],
        same_people=same,
        removed_people=gone[PERSON],
        groups=found[GROUP],
        removed_groups=gone[GROUP],
        grants=[grant for each in found[GRANTS] for grant in _grant_rows(each)],
        removed_grants=taken,
    )


def _is_same(one: PersonImage, other: PersonImage) -> bool:
    """Whether the two are found by the same keys."""
    a, b = one.row, other.row
    return (a.key, a.person.login, one.login_key, a.source, a.anchor) == (
        b.key,
        b.person.login,
        other.login_key,
        b.source,
        b.anchor,
    )


def _grant_rows(held: GrantsImage) -> list[GrantRow]:
    return [GrantRow(held.key, each.role, each.department, each.source) for each in held.grants]
