# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of the store, by name and type."""

from typing import Final, Generic, TypeVar

import msgspec

from client.core.store.database import Db
from protocol.ids import DeviceId, UserId
from protocol.messages.session import Policy

Value = TypeVar("Value")


class Key(Generic[Value]):
    """Names one value and says what it is."""

    def __init__(self, name: str, kind: type[Value]) -> None:
        self.name = name
        self.decoder = msgspec.msgpack.Decoder(kind)


class StoredAccount(msgspec.Struct, frozen=True):
    """Whose data these are."""

    organisation_id: bytes
    user: UserId
    login: str
    name: str
    permissions: tuple[str, ...] = ()
    policy: Policy = Policy()


class Trust(msgspec.Struct, frozen=True):
    """The organisation that was trusted at first use, and where its server was found."""

    authority: bytes
    """Its certificate, DER."""
    organisation: str
    address: str
    latest_server_ms: int = 0
    """The latest time that its server has stated: it never runs back, so an expired certificate stays expired."""


DEVICE: Final = Key("device", bytes)
"""DeviceId, made at the first start."""
ACCOUNT: Final = Key("account", StoredAccount)
TRUST: Final = Key("trust", Trust)
EPOCH: Final = Key("epoch", bytes)
STAMP: Final = Key("stamp", int)
"""Everything up to this stamp of the server is accounted for."""
DIRECTORY_VERSION: Final = Key("directory_version", int)


def load(db: Db, key: Key[Value]) -> Value | None:
    """The value, or None when it was never set."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (key.name,)).fetchone()
    return None if row is None else key.decoder.decode(row[0])


def save(db: Db, key: Key[Value], value: Value) -> None:
    """Set the value."""
    db.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)",
        (key.name, msgspec.msgpack.encode(value)),
    )


def forget(db: Db, key: Key[Value]) -> None:
    """Remove the value."""
    db.execute("DELETE FROM meta WHERE name = ?", (key.name,))


def device(db: Db, fresh: DeviceId) -> DeviceId:
    """This device's id; ``fresh`` becomes it when there is none yet."""
    known = load(db, DEVICE)
    if known is None:
        save(db, DEVICE, fresh)
        return fresh
    return known
