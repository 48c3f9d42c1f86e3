# SPDX-License-Identifier: GPL-3.0-or-later
"""The LDAP directories of config.toml: sign-in by their passwords, and synchronisation on a timer. Built once, for one App."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from ldapsync import config_file
from ldapsync.config import DirectoryConfig
from ldapsync.failures import SyncError
from server.config import LdapSection
from server.failures import ConfigInvalid
from server.ldap_door import Door, LdapDoor
from server.ldap_timer import SyncTimer, apply_command
from server.services.auth import Verifier
from server.services.clock import Clock
from server.services.passwords import Passwords

THREADS: Final = 8
"""Sign-ins that ask a directory at the same time; others wait their turn."""


class Ldap:
    """All directories. ``start`` when the server answers, ``stop`` at its end."""

    def __init__(
        self,
        sections: Mapping[str, LdapSection],
        folder: Path,
        reactor: Any,  # zope's interfaces say nothing to a type checker
        clock: Clock,
        anchor_of: Callable[[str], str],
    ) -> None:
        """``folder``: the organisation's. ``anchor_of``: see ldap_door.Door. Raises ConfigInvalid."""
        self._reactor = reactor
        self._pool = ThreadPool(0, THREADS, "ldap")
        self._doors: dict[str, LdapDoor] = {}
        self._timers: list[SyncTimer] = []
        for name, section in sections.items():
            path = folder / section.file
            directory = _directory(path, name)
            if section.sign_in:
                door = Door(
                    clock,
                    self._in_thread,
                    Passwords(self._in_thread),
                    anchor_of,
                    section.cache_hours,
                )
                self._doors[name] = LdapDoor(directory, door)
            if section.every_minutes:
                command = apply_command(path, name)
                self._timers.append(SyncTimer(name, command, section.every_minutes * 60.0))

    @property
    def verifiers(self) -> Mapping[str, Verifier]:
        """By the source of the person."""
        return self._doors

    def start(self) -> None:
        """From here on passwords are judged; the first synchronisation comes after one interval."""
        self._pool.start()
        for timer in self._timers:
            timer.start()

    def stop(self) -> None:
        """Hang up; may block for some seconds."""
        for timer in self._timers:
            timer.stop()
        if self._pool.started and not self._pool.joined:
            self._pool.stop()
        for door in self._doors.values():
            door.close()

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._pool, function, *arguments)


def _directory(path: Path, name: str) -> DirectoryConfig:
    try:
        directories = config_file.load(path).directories
    except SyncError as error:
        raise ConfigInvalid(f"config.toml: [ldap.{name}]: {error}") from error
    if name not in directories:
        known = ", ".join(directories) or "none"
        raise ConfigInvalid(
            f"config.toml: [ldap.{name}]: there is no [directory.{name}] in {path}. There is: {known}."
        )
    return directories[name]
