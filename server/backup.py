# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a backup of an organisation, and bringing one back. The archive's form is archive.py's."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from protocol import identity
from server import archive
from server.archive import ArchiveInvalid, Manifest
from server.authority import read_certificate_file
from server.config import Config
from server.failures import Exit, Failure
from server.organisation import FILE_MODE, FOLDER_MODE, Organisation, sync_folder
from server.software import software
from server.store.migrate import MigrationError, known_steps, schema_version
from server.store.snapshot import SnapshotFailed, copy_database, damages, renew_epoch_of

SPARE_FRACTION: Final = 1.1
"""Free space that is asked for, as a part of what will be written: a disk that is just full helps nobody."""
LOG_SUFFIXES: Final = ("-wal", "-shm")
"""What SQLite keeps beside a database in use."""


class Backup(Struct, frozen=True):
    """A backup that was taken."""

    path: Path
    manifest: Manifest
    size_bytes: int


def take(
    organisation: Organisation, config: Config, target: Path, now_ms: int, *, with_keys: bool = True
) -> Backup:
    """Write a backup of the organisation as it is at this moment, whether its server runs or not. Raises Failure.

    ``target`` is a file that is not there yet, or a folder in which the backup gets a name of its own.
    """
    if target.is_dir():
        target /= archive.file_name(config.organisation.name, now_ms)
    if target.exists():
        raise Failure(f"{target} is already there.", Exit.CANT_CREATE)
    database = organisation.database(config)
    with _told_why(target):
        target.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _require_space(target.parent, database.stat().st_size * 2)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".lanyard-backup-") as scratch:
            copy = Path(scratch) / archive.DATABASE
            copy_database(database, copy)
            files = {archive.DATABASE: copy, archive.CONFIG: organisation.config_file}
            if with_keys:
                files |= {
                    str(path.relative_to(organisation.folder)): path
                    for path in organisation.key_files
                }
            manifest = Manifest(
                archive.FORMAT,
                software(),
                now_ms,
                config.organisation.name,
                organisation_id(organisation),
                schema_version(copy),
                archive.describe(files),
            )
            archive.write(target, manifest, files)
    return Backup(target, manifest, target.stat().st_size)


@contextlib.contextmanager
def unpacked(source: Path, beside: Path) -> Iterator[tuple[Manifest, Path]]:
    """A backup taken out and checked in a folder that is gone afterwards; on the same disk as ``beside``. Raises Failure."""
    manifest = archive.read_manifest(source)
    newest = known_steps()[-1].number
    if manifest.schema_version > newest:
        raise ArchiveInvalid(
            f"{source} has schema {manifest.schema_version}, this program knows {newest}: "
            "it was made by a newer version. Install that version first."
        )
    with _told_why(beside):
        _require_space(beside, sum(member.size_bytes for member in manifest.members))
        with tempfile.TemporaryDirectory(dir=beside, prefix=".lanyard-restore-") as scratch:
            folder = Path(scratch)
            archive.unpack(source, folder)
            found = damages(folder / archive.DATABASE)
            if found:
                raise ArchiveInvalid(f"{source}: the database in it is damaged: {found[0]}.")
            yield manifest, folder


def organisation_id(organisation: Organisation) -> str:
    """The organisation's identity as manifests hold it. Raises Failure."""
    return identity.fingerprint(read_certificate_file(organisation.authority_certificate)).hex()


def put_restored(new: Path, database: Path, now_ms: int) -> Path | None:
    """Begin a new epoch in a restored database and move it to where the server looks; nobody uses either.

    Where the old one is kept, or None. Raises Failure.
    """
    with _told_why(database):
        begin_epoch(new)
        return _put_in_place(new, database, now_ms)


def begin_epoch(database: Path) -> None:
    """Make clients forget what they knew of the history after the backup. Raises Failure."""
    with _told_why(database):
        renew_epoch_of(database)


def put_back(kept: Path, database: Path) -> None:
    """Undo ``put_restored``: the restored database could not be used and is dropped. Raises OSError."""
    for suffix in ("", *LOG_SUFFIXES):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
        old = kept.with_name(kept.name + suffix)
        if old.exists():
            old.rename(database.with_name(database.name + suffix))
    sync_folder(database.parent)


def _put_in_place(new: Path, database: Path, now_ms: int) -> Path | None:
    kept = None
    if database.exists():
        kept = _free_name(database, now_ms)
        for suffix in ("", *LOG_SUFFIXES):
            old = database.with_name(database.name + suffix)
            if old.exists():
                old.rename(kept.with_name(kept.name + suffix))
    new.chmod(FILE_MODE)
    new.rename(database)
    sync_folder(database.parent)
    return kept


def put_files_in_place(folder: Path, manifest: Manifest, organisation: Organisation) -> None:
    """Copy config.toml and keys from an unpacked backup into an organisation's folder. Raises OSError."""
    for member in manifest.members:
        if member.name == archive.DATABASE:
            continue
        target = organisation.folder / member.name
        target.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        if target.exists():
            target.replace(target.with_name(f"{target.name}.before-restore"))
        shutil.copy(folder / member.name, target)
        target.chmod(FILE_MODE)
        sync_folder(target.parent)


def _free_name(database: Path, now_ms: int) -> Path:
    name = f"{database.name}.before-restore-{now_ms // 1000}"
    kept = database.with_name(name)
    number = 1
    while kept.exists():
        number += 1
        kept = database.with_name(f"{name}.{number}")
    return kept


def _require_space(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes * SPARE_FRACTION:
        raise Failure(
            f"{folder} has {free_bytes >> 20} MB of free space; "
            f"{int(needed_bytes * SPARE_FRACTION) >> 20} MB are needed.",
            Exit.IO_ERROR,
        )


@contextlib.contextmanager
def _told_why(place: Path) -> Iterator[None]:
    """Turn what goes wrong with files into sentences."""
    try:
        yield
    except (SnapshotFailed, MigrationError) as error:
        raise Failure(f"{error}", Exit.IO_ERROR) from error
    except PermissionError as error:
        raise Failure(
            f"{error.filename or place} may not be read or written by this user.", Exit.NO_RIGHTS
        ) from error
    except OSError as error:
        raise Failure(
            f"{error.filename or place}: {os.strerror(error.errno or 0)}.", Exit.IO_ERROR
        ) from error
