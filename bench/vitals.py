# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process and a core have used, read from the kernel; and keeping processes on their cores."""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

_IDLE_COLUMNS: Final = (3, 4)
"""Of a line of /proc/stat: idle, and waiting for a disk."""


class Cores(Struct, frozen=True):
    """Which core the server has, and which the load. They are the same on a machine with one."""

    server: int
    load: int

    @property
    def are_apart(self) -> bool:
        """Whether the load does not disturb the server."""
        return self.server != self.load


def choose_cores() -> Cores:
    """The first core for the server, the second for the load."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[min(1, len(allowed) - 1)])


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes that are started meanwhile stay on this core; so does this one until the end of it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_descriptors(count: int) -> bool:
    """Let this process and its children open so many files; whether the system permits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return True
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted >= count


def cpu_s(process: int) -> float:
    """Processor time of a process with all its threads, to the microsecond."""
    return time.clock_gettime(~process << 3 | 2)  # the kernel's number for a process's CPU clock


def memory_kb(process: int) -> tuple[int, int]:
    """Resident memory, and its proportional share where pages are shared with others."""
    found = {}
    for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0])
    return found["Rss"], found["Pss"]


class CoreClock:
    """How long a core was busy, whoever used it."""

    def __init__(self, core: int) -> None:
        self._line = f"cpu{core} "

    def busy_s(self) -> float:
        """Seconds since the machine started in which the core did anything; in steps of a hundredth."""
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            if line.startswith(self._line):
                ticks = [int(column) for column in line.split()[1:9]]
                idle = sum(ticks[column] for column in _IDLE_COLUMNS)
                return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
        return 0.0
