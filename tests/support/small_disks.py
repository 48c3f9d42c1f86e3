# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that a test may fill: a small one of its own in memory, or a limit on the size of the server's files."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from tests.support.server_process import ServerProcess

DISK_BYTES: Final = 8 << 20
BALLAST: Final = "ballast"


class Disk(Protocol):
    """Where an organisation's folder lies."""

    folder: Path
    """Empty at first."""

    def fill(self, server: ServerProcess) -> None:
        """From now on nothing more fits on it."""

    def make_room(self, server: ServerProcess) -> None:
        """There is room again."""


class SmallDisk:
    """A file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: ServerProcess) -> None:
        """Write until the disk says no, by ever smaller pieces."""
        with (self.folder / BALLAST).open("ab", buffering=0) as ballast:
            for piece in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(piece))

    def make_room(self, server: ServerProcess) -> None:
        """Remove what was written."""
        (self.folder / BALLAST).unlink()


class FileSizeLimit:
    """An ordinary disk; the server's files may not grow beyond the size that its log of the database has now. Needs no rights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: ServerProcess) -> None:
        """Set the limit of the running process."""
        (log,) = self.folder.glob("*.db-wal")
        self._limit(server, log.stat().st_size)

    def make_room(self, server: ServerProcess) -> None:
        """Lift it."""
        self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: ServerProcess, size_bytes: int) -> None:
        assert server._process is not None
        _, hard = resource.prlimit(server._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server._process.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A small disk; for who may not mount one, a limit instead."""
    folder.mkdir(mode=0o700)
    options = f"size={DISK_BYTES},mode=700"
    if not _succeeds(["mount", "-t", "tmpfs", "-o", options, "lanyard-test", str(folder)]):
        yield FileSizeLimit(folder)
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    except FileNotFoundError:
        return False
    return done.returncode == 0
