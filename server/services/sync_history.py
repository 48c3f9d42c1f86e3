# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that were committed: listed, and taken back."""

import secrets
from functools import partial

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import uuid7
from protocol.limits import MAX_CONFLICTS, MIN_PASSWORD_CHARS
from protocol.messages import sync as wire
from protocol.messages.admin import Permission
from server.services.caller import Caller
from server.services.directory_changes import Draft
from server.services.directory_store import who_is_referred_to
from server.services.permissions import Rights
from server.services.run_log import KEPT_RUNS, Pause
from server.services.run_undo import Change, Undo
from server.services.sync_runs import Services
from server.store import sync_runs as store
from server.store.sync_runs import GRANTS, PERSON, Facts, StoredRun

READ_AT_ONCE = 1_000
"""Records: about 10 ms of a reader's thread."""


class SyncHistory:
    """What runs have done."""

    def __init__(self, services: Services) -> None:
        self._directory = services.directory
        self._turn = services.turn
        self._run_log = services.run_log
        self._clock = services.clock
        self._read = services.read
        self._sleep = services.sleep

    async def list_runs(self, caller: Caller, request: wire.ListRuns) -> wire.Runs:
        """Runs, newest first. Raises RequestRefused."""
        self._check(caller)
        before = None
        if request.before is not None:
            before = (await self._find(request.before)).number
        found = await self._read(store.newest, request.source, before, request.limit)
        return wire.Runs(tuple(map(_shown, found)))

    async def get_marks(self, caller: Caller, request: wire.GetMarks) -> wire.Marks:
        """What a source left. Raises RequestRefused."""
        self._check(caller)
        return wire.Marks(await self._read(store.marks, request.source))

    async def undo_run(self, caller: Caller, request: wire.UndoRun) -> wire.RunUndone:
        """Take a run back, whole or not at all. Raises RequestRefused, StoreError."""
        self._check(caller)
        run = await self._find(request.run)
        if run.undone_by is not None:
            raise RequestRefused(ErrorCode.CONFLICT, "The run was taken back already.")
        if not run.has_records:
            raise RequestRefused(
                ErrorCode.CONFLICT,
                f"Of each source the last {KEPT_RUNS} runs can be taken back; this one is older.",
            )
        changes = await self._changes(run)
        async with self._turn:
            # Somebody may have been quicker.
            if (await self._find(request.run)).undone_by is not None:
                raise RequestRefused(ErrorCode.CONFLICT, "The run was taken back already.")
            return await self._undo(caller, request, run, changes)

    async def _undo(
        self, caller: Caller, request: wire.UndoRun, run: StoredRun, changes: list[Change]
    ) -> wire.RunUndone:
        tree = self._directory.tree
        if any(change.kind == GRANTS for change in changes):
            Rights(tree, caller.user).check_everywhere(Permission.ADMIN_ROLES)
        created = [
            change.id
            for change in changes
            if change.kind == PERSON and change.is_creation and change.id in tree.people
        ]
        referred = await who_is_referred_to(self._read, tree, created)
        may_see = partial(self._directory.may_see, caller.user)
        await self._sleep(0)
        draft = Draft(tree, caller.user, MIN_PASSWORD_CHARS, may_see)
        await self._sleep(0)
        undo = Undo(draft, changes, referred)
        pause = Pause(self._clock.now, self._sleep)
        for _ in undo.steps():
            await pause.when_due()
        conflicts = tuple(undo.conflicts)
        told = wire.RunUndone(
            conflicts=conflicts[:MAX_CONFLICTS],
            conflict_count=len(conflicts),
            counts=dict(undo.counts),
            version=tree.version,
        )
        if request.is_trial or (conflicts and not request.allow_conflicts) or not draft.is_news:
            return told
        id = uuid7(self._clock.now_ms(), secrets.token_bytes(10))
        facts = await self._facts(caller, run, draft, told.counts)
        ended = await self._run_log.commit(draft, id, run.source, facts)
        return wire.RunUndone(
            id,
            told.conflicts,
            told.conflict_count,
            told.counts,
            draft.tree.version,
            ended,
        )

    async def _facts(
        self, caller: Caller, run: StoredRun, draft: Draft, counts: dict[str, int]
    ) -> Facts:
        # What the source left goes back as well, unless a later run has left something else.
        marks = await self._read(store.marks, run.source)
        is_last = marks == run.facts.marks_after
        return Facts(
            at_ms=self._clock.now_ms(),
            by=caller.user,
            kind=wire.RunKind.UNDO.value,
            version_before=draft.base.version,
            version_after=draft.tree.version,
            rules_version=draft.tree.rules_version,
            counts=counts,
            undoes=run.id,
            marks_before=marks,
            marks_after=run.facts.marks_before if is_last else marks,
        )

    async def _changes(self, run: StoredRun) -> list[Change]:
        changes: list[Change] = []
        while portion := await self._read(store.records, run.number, len(changes), READ_AT_ONCE):
            changes += [Change(*record) for record in portion]
        return changes

    async def _find(self, id: bytes) -> StoredRun:
        run = await self._read(store.find, id)
        if run is None:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such run.")
        return run

    def _check(self, caller: Caller) -> None:
        Rights(self._directory.tree, caller.user).check_everywhere(Permission.ADMIN_PEOPLE)


def _shown(run: StoredRun) -> wire.Run:
    facts = run.facts
    return wire.Run(
        id=run.id,
        source=run.source,
        at_ms=facts.at_ms,
        by=facts.by,
        kind=facts.kind,
        plan=facts.plan,
        counts=facts.counts,
        allowed=facts.allowed,
        version_before=facts.version_before,
        version_after=facts.version_after,
        undone_by=run.undone_by,
        undoes=facts.undoes,
        is_undoable=run.has_records and run.undone_by is None,
    )
