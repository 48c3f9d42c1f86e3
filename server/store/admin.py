# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators read and write, each in one piece."""

from collections.abc import Callable

from msgspec import Struct
from peewee import Database

from protocol.ids import DeviceId
from server.store import devices, directory, meta, people
from server.store.directory import Saving


class Facts(Struct, frozen=True):
    """What administrators see of a person besides the directory."""

    has_password: bool = False
    must_change_password: bool = False
    last_seen_ms: int = 0
    device_count: int = 0


def facts(db: Database, first_key: int, last_key: int) -> dict[int, Facts]:
    """What there is to say of the people whose keys lie in this range."""
    counts = devices.counts(db, first_key, last_key)
    found: dict[int, Facts] = {}
    for key, account in people.accounts(db, first_key, last_key).items():
        device_count, last_seen_ms = counts.get(key, (0, 0))
        found[key] = Facts(
            bool(account.password_hash), account.must_change, last_seen_ms, device_count
        )
    return found


def save(
    db: Database, make_saving: Callable[[], Saving], spared: tuple[int, DeviceId] | None
) -> None:
    """Store a change of the directory. Who is given a new password must sign in with it: tokens and certificates are void,
    but those of one person's device. Raises StaleVersion, AnchorTaken."""
    saving = make_saving()
    directory.save(db, saving)
    for password in saving.passwords:
        key, device = spared or (0, None)
        devices.revoke(db, password.key, device if key == password.key else None)


def size_bytes(db: Database) -> int:
    """How much the database takes on the disk."""
    return meta.size_bytes(db)
