# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server backup` and `restore`: everything in one file, and back from it."""

import argparse
import time
from pathlib import Path
from typing import Any

from protocol.errors import RequestRefused
from server import archive, backup
from server.archive import Manifest
from server.commands.arguments import Commands, add_folder_option, folder_of
from server.commands.outcome import Outcome
from server.commands.times import shown_size, shown_time
from server.config import Config
from server.failures import Exit, Failure
from server.operator_line import give_order
from server.orders import Restore, Restored
from server.organisation import FOLDER_MODE, FolderLock, Organisation


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    taken = commands.command(
        "backup", "write everything into one file, while the server runs", _backup
    )
    taken.add_argument(
        "target",
        nargs="?",
        type=Path,
        help="a new file, or a folder (otherwise store.backup_folder of the configuration)",
    )
    taken.add_argument(
        "--no-keys",
        action="store_true",
        help="leave the keys out: the file alone can't pass for the organisation then",
    )
    add_folder_option(taken)

    restored = commands.command(
        "restore",
        "go back to a backup; the server may run, and the folder may be a new one",
        _restore,
    )
    restored.add_argument("file", type=Path)
    restored.add_argument(
        "--keys",
        action="store_true",
        help="also bring back keys and config.toml (only while the server is stopped)",
    )
    add_folder_option(restored)


def _backup(arguments: argparse.Namespace) -> Outcome:
    organisation = Organisation(folder_of(arguments.dir))
    config = organisation.load_config()
    organisation.check_owner()
    target: Path = arguments.target or organisation.backups(config)
    if arguments.target is None:
        target.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    taken = backup.take(
        organisation, config, target, time.time_ns() // 1_000_000, with_keys=not arguments.no_keys
    )
    keys = "with keys: keep it like a key" if taken.manifest.has_keys else "without keys"
    return Outcome(
        f"Backup {taken.path} ({shown_size(taken.size_bytes)}, {keys}).",
        {"path": str(taken.path), "size_bytes": taken.size_bytes} | _data(taken.manifest),
    )


def _data(manifest: Manifest) -> dict[str, Any]:
    return {
        "organisation": manifest.organisation,
        "organisation_id": manifest.organisation_id,
        "created_ms": manifest.created_ms,
        "has_keys": manifest.has_keys,
    }


def _restore(arguments: argparse.Namespace) -> Outcome:
    organisation = Organisation(folder_of(arguments.dir))
    folder = organisation.folder
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return _restore_into_new(arguments.file, organisation)
    config = organisation.load_config()
    organisation.check_owner()
    lock = FolderLock(organisation)
    try:
        lock.acquire()
    except Failure:
        return _restore_into_running(arguments, organisation, config)
    try:
        with backup.unpacked(arguments.file, folder) as (manifest, unpacked):
            if arguments.keys:
                _require_keys(arguments.file, manifest)
                backup.put_files_in_place(unpacked, manifest, organisation)
                config = organisation.load_config()
            else:
                _require_same(manifest, organisation)
            kept = backup.put_restored(
                unpacked / archive.DATABASE, organisation.database(config), _now_ms()
            )
    finally:
        lock.release()
    return _restored(manifest, str(kept or ""), "The server is stopped; start it when you like.")


def _restore_into_new(source: Path, organisation: Organisation) -> Outcome:
    """Make the folder of an organisation from a backup, whole or not at all."""
    _require_keys(source, archive.read_manifest(source))
    folder = organisation.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with backup.unpacked(source, folder.parent) as (manifest, unpacked):
        unpacked.chmod(FOLDER_MODE)
        made = Organisation(unpacked)
        config = made.load_config()
        database = made.database(config)
        if database != unpacked / archive.DATABASE:
            raise Failure(
                f"The backup's store.url is {config.store.url}, outside the folder. "
                "Restore into an organisation's folder that is configured for it.",
                Exit.CONFIG,
            )
        backup.begin_epoch(database)
        unpacked.rename(folder)  # onto an empty folder, or where none is
        unpacked.mkdir()  # for the temporary folder to be removed
    return _restored(manifest, "", f"{folder} is ready to run.")


def _restore_into_running(
    arguments: argparse.Namespace, organisation: Organisation, config: Config
) -> Outcome:
    if arguments.keys:
        raise Failure("Keys are only restored while the server is stopped.", Exit.BUSY)
    path = organisation.control_socket(config)
    database = organisation.database(config)
    with backup.unpacked(arguments.file, database.parent) as (manifest, unpacked):
        _require_same(manifest, organisation)
        try:
            answer = give_order(path, Restore(str(unpacked / archive.DATABASE)))
        except RequestRefused as error:
            raise Failure(error.sentence) from error
    kept = answer.kept if isinstance(answer, Restored) else ""
    return _restored(manifest, kept, "The server serves again; everybody signs in anew.")


def _require_keys(source: Path, manifest: Manifest) -> None:
    if not manifest.has_keys:
        raise Failure(
            f"{source} holds no keys: with it only an existing organisation can go back.",
            Exit.BAD_DATA,
        )


def _require_same(manifest: Manifest, organisation: Organisation) -> None:
    """A database of another organisation would leave all clients without their server."""
    ours = backup.organisation_id(organisation)
    if manifest.organisation_id != ours:
        raise Failure(
            f"The backup is of another organisation, {manifest.organisation} "
            f"({manifest.organisation_id[:16]}...; this one is {ours[:16]}...). "
            "Restore it into a new folder, or take its keys, too: --keys.",
            Exit.BAD_DATA,
        )


def _restored(manifest: Manifest, kept: str, then: str) -> Outcome:
    text = f"Back to {manifest.organisation} as of {shown_time(manifest.created_ms)}. {then}"
    if kept:
        text += f"\nThe database that was in use is kept: {kept}"
    return Outcome(text, {"kept": kept} | _data(manifest))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
