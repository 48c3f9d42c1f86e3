# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of people: what lets them return without a password, and when they were seen last."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from peewee import Database

from protocol.ids import DeviceId

_COLUMNS = (
    "id, name, kind, platform, software, address, token_hash, token_until_ms, certificate_serial,"
    " previous_serial, certificate_until_ms, created_ms, last_seen_ms"
)


class TooManyDevices(Exception):
    """The person has as many devices as allowed."""


class DeviceRow(Struct, frozen=True):
    """A device; see models.people.Device."""

    id: DeviceId
    name: str
    kind: str
    platform: str = ""
    software: str = ""
    address: str = ""
    token_hash: bytes | None = None
    token_until_ms: int = 0
    certificate_serial: bytes | None = None
    previous_serial: bytes | None = None
    certificate_until_ms: int = 0
    created_ms: int = 0
    last_seen_ms: int = 0

    def may_return(self, now_ms: int) -> bool:
        """Whether the device can still sign in without a password."""
        return self.token_until_ms > now_ms or self.certificate_until_ms > now_ms


class Sighting(Struct, frozen=True):
    """A device was here."""

    key: int
    """The person's."""
    device: DeviceId
    name: str
    platform: str
    software: str
    address: str
    at_ms: int
    token_until_ms: int
    """Until when the token now holds; 0: as it was."""


def find(db: Database, key: int, device: DeviceId) -> DeviceRow | None:
    """One device of a person."""
    row = db.execute_sql(
        f"SELECT {_COLUMNS} FROM device WHERE person = ? AND id = ?",  # noqa: S608
        (key, device),
    ).fetchone()
    return DeviceRow(*row) if row else None


def devices_of(db: Database, key: int) -> list[DeviceRow]:
    """All devices of a person, latest first."""
    rows = db.execute_sql(
        f"SELECT {_COLUMNS} FROM device WHERE person = ? ORDER BY last_seen_ms DESC, id",  # noqa: S608
        (key,),
    )
    return [DeviceRow(*row) for row in rows]


def sign_in(db: Database, key: int, row: DeviceRow, most: int, now_ms: int) -> None:
    """Note a device on which the person gave the password; its certificates stay. Raises TooManyDevices.

    Devices that can't return by themselves any more are dropped.
    """
    db.execute_sql(
        "DELETE FROM device WHERE person = ? AND id <> ? AND token_until_ms <= ?"
        " AND certificate_until_ms <= ?",
        (key, row.id, now_ms, now_ms),
    )
    (others,) = db.execute_sql(
        "SELECT count(*) FROM device WHERE person = ? AND id <> ?", (key, row.id)
    ).fetchone()
    if others >= most:
        raise TooManyDevices
    db.execute_sql(
        "INSERT INTO device (person, id, name, kind, platform, software, address, token_hash,"
        " token_until_ms, created_ms, last_seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (person, id) DO UPDATE SET name = excluded.name, kind = excluded.kind,"
        " platform = excluded.platform, software = excluded.software, address = excluded.address,"
        " token_hash = excluded.token_hash, token_until_ms = excluded.token_until_ms,"
        " last_seen_ms = excluded.last_seen_ms",
        (
            key,
            row.id,
            row.name,
            row.kind,
            row.platform,
            row.software,
            row.address,
            row.token_hash,
            row.token_until_ms,
            now_ms,
            now_ms,
        ),
    )


def set_certificate(db: Database, key: int, device: DeviceId, serial: bytes, until_ms: int) -> bool:
    """Note the device's new certificate beside the one before; whether there is such a device."""
    cursor = db.execute_sql(
        "UPDATE device SET previous_serial = certificate_serial, certificate_serial = ?,"
        " certificate_until_ms = ? WHERE person = ? AND id = ?",
        (serial, until_ms, key, device),
    )
    return bool(cursor.rowcount)


def remove(
    db: Database, key: int, device: DeviceId | None, spared: DeviceId | None
) -> list[DeviceId]:
    """Forget one device of a person or all, but for one; which were forgotten."""
    gone = [
        row.id
        for row in devices_of(db, key)
        if row.id != spared and (device is None or row.id == device)
    ]
    for id in gone:
        db.execute_sql("DELETE FROM device WHERE person = ? AND id = ?", (key, id))
    return gone


def revoke(db: Database, key: int, spared: DeviceId | None) -> None:
    """Void the tokens and certificates of all devices of a person, but for one."""
    db.execute_sql(
        "UPDATE device SET token_hash = NULL, token_until_ms = 0, certificate_serial = NULL,"
        " previous_serial = NULL, certificate_until_ms = 0 WHERE person = ? AND id <> ?",
        (key, spared or b""),
    )


def note_sightings(db: Database, sightings: Sequence[Sighting]) -> None:
    """Bring devices up to date with where they were seen last."""
    for sighting in sightings:
        db.execute_sql(
            "UPDATE device SET name = ?, platform = ?, software = ?, address = ?,"
            " last_seen_ms = max(last_seen_ms, ?), token_until_ms = CASE WHEN token_hash IS NULL"
            " THEN 0 ELSE max(token_until_ms, ?) END WHERE person = ? AND id = ?",
            (
                sighting.name,
                sighting.platform,
                sighting.software,
                sighting.address,
                sighting.at_ms,
                sighting.token_until_ms,
                sighting.key,
                sighting.device,
            ),
        )


def note_departures(db: Database, departures: Sequence[tuple[int, DeviceId, int]]) -> None:
    """Note when devices left: the person's key, the device, Unix milliseconds."""
    for key, device, at_ms in departures:
        db.execute_sql(
            "UPDATE device SET last_seen_ms = max(last_seen_ms, ?) WHERE person = ? AND id = ?",
            (at_ms, key, device),
        )


def last_seen(db: Database) -> dict[int, int]:
    """When each person was seen last, by key, Unix milliseconds."""
    return dict(db.execute_sql("SELECT person, max(last_seen_ms) FROM device GROUP BY person"))


def counts(db: Database, first_key: int, last_key: int) -> dict[int, tuple[int, int]]:
    """Number of devices and time last seen of the people whose keys lie in this range."""
    rows: Iterable[Any] = db.execute_sql(
        "SELECT person, count(*), max(last_seen_ms) FROM device WHERE person BETWEEN ? AND ?"
        " GROUP BY person",
        (first_key, last_key),
    )
    return {key: (count, seen_ms) for key, count, seen_ms in rows}
