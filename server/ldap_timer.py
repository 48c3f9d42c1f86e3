# SPDX-License-Identifier: GPL-3.0-or-later
"""Synchronisation by itself: every so many minutes the server starts `lanyard-ldapsync apply` as a child, as an administrator would.

What it may change without being asked, its own guards decide; what it says goes to the log.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

log = logging.getLogger("lanyard.ldap")

TIMEOUT_S: Final = 3600.0
"""A run that takes longer hangs."""
GRACE_S: Final = 10.0
"""For a child that is told to end; a run that was not committed leaves nothing."""
MAX_LOGGED_CHARS: Final = 4_000
"""Of what a run says; the rest is in `lanyard-ldapsync history` and `plan`."""


def apply_command(config: Path, name: str) -> list[str]:
    """How the child is started."""
    arguments = ("apply", "--config", str(config), "--directory", name, "--yes")
    return [sys.executable, "-m", "ldapsync.main", *arguments]


class SyncTimer:
    """Runs one command again and again in a thread of its own, never twice at a time. ``start`` once, ``stop`` at the end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        every_s: float,
        *,
        popen: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        """``name``: of the directory, for the log."""
        self._name = name
        self._command = list(command)
        self._every_s = every_s
        self._popen = popen
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sync-{name}", daemon=True)

    def start(self) -> None:
        """Begin; the first run is after one interval, when the server has come to rest."""
        self._thread.start()

    def stop(self) -> None:
        """End, and a child that runs with it; waits for it."""
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_stopping.wait(self._every_s):
            try:
                self._run_once()
            except OSError as error:
                log.warning("%s: the synchronisation can't be started: %s", self._name, error)

    def _run_once(self) -> None:
        child = self._popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        said: list[str] = []
        # Beside, so that the child never waits for us to read.
        reader = threading.Thread(target=lambda: said.append(child.stdout.read()), daemon=True)
        reader.start()
        waited_s = 0.0
        while child.poll() is None:
            if self._is_stopping.wait(_LOOK_S) or waited_s > TIMEOUT_S:
                self._end(child)
                break
            waited_s += _LOOK_S
        reader.join(GRACE_S)
        child.stdout.close()
        self._tell(child.returncode, "".join(said).strip())

    def _end(self, child: Any) -> None:
        child.terminate()
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _tell(self, code: int, said: str) -> None:
        if self._is_stopping.is_set():
            return
        level = logging.INFO if code == 0 else logging.WARNING
        log.log(level, "%s: synchronised, code %d: %s", self._name, code, said[:MAX_LOGGED_CHARS])


_LOOK_S: Final = 0.2
"""How often it is looked whether the child has ended."""
