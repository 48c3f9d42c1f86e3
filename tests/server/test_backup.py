# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup taken and brought back: whole, private, of the right organisation, with a new epoch; the old database is kept."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from server import archive, authority, backup, config_file
from server.config import Config
from server.failures import Exit, Failure
from server.organisation import Organisation, write_private
from server.store.migrate import migrate

NOW_MS = 1_900_000_000_000


@pytest.fixture
def organisation(tmp_path: Path) -> Organisation:
    folder = tmp_path / "organisation"
    folder.mkdir(mode=0o700)
    made = Organisation(folder)
    authority.create(made, "Example", Config().certificate, NOW_MS)
    write_private(made.config_file, config_file.render(Config()).encode())
    migrate(made.database(Config()))
    put(made, b"before")
    return made


def put(organisation: Organisation, value: bytes) -> None:
    """Write something that tells states apart."""
    with contextlib.closing(sqlite3.connect(organisation.database(Config()))) as opened:
        opened.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', ?)", (value,))
        opened.commit()


def value_of(database: Path, key: str = "probe") -> bytes:
    with contextlib.closing(sqlite3.connect(database)) as opened:
        row = opened.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return bytes(row[0]) if row else b""


def take(organisation: Organisation, target: Path, *, with_keys: bool = True) -> Path:
    return backup.take(organisation, Config(), target, NOW_MS, with_keys=with_keys).path


def test_a_backup_holds_everything_and_is_private(
    organisation: Organisation, tmp_path: Path
) -> None:
    path = take(organisation, tmp_path)
    assert path.name == "lanyard-20300317T174640Z.lanyard-backup"
    assert path.stat().st_mode & 0o777 == 0o600
    manifest = archive.read_manifest(path)
    assert manifest.has_keys
    assert manifest.organisation_id == backup.organisation_id(organisation)
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "organisation"]
    bare = archive.read_manifest(take(organisation, tmp_path / "bare", with_keys=False))
    assert not bare.has_keys
    assert not [member.name for member in bare.members if "key" in member.name]


def test_a_restored_database_begins_a_new_epoch_and_the_old_one_is_kept(
    organisation: Organisation, tmp_path: Path
) -> None:
    path = take(organisation, tmp_path)
    put(organisation, b"after")
    database = organisation.database(Config())
    with backup.unpacked(path, organisation.folder) as (_, unpacked):
        new = unpacked / archive.DATABASE
        epoch = value_of(new, "epoch")
        kept = backup.put_restored(new, database, NOW_MS)
    assert value_of(database) == b"before"
    assert value_of(database, "epoch") not in (b"", epoch)
    assert kept is not None
    assert value_of(kept) == b"after"
    backup.put_back(kept, database)
    assert value_of(database) == b"after"
    assert sorted(each.name for each in organisation.folder.iterdir()) == [
        "config.toml",
        "keys",
        "lanyard.db",
    ]


def test_what_still_stands_in_the_log_of_the_old_database_is_kept_with_it(
    organisation: Organisation, tmp_path: Path
) -> None:
    path = take(organisation, tmp_path)
    database = organisation.database(Config())
    crashed = sqlite3.connect(database)
    crashed.execute("PRAGMA journal_mode = WAL")
    crashed.execute("PRAGMA wal_autocheckpoint = 0")
    crashed.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', x'77')")
    crashed.commit()
    for suffix in ("", "-wal"):  # as a killed server leaves them
        shutil.copy(f"{database}{suffix}", f"{tmp_path / 'copy'}{suffix}")
    crashed.close()
    for suffix in ("", "-wal"):
        shutil.copy(f"{tmp_path / 'copy'}{suffix}", f"{database}{suffix}")
    with backup.unpacked(path, organisation.folder) as (_, unpacked):
        kept = backup.put_restored(unpacked / archive.DATABASE, database, NOW_MS)
    assert kept is not None
    assert value_of(kept) == b"w"
    assert value_of(database) == b"before"


def test_two_restores_in_one_second_keep_both_databases(
    organisation: Organisation, tmp_path: Path
) -> None:
    path = take(organisation, tmp_path)
    kept = []
    for _ in range(2):
        with backup.unpacked(path, organisation.folder) as (_, unpacked):
            new = unpacked / archive.DATABASE
            kept.append(backup.put_restored(new, organisation.database(Config()), NOW_MS))
    assert len(set(kept)) == 2


def test_keys_come_back_beside_the_ones_that_were_there(
    organisation: Organisation, tmp_path: Path
) -> None:
    path = take(organisation, tmp_path)
    before = organisation.authority_key.read_bytes()
    write_private(organisation.authority_key, b"other")
    with backup.unpacked(path, organisation.folder) as (manifest, unpacked):
        backup.put_files_in_place(unpacked, manifest, organisation)
    assert organisation.authority_key.read_bytes() == before
    assert organisation.authority_key.stat().st_mode & 0o777 == 0o600
    aside = organisation.authority_key.with_name("authority.key.pem.before-restore")
    assert aside.read_bytes() == b"other"


def test_a_backup_is_never_written_over(organisation: Organisation, tmp_path: Path) -> None:
    path = take(organisation, tmp_path)
    with pytest.raises(Failure, match="already there") as caught:
        take(organisation, path)
    assert caught.value.exit_code == Exit.CANT_CREATE


def test_a_disk_without_room_is_said_before_anything_is_written(
    organisation: Organisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(Failure, match="free space") as caught:
        take(organisation, tmp_path / "x")
    assert caught.value.exit_code == Exit.IO_ERROR
    assert not (tmp_path / "x").exists()


def test_a_damaged_database_makes_no_backup(organisation: Organisation, tmp_path: Path) -> None:
    organisation.database(Config()).write_bytes(b"rubbish" * 1000)
    with pytest.raises(Failure, match="can't be copied"):
        take(organisation, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_backup_from_the_future_is_refused(organisation: Organisation, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(organisation.database(Config()))) as opened:
        opened.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")
        opened.commit()
    path = take(organisation, tmp_path)
    with (
        pytest.raises(Failure, match="newer version"),
        backup.unpacked(path, organisation.folder),
    ):
        pytest.fail("was unpacked")
    assert not list(organisation.folder.glob(".lanyard-restore-*"))
