# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as they are asked for: begun, filled, committed or abandoned. One for each source; nothing of it counts before the commit."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from msgspec import Struct

from protocol import limits
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import RunId, SessionId, uuid7
from protocol.messages import admin
from protocol.messages import sync as wire
from protocol.messages.admin import Permission
from protocol.messages.kinds import Done
from server.services.admin import named
from server.services.caller import Caller
from server.services.clock import Cancel, Clock
from server.services.directory_changes import Draft
from server.services.directory_store import look_up
from server.services.directory_turn import TURN_S, DirectoryTurn
from server.services.doors import Sleep, StoreDoor
from server.services.people import Directory
from server.services.permissions import Rights
from server.services.run_log import Pause, RunLog
from server.store import directory as directory_store
from server.store import sync_runs as store
from server.store.sync_runs import Facts

log = logging.getLogger("lanyard.services")

MAX_OPEN_RUNS: Final = 8
"""Each holds a copy of the directory's indices and all that it changes."""
MAX_ANSWERS: Final = 32
"""Commits whose answers are remembered for those who ask again."""
PHOTO_BYTES_PER_JOB: Final = 512 << 10
"""Some 5 ms in which no message is stored."""
MAX_PHOTO_BYTES_PER_RUN: Final = 4 << 30
"""A mistake shall not fill the disk; 100,000 photos of a common size take half of it."""
_TAKEN: Final = (
    admin.PutDepartment,
    admin.RemoveDepartment,
    admin.PutPerson,
    admin.RemovePerson,
    admin.PutPhoto,
    admin.PutGroup,
    admin.RemoveGroup,
    admin.GrantRole,
    admin.RevokeRole,
)
"""What can be undone: a password can't, and roles and rules are no directory's business."""


class OpenRun:
    """A run that was begun."""

    def __init__(self, id: RunId, caller: Caller, request: wire.BeginRun, draft: Draft) -> None:
        self.id = id
        self.caller = caller
        self.request = request
        self.draft = draft
        self.count = 0
        """Changes that were added."""
        self.photo_bytes = 0
        self.is_busy = False
        self.is_committing = False
        self.timeout: Cancel | None = None


class Services(Struct, frozen=True):
    """What runs need of the rest of the server."""

    directory: Directory
    turn: DirectoryTurn
    run_log: RunLog
    clock: Clock
    read: StoreDoor
    run: StoreDoor
    sleep: Sleep


