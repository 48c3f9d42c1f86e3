# SPDX-License-Identifier: GPL-3.0-or-later
"""What signing in and changing a password read and write, each in one piece."""

from peewee import Database

from protocol.ids import DeviceId
from server.store import devices, people
from server.store.devices import DeviceRow
from server.store.people import Account


def find(db: Database, key: int, device: DeviceId) -> tuple[DeviceRow | None, Account | None]:
    """A device that wants to return, and the account that it belongs to."""
    return devices.find(db, key, device), people.account(db, key)


def admit(
    db: Database,
    key: int,
    row: DeviceRow,
    most: int,
    now_ms: int,
    password_hash: str,
    must_change: bool,
) -> None:
    """Note the device on which the right password was given; with the password's new hash, if it has one. Raises TooManyDevices."""
    devices.sign_in(db, key, row, most, now_ms)
    if password_hash:
        people.set_password(db, key, password_hash, must_change=must_change)


def change_password(
    db: Database, key: int, password_hash: str, device: DeviceId, revokes_others: bool
) -> None:
    """Give a person the password of their choice; what lets other devices return is revoked when asked for."""
    people.set_password(db, key, password_hash, must_change=False)
    if revokes_others:
        devices.revoke(db, key, device)
