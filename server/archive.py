# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup in one file: a tar archive in Zstandard with a manifest, the database, config.toml and, as a rule, the keys.

Only names that stand in this page are ever taken out of an archive, and only after their SHA-256 was found right.
"""

import contextlib
import datetime as dt
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import msgspec
import zstandard
from msgspec import Struct

from server.failures import Exit, Failure
from server.organisation import FILE_MODE, FOLDER_MODE, sync_folder

FORMAT: Final = 1
"""Raised when older programs could not restore the archive any more."""
SUFFIX: Final = ".lanyard-backup"
MANIFEST: Final = "manifest.json"
DATABASE: Final = "lanyard.db"
CONFIG: Final = "config.toml"
KEYS: Final = (
    "keys/authority.crt.pem",
    "keys/authority.key.pem",
    "keys/server.crt.pem",
    "keys/server.key.pem",
)
MAX_MANIFEST_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 20


class Member(Struct, frozen=True):
    """One file in the archive."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What an archive holds and whose it is; its first entry."""

    format: int
    software: str
    created_ms: int
    organisation: str
    organisation_id: str
    """Hexadecimal."""
    schema_version: int
    members: tuple[Member, ...]

    @property
    def has_keys(self) -> bool:
        """Whether an organisation can be brought back from it on a new machine."""
        names = {member.name for member in self.members}
        return names.issuperset(KEYS)


class ArchiveInvalid(Failure):
    """The file is no backup, or damaged, or of a newer format."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Exit.BAD_DATA)


def file_name(organisation: str, now_ms: int) -> str:
    """A name for a backup made now, such as ``example-20300317T174640Z.lanyard-backup``."""
    at = dt.datetime.fromtimestamp(now_ms // 1000, dt.UTC)
    name = "".join(letter if letter.isalnum() else "-" for letter in organisation.lower()).strip(
        "-"
    )
    return f"{name[:40] or 'lanyard'}-{at:%Y%m%dT%H%M%SZ}{SUFFIX}"


def describe(files: dict[str, Path]) -> tuple[Member, ...]:
    """Sizes and checksums of files by the names that they get in the archive. Raises OSError."""
    found = []
    for name, path in files.items():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(Member(name, path.stat().st_size, digest))
    return tuple(found)


def write(target: Path, manifest: Manifest, files: dict[str, Path]) -> None:
    """Write an archive whole or not at all, readable by the owner alone. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            _add(archive, MANIFEST, io.BytesIO(text := msgspec.json.encode(manifest)), len(text))
            for member in manifest.members:
                with files[member.name].open("rb") as file:
                    _add(archive, member.name, file, member.size_bytes)
        with Path(name).open("rb") as written:
            os.fsync(written.fileno())
        Path(name).chmod(FILE_MODE)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def read_manifest(source: Path) -> Manifest:
    """What an archive says it holds. Raises ArchiveInvalid, Failure when it can't be read."""
    with _opened(source) as archive:
        return _manifest(archive, source)


def unpack(source: Path, folder: Path) -> Manifest:
    """Take everything out into an empty folder. Raises ArchiveInvalid for anything but what the manifest promises, OSError."""
    with _opened(source) as archive:
        manifest = _manifest(archive, source)
        missing = {member.name: member for member in manifest.members}
        while (entry := archive.next()) is not None:
            member = missing.pop(entry.name, None)
            content = archive.extractfile(entry) if entry.isreg() else None
            if member is None or content is None or entry.size != member.size_bytes:
                raise ArchiveInvalid(f"{source}: unexpected entry {entry.name[:100]!r}.")
            path = folder / member.name
            path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            if _copy_out(content, path) != member.sha256:
                raise ArchiveInvalid(f"{source}: {member.name} is damaged (checksum).")
    if missing:
        raise ArchiveInvalid(f"{source}: {', '.join(missing)} is missing.")
    return manifest


def _copy_out(content: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            source.open("rb") as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as packed,
            tarfile.open(fileobj=packed, mode="r|") as archive,
        ):
            yield archive
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise ArchiveInvalid(f"{source} is not a backup, or damaged: {error}.") from error
    except FileNotFoundError as error:
        raise Failure(f"{source} does not exist.", Exit.NO_INPUT) from error
    except PermissionError as error:
        raise Failure(f"{error.filename} may not be read or written.", Exit.NO_RIGHTS) from error


def _manifest(archive: tarfile.TarFile, source: Path) -> Manifest:
    first = archive.next()
    content = archive.extractfile(first) if first is not None and first.isreg() else None
    if (
        first is None
        or content is None
        or first.name != MANIFEST
        or first.size > MAX_MANIFEST_BYTES
    ):
        raise ArchiveInvalid(f"{source} is not a backup of a Lanyard server.")
    try:
        manifest = msgspec.json.decode(content.read(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise ArchiveInvalid(f"{source}: the manifest can't be read: {error}.") from error
    if manifest.format > FORMAT:
        raise ArchiveInvalid(
            f"{source} was made by a newer program ({manifest.software}); update this one first."
        )
    names = [member.name for member in manifest.members]
    if len(set(names)) != len(names) or not {DATABASE} <= set(names) <= {DATABASE, CONFIG, *KEYS}:
        raise ArchiveInvalid(f"{source}: the manifest lists files that no backup has.")
    return manifest


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size_bytes: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    entry.mode = FILE_MODE
    archive.addfile(entry, content)
