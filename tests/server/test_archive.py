# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in one file: what went in comes out; anything else is refused and leaves nothing outside the folder."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server import archive
from server.archive import ArchiveInvalid, Manifest
from server.failures import Exit, Failure

CONTENT = {archive.DATABASE: b"database" * 1000, archive.CONFIG: b"", archive.KEYS[1]: b"secret"}


def make(folder: Path, content: dict[str, bytes] = CONTENT) -> Path:
    """A backup of these files."""
    files = {}
    for number, (name, data) in enumerate(content.items()):
        files[name] = folder / f"source-{number}"
        files[name].write_bytes(data)
    manifest = Manifest(
        archive.FORMAT, "lanyard 1", 1_900_000_000_000, "Example", "ab", 2, archive.describe(files)
    )
    target = folder / "x.lanyard-backup"
    archive.write(target, manifest, files)
    return target


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    backup = make(tmp_path)
    assert backup.stat().st_mode & 0o777 == 0o600
    out = tmp_path / "out"
    out.mkdir()
    manifest = archive.unpack(backup, out)
    assert manifest == archive.read_manifest(backup)
    assert manifest.organisation == "Example"
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT
    assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o600}


def test_only_a_backup_with_all_keys_brings_an_organisation_back(tmp_path: Path) -> None:
    assert not archive.read_manifest(make(tmp_path)).has_keys
    every = CONTENT | dict.fromkeys(archive.KEYS, b"key")
    assert archive.read_manifest(make(tmp_path, every)).has_keys


def test_a_backup_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    backup = make(tmp_path)
    before = backup.read_bytes()
    manifest = archive.read_manifest(backup)
    with pytest.raises(FileNotFoundError):
        archive.write(backup, manifest, dict.fromkeys(CONTENT, tmp_path / "gone"))
    assert backup.read_bytes() == before
    assert not list(tmp_path.glob(".x*"))


def repacked(backup: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> Path:
    """The same archive with other entries."""
    entries = []
    with backup.open("rb") as raw, tarfile.open(fileobj=zstandard.open(raw), mode="r|") as opened:
        for entry in opened:
            content = opened.extractfile(entry)
            entries.append((entry, content.read() if content else b""))
    change(entries)
    target = backup.with_name("changed.lanyard-backup")
    with (
        target.open("wb") as raw_out,
        zstandard.open(raw_out, "wb") as packed,
        tarfile.open(fileobj=packed, mode="w|") as out,
    ):
        for entry, data in entries:
            out.addfile(entry, io.BytesIO(data))
    return target


def regular(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    return entry, data


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.SYMTYPE
    entry.linkname = target
    return entry, b""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda entries: entries.pop(), "is missing"),
        (lambda entries: entries.append(regular("../escaped", b"x")), "unexpected entry"),
        (lambda entries: entries.append(regular("/tmp/escaped", b"x")), "unexpected entry"),
        (lambda entries: entries.insert(1, link("keys", "/tmp")), "unexpected entry"),
        (lambda entries: entries.append(entries[1]), "unexpected entry"),
        (
            lambda entries: entries.__setitem__(1, regular(archive.DATABASE, b"DATABASE" * 1000)),
            "damaged",
        ),
        (lambda entries: entries.__setitem__(1, regular(archive.DATABASE, b"")), "unexpected"),
        (lambda entries: entries.__setitem__(1, link(archive.DATABASE, "/etc")), "unexpected"),
        (lambda entries: entries.pop(0), "not a backup of a Lanyard server"),
        (lambda entries: entries.clear(), "not a backup of a Lanyard server"),
        (lambda entries: entries.__setitem__(0, regular(archive.MANIFEST, b"{}")), "manifest"),
    ],
    ids=[
        "file-missing",
        "upwards",
        "absolute",
        "link",
        "twice",
        "other-content",
        "shorter",
        "file-is-link",
        "no-manifest",
        "empty",
        "other-manifest",
    ],
)
def test_a_changed_archive_is_refused(
    tmp_path: Path,
    change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None],
    sentence: str,
) -> None:
    changed = repacked(make(tmp_path), change)
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    with pytest.raises(ArchiveInvalid, match=sentence) as caught:
        archive.unpack(changed, out)
    assert caught.value.exit_code == Exit.BAD_DATA
    assert not list(tmp_path.rglob("escaped"))


def test_a_manifest_cannot_name_other_files(tmp_path: Path) -> None:
    backup = make(tmp_path)
    manifest = archive.read_manifest(backup)
    members = (*manifest.members, archive.Member("../x", 1, ""))
    text = msgspec.json.encode(msgspec.structs.replace(manifest, members=members))
    changed = repacked(
        backup, lambda entries: entries.__setitem__(0, regular(archive.MANIFEST, text))
    )
    with pytest.raises(ArchiveInvalid, match="files that no backup has"):
        archive.read_manifest(changed)


def test_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    backup = make(tmp_path)
    newer = msgspec.structs.replace(archive.read_manifest(backup), format=archive.FORMAT + 1)
    text = msgspec.json.encode(newer)
    changed = repacked(
        backup, lambda entries: entries.__setitem__(0, regular(archive.MANIFEST, text))
    )
    with pytest.raises(ArchiveInvalid, match="newer program"):
        archive.read_manifest(changed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=500), st.integers(0, 10_000))
def test_rubbish_and_truncation_are_refused(tmp_path: Path, rubbish: bytes, length: int) -> None:
    good = make(tmp_path).read_bytes()
    for data in (rubbish, good[: length % len(good)]):
        path = tmp_path / "bad"
        path.write_bytes(data)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        with pytest.raises(ArchiveInvalid):
            archive.unpack(path, tmp_path / "out")


def test_a_backup_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="does not exist") as caught:
        archive.read_manifest(tmp_path / "gone")
    assert caught.value.exit_code == Exit.NO_INPUT


@pytest.mark.parametrize(
    ("organisation", "name"),
    [
        ("Example Ltd", "example-ltd-20300317T174640Z.lanyard-backup"),
        ("../../etc", "etc-20300317T174640Z.lanyard-backup"),
        ("", "lanyard-20300317T174640Z.lanyard-backup"),
    ],
)
def test_a_backup_is_named_for_organisation_and_time(organisation: str, name: str) -> None:
    assert archive.file_name(organisation, 1_900_000_000_000) == name
