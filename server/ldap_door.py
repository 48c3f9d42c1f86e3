# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with the password of an LDAP directory: asked in threads over connections that are kept, within a time limit.

Somebody is looked for by the immutable id that the synchronisation noted, and only among the people whom it reads: a login that was
given to somebody else opens nothing. The directory counts wrong passwords itself; each sign-in is one attempt there, never two.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from ldapsync import names, passwords, values, verdicts
from ldapsync.config import BindMethod, DirectoryConfig, Scope
from ldapsync.directory import Directory
from ldapsync.failures import SyncError, Unreachable
from ldapsync.questions import Depth
from server.services.auth import Verdict
from server.services.clock import Clock
from server.services.passwords import Passwords

log = logging.getLogger("lanyard.ldap")

T = TypeVar("T")

MAX_WAITING: Final = 200
"""Sign-ins that wait for the directory; beyond, people are told that it does not answer."""
MAX_KEPT_IDLE: Final = 4
"""Connections of each sort that are kept open for the next."""
ANSWER_TIMEOUT_S: Final = 5
"""Somebody sits before the window and waits."""
MAX_REMEMBERED: Final = 20_000
"""Passwords that are remembered (as hashes, in memory) for when the directory is away: about 4 MB."""
_HOUR_S: Final = 3600.0
_MEANING: Final = {
    verdicts.Verdict.ACCEPTED: Verdict.RIGHT,
    verdicts.Verdict.UNAVAILABLE: Verdict.UNAVAILABLE,
    verdicts.Verdict.UNPROTECTED: Verdict.UNAVAILABLE,
}
"""All others are refusals; why stands in the log, and is nobody's business who only knows a login."""


class Door(Struct, frozen=True):
    """What a directory's sign-in needs of the server."""

    clock: Clock
    in_thread: Callable[..., Awaitable[Any]]
    """Calls a function in a thread of a pool that may block."""
    passwords: Passwords
    anchor_of: Callable[[str], str]
    """The immutable id of whoever has a login; empty for nobody."""
    cache_hours: int = 0
    """How long a password that was right opens while the directory is away; 0: never."""


class _Remembered(NamedTuple):
    password_hash: str
    at_s: float


class LdapDoor:
    """One directory, as auth.Verifier."""

    def __init__(self, config: DirectoryConfig, door: Door) -> None:
        self._config = msgspec.structs.replace(
            config, answer_timeout_s=min(config.answer_timeout_s, ANSWER_TIMEOUT_S)
        )
        self._door = door
        self._searching: list[Directory] = []
        self._binding: list[Directory] = []
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._waiting = 0

    async def verify(self, login: str, password: str) -> Verdict:
        """Judge a password. What can't be judged is UNAVAILABLE."""
        anchor = self._door.anchor_of(login)
        if not password or not anchor:
            return Verdict.WRONG
        if self._waiting >= MAX_WAITING:
            log.warning("%s: too many sign-ins wait for the directory", self._config.name)
            return Verdict.UNAVAILABLE
        self._waiting += 1
        try:
            verdict: Verdict = await self._door.in_thread(self._ask, anchor, password)
        finally:
            self._waiting -= 1
        if not self._door.cache_hours:
            return verdict
        return await self._with_memory(anchor, password, verdict)

    def close(self) -> None:
        """Hang up. Nobody may be asking any more."""
        for kept in (self._searching, self._binding):
            while kept:
                kept.pop().close()

    async def _with_memory(self, anchor: str, password: str, verdict: Verdict) -> Verdict:
        now_s = self._door.clock.now()
        if verdict is Verdict.RIGHT:
            password_hash = await self._door.passwords.hash(password)
            self._remembered[anchor] = _Remembered(password_hash, now_s)
            self._remembered.move_to_end(anchor)
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        elif verdict is Verdict.WRONG:
            self._remembered.pop(anchor, None)
        else:
            known = self._remembered.get(anchor)
            if known and now_s - known.at_s < self._door.cache_hours * _HOUR_S:
                is_right = await self._door.passwords.verify(password, known.password_hash)
                return Verdict.RIGHT if is_right else Verdict.WRONG
        return verdict

    # In a thread

    def _ask(self, anchor: str, password: str) -> Verdict:
        name = self._config.name
        try:
            dn = self._find(anchor)
            if dn is None:
                log.info("%s: %s is not among the people of the directory", name, anchor)
                return Verdict.WRONG
            said = self._on(self._binding, lambda each: each.bind(dn, password))
        except SyncError as error:
            log.warning("%s: a password can't be checked: %s", name, error)
            return Verdict.UNAVAILABLE
        if said is not verdicts.Verdict.ACCEPTED:
            log.info("%s: %s was refused: %s", name, dn, said.value)
        return _MEANING.get(said, Verdict.WRONG)

    def _find(self, anchor: str) -> str | None:
        """The DN of the person now, wherever they were moved. Raises SyncError."""
        people = self._config.people
        wanted = names.all_of(
            people.filter, names.equals(people.anchor, values.anchor_octets(people.anchor, anchor))
        )
        depth = Depth.CHILDREN if people.scope is Scope.ONE_LEVEL else Depth.SUBTREE
        bases = self._config.people_bases

        def look(directory: Directory) -> list[str]:
            return [
                entry.dn
                for base in bases
                for entry in directory.search(base, wanted, [people.anchor], depth=depth)
            ]

        found = dict.fromkeys(self._on(self._searching, look))
        if len(found) > 1:
            log.warning("%s: several entries have the id %s", self._config.name, anchor)
        return next(iter(found)) if len(found) == 1 else None

    def _on(self, kept: list[Directory], ask: Callable[[Directory], T]) -> T:
        """Ask over a connection that is kept, or over a new one when that has died. Raises SyncError."""
        while kept:
            directory = kept.pop()
            try:
                answer = ask(directory)
            except Unreachable:
                directory.close()  # it idled too long; the next may have, too
                continue
            except BaseException:
                directory.close()
                raise
            self._keep(kept, directory)
            return answer
        directory = self._connect(kept)
        try:
            answer = ask(directory)
        except BaseException:
            directory.close()
            raise
        self._keep(kept, directory)
        return answer

    def _connect(self, kept: list[Directory]) -> Directory:
        config = self._config
        if kept is self._binding:
            return Directory.open(config, is_bound=False)
        password = None
        if config.bind_method is BindMethod.SIMPLE:
            password = passwords.fetch(config, f"directory.{config.name}")
        return Directory.open(config, password)

    def _keep(self, kept: list[Directory], directory: Directory) -> None:
        if len(kept) < MAX_KEPT_IDLE:
            kept.append(directory)
        else:
            directory.close()