class SyncRuns:
    """The open runs."""

    def __init__(self, services: Services) -> None:
        self._directory = services.directory
        self._turn = services.turn
        self._run_log = services.run_log
        self._clock = services.clock
        self._read = services.read
        self._run = services.run
        self._sleep = services.sleep
        self._open: dict[RunId, OpenRun] = {}
        self._answers: dict[RunId, wire.RunCommitted] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin_run(self, caller: Caller, request: wire.BeginRun) -> wire.RunBegun:
        """Begin a run. Raises RequestRefused."""
        tree = self._directory.tree
        Rights(tree, caller.user).check_everywhere(Permission.ADMIN_PEOPLE)
        if request.based_on != tree.version:
            raise _conflict(f"The directory is at version {tree.version}, not {request.based_on}.")
        for other in list(self._open.values()):
            if other.request.source == request.source:
                if other.caller.session != caller.session or other.is_committing:
                    raise _conflict(f"Another run of {request.source!r} is under way.")
                self._drop(other)
        if len(self._open) >= MAX_OPEN_RUNS:
            raise RequestRefused(
                ErrorCode.UNAVAILABLE, "Too many runs are under way.", retry_after_ms=10_000
            )
        id = uuid7(self._clock.now_ms(), secrets.token_bytes(10))
        may_see = partial(self._directory.may_see, caller.user)
        draft = Draft(tree, caller.user, limits.MIN_PASSWORD_CHARS, may_see)
        run = self._open[id] = OpenRun(id, caller, request, draft)
        self._expect_more(run)
        return wire.RunBegun(id)

    async def add_to_run(self, caller: Caller, request: wire.AddToRun) -> Done:
        """Add changes. Raises RequestRefused; then the run is abandoned, unless it was only asked for something impossible."""
        run = self._find(caller, request.run)
        while run.is_busy:
            await self._sleep(TURN_S)
        if run.id not in self._open:
            raise _no_run()
        end = request.position + len(request.changes)
        if end <= run.count:
            return Done()
        if request.position != run.count or run.is_committing:
            raise RequestRefused(
                ErrorCode.INVALID, f"The run holds {run.count} changes; go on from there."
            )
        with self._busy(run):
            await self._add(run, request.changes)
        return Done()

    async def commit_run(self, caller: Caller, request: wire.CommitRun) -> wire.RunCommitted:
        """Carry a run out. Raises RequestRefused, StoreError."""
        Rights(self._directory.tree, caller.user).check_everywhere(Permission.ADMIN_PEOPLE)
        run = self._open.get(request.run)
        if run is None or run.is_committing:
            return await self._answer_again(request.run)
        self._find(caller, request.run)
        while run.is_busy:
            await self._sleep(TURN_S)
        if run.id not in self._open:
            raise _no_run()
        run.is_committing = True
        try:
            async with self._turn:
                answer = await self._commit(run)
        finally:
            self._drop(run)
        self._answers[run.id] = answer
        if len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]
        return answer

    def abandon_run(self, caller: Caller, request: wire.AbandonRun) -> Done:
        """Forget a run. Raises RequestRefused."""
        Rights(self._directory.tree, caller.user).check_everywhere(Permission.ADMIN_PEOPLE)
        run = self._open.get(request.run)
        if run is not None and run.caller.user == caller.user and not run.is_committing:
            self._drop(run)
        return Done()

    def session_closed(self, session: SessionId) -> None:
        """Whoever began a run is gone; one that is being committed goes on."""
        for run in list(self._open.values()):
            if run.caller.session == session and not run.is_committing:
                self._drop(run)

    def close(self) -> None:
        """Forget all runs."""
        for run in list(self._open.values()):
            self._drop(run)

    async def _add(self, run: OpenRun, changes: tuple[admin.DirectoryChange, ...]) -> None:
        draft = run.draft
        if run.count + len(changes) > limits.MAX_RUN_CHANGES:
            raise RequestRefused(
                ErrorCode.LIMIT_REACHED, f"A run holds at most {limits.MAX_RUN_CHANGES} changes."
            )
        await look_up(self._read, draft, changes)
        pause = Pause(self._clock.now, self._sleep)
        for index, change in enumerate(changes):
            with named(run.count + index, change):
                if not isinstance(change, _TAKEN):
                    raise RequestRefused(ErrorCode.INVALID, "That has no place in a run.")
                draft.add(change)
            await pause.when_due()
        await self._keep_photos(run)
        run.count += len(changes)

    async def _keep_photos(self, run: OpenRun) -> None:
        """Photos go to the disk at once: memory has no room for those of an organisation."""
        photos = run.draft.source.portraits
        run.photo_bytes += sum(map(len, photos.values()))
        if run.photo_bytes > MAX_PHOTO_BYTES_PER_RUN:
            raise RequestRefused(ErrorCode.LIMIT_REACHED, "The photos are too large together.")
        waiting = list(photos.items())
        photos.clear()
        while waiting:
            portion, size_bytes = [], 0
            while waiting and size_bytes < PHOTO_BYTES_PER_JOB:
                portion.append(waiting.pop())
                size_bytes += len(portion[-1][1])
            await self._run(directory_store.keep_portraits, portion)

    async def _commit(self, run: OpenRun) -> wire.RunCommitted:
        draft, request = run.draft, run.request
        if draft.base is not self._directory.tree:
            raise _conflict(
                f"The directory was changed meanwhile and is at version {self._directory.version}."
            )
        answer = wire.RunCommitted(
            run=run.id,
            version=draft.tree.version if draft.is_news else draft.base.version,
            created=draft.created,
            changed=draft.changed,
            unchanged=draft.unchanged,
        )
        if not draft.is_news:
            await self._run(store.put_marks, request.source, request.marks)
            return answer
        facts = Facts(
            at_ms=self._clock.now_ms(),
            by=run.caller.user,
            kind=wire.RunKind.APPLY.value,
            version_before=draft.base.version,
            version_after=draft.tree.version,
            rules_version=draft.tree.rules_version,
            plan=request.plan,
            counts=request.counts,
            allowed=request.allowed,
            created=draft.created,
            changed=draft.changed,
            unchanged=draft.unchanged,
            marks_before=await self._read(store.marks, request.source),
            marks_after=request.marks,
        )
        ended = await self._run_log.commit(draft, run.id, request.source, facts)
        return wire.RunCommitted(
            run.id, answer.version, answer.created, answer.changed, answer.unchanged, ended
        )

    async def _answer_again(self, id: RunId) -> wire.RunCommitted:
        while id in self._open:
            await self._sleep(TURN_S)
        if id in self._answers:
            return self._answers[id]
        found = await self._read(store.find, id)
        if found is None:
            raise _no_run()
        facts = found.facts
        return wire.RunCommitted(
            id, facts.version_after, facts.created, facts.changed, facts.unchanged
        )

    def _find(self, caller: Caller, id: RunId) -> OpenRun:
        run = self._open.get(id)
        if run is None or run.caller.session != caller.session:
            raise _no_run()
        self._expect_more(run)
        return run

    def _expect_more(self, run: OpenRun) -> None:
        if run.timeout is not None:
            run.timeout.cancel()
        run.timeout = self._clock.call_later(limits.RUN_TIMEOUT_S, partial(self._time_out, run))

    def _time_out(self, run: OpenRun) -> None:
        run.timeout = None
        if not run.is_committing and not run.is_busy:
            log.info("a run of %s was not finished in time and is abandoned", run.request.source)
            self._drop(run)

    def _drop(self, run: OpenRun) -> None:
        if run.timeout is not None:
            run.timeout.cancel()
            run.timeout = None
        self._open.pop(run.id, None)

    @contextmanager
    def _busy(self, run: OpenRun) -> Iterator[None]:
        """While changes are added; what fails half way leaves a run of no use."""
        run.is_busy = True
        try:
            yield
        except BaseException:
            self._drop(run)
            raise
        finally:
            run.is_busy = False


def _conflict(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.CONFLICT, sentence)


def _no_run() -> RequestRefused:
    return RequestRefused(
        ErrorCode.NOT_FOUND, "There is no such run: it was abandoned, or took too long."
    )
