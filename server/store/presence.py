# SPDX-License-Identifier: GPL-3.0-or-later
"""What people set about their presence by hand. The rest of presence is never stored."""

from msgspec import Struct
from peewee import Database


class SettingRow(Struct, frozen=True):
    """State and status text that a person set; empty: none."""

    state: str = ""
    status: str = ""
    status_until_ms: int = 0
    """Unix milliseconds; 0: never ends."""


def load(db: Database) -> dict[int, SettingRow]:
    """All settings, by the person's key."""
    rows = db.execute_sql("SELECT person, state, status, status_until_ms FROM presence_setting")
    return {key: SettingRow(state, status, until_ms) for key, state, status, until_ms in rows}


def put(db: Database, key: int, row: SettingRow) -> None:
    """Replace a person's setting."""
    if row == SettingRow():
        db.execute_sql("DELETE FROM presence_setting WHERE person = ?", (key,))
        return
    db.execute_sql(
        "INSERT INTO presence_setting (person, state, status, status_until_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (person) DO UPDATE SET state = excluded.state, status = excluded.status,"
        " status_until_ms = excluded.status_until_ms",
        (key, row.state, row.status, row.status_until_ms),
    )
