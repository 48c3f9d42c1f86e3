# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of one account on this computer: private to its owner, used by one program at a time."""

import os
import sys
from pathlib import Path
from typing import IO, Final

from client.core.errors import ProfileInUse, ProfileUnusable

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


class Profile:
    """The folder, locked while it is open. Raises ProfileInUse or ProfileUnusable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            folder.chmod(FOLDER_MODE)
            self._lock = _open_private(folder / "lock")
        except OSError as error:
            raise ProfileUnusable(f"The profile folder {folder} can't be used: {error}") from error
        if not _try_lock(self._lock):
            self._lock.close()
            raise ProfileInUse(f"Another program has the profile {folder} open; close it first.")

    @property
    def store_path(self) -> Path:
        """The local copy."""
        return self.folder / "store.sqlite"

    def close(self) -> None:
        """Let others use it."""
        self._lock.close()


def write_private(path: Path, data: bytes) -> None:
    """Replace a file that only its owner may read: whole or not at all, also when the power goes."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with _open_private(fresh) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _open_private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE), "r+b")


def _try_lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed or its process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
