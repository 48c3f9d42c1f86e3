# SPDX-License-Identifier: GPL-3.0-or-later
"""On what was measured: processor, system, versions, and how long the disk takes to be sure."""

import os
import platform
import sqlite3
import ssl
import time
from importlib import metadata
from pathlib import Path
from typing import Final

from msgspec import Struct

_SYNCS: Final = 300
_SYNCED_BYTES: Final = 4 << 10


class Machine(Struct, frozen=True):
    """The machine and what runs on it."""

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    python: str
    openssl: str
    sqlite: str
    msgspec: str
    twisted: str
    file_system: str
    sync_p50_ms: float
    """``fdatasync`` after 4 KiB more in a file: what the disk takes to have something durable."""
    sync_p99_ms: float


def look(folder: Path) -> Machine:
    """The facts; ``folder`` is where the databases will be."""
    syncs = sorted(_sync_times_ms(folder))
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        kernel=platform.release(),
        python=platform.python_version(),
        openssl=ssl.OPENSSL_VERSION,
        sqlite=sqlite3.sqlite_version,
        msgspec=metadata.version("msgspec"),
        twisted=metadata.version("twisted"),
        file_system=_file_system(folder),
        sync_p50_ms=round(syncs[len(syncs) // 2], 3),
        sync_p99_ms=round(syncs[len(syncs) * 99 // 100], 3),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The kind of the mounted file system in which a folder lies."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, mounted, *_ = line.split()
        if folder.resolve().is_relative_to(place) and len(place) >= len(best):
            best, kind = place, mounted
    return kind


def _sync_times_ms(folder: Path) -> list[float]:
    path = folder / "sync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(_SYNCED_BYTES))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    path.unlink()
    return times
