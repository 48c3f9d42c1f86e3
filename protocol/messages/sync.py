# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs: many changes of the directory that are carried out together, remembered, and can be undone.

A run is begun, filled and committed. Until it is committed, nothing of it counts and nobody sees it.
"""

import enum
from typing import Annotated

from msgspec import Meta, Struct, field

from protocol import limits
from protocol.ids import RunId, UserId
from protocol.messages.admin import DirectoryChange
from protocol.messages.kinds import Count, Done, Reply, Request
from protocol.messages.people import Field
from protocol.messages.session import Name

Counts = Annotated[dict[Name, Count], Meta(max_length=limits.MAX_RUN_COUNTS)]
Mark = Annotated[bytes, Meta(max_length=limits.MAX_MARK_BYTES)]
MarkMap = Annotated[dict[Name, Mark], Meta(max_length=limits.MAX_MARKS)]
PlanDigest = Annotated[bytes, Meta(max_length=limits.MAX_DIGEST_BYTES)]


class RunKind(enum.StrEnum):
    """What a run did."""

    APPLY = "apply"
    """It brought the directory in step with a source."""
    UNDO = "undo"
    """It took another run back."""


class RunBegun(Reply, frozen=True, tag="run_begun"):
    """The run can be filled."""

    run: RunId


class BeginRun(Request[RunBegun], frozen=True, tag="begin_run"):
    """Begin a run; one that this session has begun for the same source is abandoned."""

    source: Name
    based_on: Count
    """The directory's version on which the changes are built; at another, ``conflict``."""
    plan: PlanDigest = b""
    """Of the plan that is carried out, for the record."""
    counts: Counts = field(default_factory=dict)
    """How many changes of which kind, for the record."""
    allowed: Counts = field(default_factory=dict)
    """Which limits were lifted for this run, and how far, for the record."""
    marks: MarkMap = field(default_factory=dict)
    """What the source wants to find again next time; replaces what it kept before."""


class AddToRun(Request[Done], frozen=True, tag="add_to_run"):
    """Add changes to a run. They are checked at once, each on what those before it left."""

    run: RunId
    position: Count
    """How many changes were added before these; the same again changes nothing."""
    changes: Annotated[tuple[DirectoryChange, ...], Meta(max_length=limits.MAX_CHANGES_PER_REQUEST)]


class RunCommitted(Reply, frozen=True, tag="run_committed"):
    """All changes of the run are durable and count."""

    run: RunId
    version: Count
    """The directory's version after them."""
    created: Count = 0
    changed: Count = 0
    unchanged: Count = 0
    ended_sessions: Count = 0


class CommitRun(Request[RunCommitted], frozen=True, tag="commit_run"):
    """Carry out the run, all or nothing; asked again, the answer is the same."""

    run: RunId


class AbandonRun(Request[Done], frozen=True, tag="abandon_run"):
    """Forget a run that was not committed."""

    run: RunId


class Run(Struct, frozen=True, omit_defaults=True):
    """A run that was committed."""

    id: RunId
    source: str
    at_ms: Count
    by: UserId
    """Who committed it; 16 zero bytes: the operator of the server."""
    kind: str = RunKind.APPLY.value
    """One of RunKind."""
    plan: bytes = b""
    counts: dict[str, Count] = field(default_factory=dict)
    allowed: dict[str, Count] = field(default_factory=dict)
    version_before: Count = 0
    version_after: Count = 0
    undone_by: RunId | None = None
    """The run that took this one back."""
    undoes: RunId | None = None
    """The run that this one took back."""
    is_undoable: bool = False
    """Whether it is known what the run changed: of old runs only this record is kept."""


class Runs(Reply, frozen=True, tag="runs"):
    """Runs, newest first."""

    runs: tuple[Run, ...] = ()


class ListRuns(Request[Runs], frozen=True, tag="list_runs"):
    """The history of runs."""

    source: Field = ""
    """Only of this source; empty: of all."""
    before: RunId | None = None
    """Only older ones than this."""
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_RUN_PAGE)] = 20


class Marks(Reply, frozen=True, tag="marks"):
    """What the source left with its last run."""

    marks: dict[str, bytes] = field(default_factory=dict)


class GetMarks(Request[Marks], frozen=True, tag="get_marks"):
    """What a source left with its last run."""

    source: Name


class RunUndone(Reply, frozen=True, tag="run_undone"):
    """The run was taken back, or why not."""

    run: RunId | None = None
    """The run that did it; None: nothing was changed, it was a trial or there are conflicts."""
    conflicts: tuple[str, ...] = ()
    """What was changed since or stands in the way, one sentence each, at most MAX_CONFLICTS."""
    conflict_count: Count = 0
    """How many conflicts there are in all."""
    counts: dict[str, Count] = field(default_factory=dict)
    """How many records are (or would be) put back, removed or closed, by kind."""
    version: Count = 0
    ended_sessions: Count = 0


class UndoRun(Request[RunUndone], frozen=True, tag="undo_run"):
    """Put back everything as it was before a run, all or nothing. The undoing is a run of its own."""

    run: RunId
    is_trial: bool = False
    """Say what would happen, change nothing."""
    allow_conflicts: bool = False
    """Leave records alone that stand in conflict, and put back the others."""
