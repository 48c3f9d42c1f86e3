# SPDX-License-Identifier: GPL-3.0-or-later
"""Staying up and following one directory: what changes there is at the server within seconds, and a full read on a schedule decides
what following can't tell. The command line is not in here."""

import threading
import time
from collections.abc import Callable
from typing import Final

from msgspec import structs

from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import Current, fetch
from ldapsync.failures import SyncError
from ldapsync.fields import digest
from ldapsync.follow.change import Change, Follower
from ldapsync.follow.follower import open_follower
from ldapsync.reading import Reader
from ldapsync.refusals import PlanStale
from ldapsync.rounds import Choices, Round, applied, compare, is_worth_a_run, now_ms
from ldapsync.server_link import ServerLink
from ldapsync.wanted import Anchor, Wanted
from protocol.messages.sync import RunCommitted

SLICE_S: Final = 0.5
"""How long at most a request to stop waits for the directory."""
REWRITING_S: Final = 1.0
"""How long a directory takes to rewrite groups that name an entry which moved. It does so after it has told of the move, and says nothing
of it."""
LOOK_AGAIN_S: Final = 15.0
"""After that the groups are read once more, for a directory that took longer."""
PAUSES_S: Final = (1, 2, 5, 15, 30, 60)
"""After failures in a row, before the next attempt; the last one stays."""


class Watch:
    """Follows one directory until it is told to stop."""

    def __init__(
        self,
        config: Config,
        directory: DirectoryConfig,
        connect: Callable[[], ServerLink],
        stop: threading.Event,
        *,
        applied_one: Callable[[Round, RunCommitted], None],
        stopped_by_guards: Callable[[Round], None],
        failed: Callable[[SyncError], None],
    ) -> None:
        """``applied_one``, ``stopped_by_guards`` and ``failed`` are told what happens."""
        self._config = config
        self._directory = directory
        self._connect = connect
        self._stop = stop
        self._tell_applied = applied_one
        self._tell_guards = stopped_by_guards
        self._tell_failed = failed
        self._reader = Reader(directory)
        self._current: Current | None = None
        self._organisation = b""
        self._refused = b""
        """The digest of the plan that guards stopped last: it is told once."""
        self._said = ""
        self._dns: set[str] = set()
        """Where people stood when they were last read."""
        self._look_again_at = 0.0

    def run(self) -> None:
        """Follow. What goes wrong is told and tried again, more and more slowly."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._follow()
            except SyncError as error:
                self._current = None
                if str(error) != self._said:
                    self._said = str(error)
                    self._tell_failed(error)
                self._stop.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
            else:
                failures = 0

    def _follow(self) -> None:
        """From one full read to the next. Raises SyncError."""
        follower = open_follower(self._directory, {}, now_ms())
        try:
            self._bring(self._reader.read(now_ms()), None, follower)
            self._said = ""
            next_full = time.monotonic() + self._directory.full_every_minutes * 60
            while not self._stop.is_set() and time.monotonic() < next_full:
                change = follower.wait(SLICE_S)
                if change is None and 0 < self._look_again_at <= time.monotonic():
                    self._look_again_at = 0.0
                    change = Change(has_groups=True)
                if change is not None and not self._take(change, follower):
                    return
        finally:
            follower.close()

    def _take(self, change: Change, follower: Follower) -> bool:
        """Bring a change to the server; False when only a full read can tell what it means."""
        if any(entry.dn not in self._dns for entry in change.people):
            self._stop.wait(REWRITING_S)
            change = structs.replace(change, has_groups=True)
            self._look_again_at = time.monotonic() + LOOK_AGAIN_S
        patch = self._reader.take(change, now_ms())
        if patch is None:
            return False
        self._bring(patch.wanted, patch.touched, follower)
        return True

    def _bring(self, wanted: Wanted, touched: frozenset[Anchor] | None, follower: Follower) -> None:
        """Make the server as wanted. Raises SyncError."""
        self._dns = {one.dn for one in wanted.people.values()}
        is_cached = self._current is not None
        try:
            self._bring_once(wanted, touched if is_cached else None, follower)
        except PlanStale:
            # Somebody changed the server's directory since it was fetched, or the portrait of a person.
            if not is_cached:
                raise
            self._current = None
            self._bring_once(wanted, None, follower)

    def _bring_once(
        self, wanted: Wanted, touched: frozenset[Anchor] | None, follower: Follower
    ) -> None:
        if self._current is None:
            with self._connect() as line:
                self._current = fetch(line.ask, wanted.source, wanted)
                self._organisation = line.organisation
        made = compare(
            wanted,
            self._current,
            self._config,
            self._organisation,
            Choices(),
            seek=self._directory,
            cookies=dict(follower.marks),
            touched=touched,
        )
        if made.plan.tripped:
            self._current = (
                None  # what was not done stays to be seen: next time everybody is compared
            )
            if self._refused != (refused := digest(made.plan)):
                self._refused = refused
                self._tell_guards(made)
            return
        if not is_worth_a_run(made.plan):
            return
        made, done = applied(made, self._config, self._directory, self._connect)
        self._current = None if _has_photos(made) else _after(made, done)
        self._tell_applied(made, done)


def _has_photos(made: Round) -> bool:
    return any(action.is_photo_changed for action in made.plan.actions)


def _after(made: Round, done: RunCommitted) -> Current:
    made.current.take(made.plan.changes(lambda digest: b""), done.version, made.plan.marks)
    return made.current
