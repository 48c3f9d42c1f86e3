# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which an organisation lives: what lies where, who may read it, and that one server runs on it.

config.toml   keys/   lanyard.db   backups/   control.sock   lock
"""

import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from server import config_file
from server.config import Config
from server.failures import Exit, Failure

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
"""Keys, database and control socket are the owner's alone."""

CONFIG_NAME: Final = "config.toml"
MAX_SOCKET_PATH_BYTES: Final = 107
"""unix(7): sun_path holds 108 bytes with its end mark."""
_SQLITE: Final = "sqlite:"


class Organisation:
    """The paths of one organisation's folder. Reads nothing by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.config_file = self.folder / CONFIG_NAME
        self.keys = self.folder / "keys"
        self.authority_certificate = self.keys / "authority.crt.pem"
        self.authority_key = self.keys / "authority.key.pem"
        self.server_certificate = self.keys / "server.crt.pem"
        self.server_key = self.keys / "server.key.pem"
        self.lock_file = self.folder / "lock"

    @property
    def key_files(self) -> tuple[Path, ...]:
        """Certificates and keys, which a backup takes along."""
        return (
            self.authority_certificate,
            self.authority_key,
            self.server_certificate,
            self.server_key,
        )

    def database(self, config: Config) -> Path:
        """The database's file. Raises Failure for a store of another kind."""
        url = config.store.url
        if not url.startswith(_SQLITE) or not url.removeprefix(_SQLITE):
            raise Failure(
                f"store.url = {url!r} is not a store of this version; write {_SQLITE}FILE.",
                Exit.CONFIG,
            )
        return self.folder / url.removeprefix(_SQLITE).removeprefix("//")

    def backups(self, config: Config) -> Path:
        """Where backups go that are given no place."""
        return self.folder / config.store.backup_folder

    def control_socket(self, config: Config) -> Path:
        """The socket on which the running server takes commands. Raises Failure when the path is too long for one."""
        path = self.folder / config.control.socket
        if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            raise Failure(
                f"The path {path} is too long for a Unix socket ({MAX_SOCKET_PATH_BYTES} bytes); "
                "set control.socket to a shorter one, such as /run/lanyard/control.sock.",
                Exit.CONFIG,
            )
        return path

    def load_config(self) -> Config:
        """Read config.toml. Raises Failure when this is no organisation's folder, or the file is wrong."""
        try:
            is_ours = self.config_file.is_file()
        except PermissionError as error:
            raise Failure(
                f"{self.folder} may not be read by this user. {_who_owns(self.folder)}",
                Exit.NO_RIGHTS,
            ) from error
        if not is_ours:
            what = "has no config.toml" if self.folder.is_dir() else "does not exist"
            raise Failure(
                f"{self.folder} is not an organisation's folder: it {what}. "
                f"`lanyard-server init {self.folder}` makes one.",
                Exit.NO_INPUT,
            )
        return config_file.load(self.config_file)

    def check_owner(self) -> None:
        """Raise Failure unless the folder belongs to the user who runs this; root may look after any."""
        owner = self.folder.stat().st_uid
        if owner != os.geteuid():
            raise Failure(
                f"{_who_owns(self.folder)} Run the command as that user, for example: "
                f"sudo -u '#{owner}' lanyard-server ...",
                Exit.NO_RIGHTS,
            )


class FolderLock:
    """Held by the one process that may change the organisation: the server, or a command while no server runs."""

    def __init__(self, organisation: Organisation) -> None:
        self._path = organisation.lock_file
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises Failure (Exit.BUSY), naming the process that has it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 100, 0).decode("ascii", "replace").strip()
            os.close(handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise Failure(
                f"{self._path.parent} is in use by process {holder or 'unknown'}: "
                "one server runs on one folder.",
                Exit.BUSY,
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; harmless when it is not held. The file stays: removing it would let two processes lock two files."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def holder(self) -> int | None:
        """The process that has the lock now, 0 when it does not say; None when nobody has it. Does not create the lock's file."""
        if not self._path.exists():
            return None
        try:
            self.acquire()
        except Failure:
            text = self._path.read_text(encoding="ascii", errors="replace").strip()
            return int(text) if text.isdigit() else 0
        self.release()
        return None


def write_private(path: Path, data: bytes) -> None:
    """Put a file in place whole or not at all, readable by the owner alone, durable when this returns."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_private(path: Path) -> bytes:
    """Read a key's file. Raises Failure when it is missing, not ours, or open to others: then it is no secret any more."""
    try:
        status = path.stat()
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Failure(
            f"{path} is missing. Bring it back from a backup (lanyard-server restore --keys).",
            Exit.CONFIG,
        ) from error
    except PermissionError as error:
        raise Failure(f"{path} may not be read. {_who_owns(path)}", Exit.NO_RIGHTS) from error
    if status.st_uid not in (os.geteuid(), 0):
        raise Failure(f"{path} belongs to somebody else. {_who_owns(path)}", Exit.CONFIG)
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise Failure(
            f"{path} can be read by others (mode {mode:04o}). Mend it: chmod 600 {path}. "
            "If somebody may have read it, make a new organisation.",
            Exit.CONFIG,
        )
    return data


def _who_owns(path: Path) -> str:
    try:
        return f"{path} belongs to user {path.owner()}."
    except (KeyError, OSError):
        return f"{path} belongs to another user."
