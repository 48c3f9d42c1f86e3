# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with the store, as sentences that an administrator can act on."""

import sqlite3
from typing import Final

import peewee


class StoreError(Exception):
    """Base class of the room."""


class DatabaseUnusable(StoreError):
    """The database can't be opened: its address or its file is wrong."""


class StoreBusy(StoreError):
    """More waits for the disk than may wait; nothing was taken. Try again a little later."""


class StoreClosed(StoreError):
    """The server is shutting down; nothing was taken."""


class StoreUnavailable(StoreError):
    """Something was not stored, because the disk or the file failed. Nothing of it is there; it may be tried again."""


class DiskFull(StoreUnavailable):
    """There is no room left on the disk."""


class StoreBroken(StoreUnavailable):
    """The disk or the file can't be written, or the file is damaged."""


# Primary result codes (sqlite.org/rescode.html) of what no statement of ours can cause.
_BROKEN: Final = {
    sqlite3.SQLITE_IOERR: "The disk failed while the database was being read or written",
    sqlite3.SQLITE_CORRUPT: "The database is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "The file is not a database; restore a backup",
    sqlite3.SQLITE_READONLY: "The database may not be written; check the rights of its file and folder",
    sqlite3.SQLITE_CANTOPEN: "The database or a file beside it can't be opened; check its folder",
    sqlite3.SQLITE_PERM: "The database may not be opened; check the rights of its file and folder",
    sqlite3.SQLITE_BUSY: "Another program holds the database; only one server may use it",
    sqlite3.SQLITE_LOCKED: "Another program holds the database; only one server may use it",
    sqlite3.SQLITE_PROTOCOL: "Another program holds the database; only one server may use it",
    sqlite3.SQLITE_NOMEM: "There was no memory left for the database",
}


def as_store_error(error: BaseException) -> StoreUnavailable | None:
    """What a failure of the database means for the store as a whole; None when only its statement or its caller is at fault."""
    if not isinstance(error, sqlite3.Error | peewee.PeeweeException):
        return None
    # A rollback that fails because SQLite has rolled back already hides what made it do so.
    cause: BaseException | None = error
    while cause is not None:
        code = getattr(cause, "sqlite_errorcode", None)
        if code is not None:
            primary = int(code) & 0xFF
            if primary == sqlite3.SQLITE_FULL:
                return DiskFull("The disk is full: nothing can be stored until there is room.")
            if primary in _BROKEN:
                return StoreBroken(f"{_BROKEN[primary]} ({cause}).")
        cause = cause.__cause__ or cause.__context__
    return None
