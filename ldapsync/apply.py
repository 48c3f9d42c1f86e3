# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a plan: staged at the server, committed as one run, and nothing else than what the plan says."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import msgspec

from ldapsync.actions import Plan
from ldapsync.current import PHOTO_MARK_BYTES, UNUSABLE_PHOTOS
from ldapsync.fields import digest
from ldapsync.pictures import Pictures
from ldapsync.refusals import PlanStale, ServerError, ServerRefused
from protocol.errors import ErrorCode
from protocol.ids import RunId, format_id
from protocol.limits import MAX_CHANGES_PER_REQUEST, MAX_FRAME_BYTES, MAX_MARK_BYTES
from protocol.messages.admin import DirectoryChange
from protocol.messages.kinds import ReplyT_co, Request
from protocol.messages.sync import AbandonRun, AddToRun, BeginRun, CommitRun, RunCommitted

BATCH_BYTES: Final = MAX_FRAME_BYTES * 3 // 4
"""Changes in one request, before compression: portraits don't shrink."""
BATCH_CHANGES: Final = min(1_000, MAX_CHANGES_PER_REQUEST)
"""Few enough that the server has time for others between two requests."""
ASK_AGAIN_S: Final = (0.2, 1.0, 3.0, 10.0)
"""Pauses before the server is asked again whether a run was carried out whose answer got lost."""


class Line(Protocol):
    """What of a ServerLink is needed here."""

    def ask(self, request: Request[ReplyT_co], /) -> ReplyT_co:
        """The answer. Raises ServerError, ServerRefused."""

    def close(self) -> None:
        """Hang up."""


def carry_out(
    plan: Plan,
    line: Line,
    reopen: Callable[[], Line],
    *,
    allowed: dict[str, int],
    pictures: Pictures,
    sleep: Callable[[float], None] = time.sleep,
) -> RunCommitted:
    """Stage and commit. Raises PlanStale when the server's directory is not the one that was compared any more, ServerError."""
    marks = plan.marks | _photo_mark(plan, pictures)
    try:
        run = line.ask(
            BeginRun(
                source=plan.source,
                based_on=plan.based_on,
                plan=digest(plan),
                counts=plan.counts(),
                allowed=allowed,
                marks=marks,
            )
        ).run
    except ServerRefused as error:
        raise _stale_or(error) from error
    try:
        position = 0
        for changes in batches(plan.changes(pictures.jpeg)):
            line.ask(AddToRun(run, position, changes))
            position += len(changes)
    except BaseException as error:
        with contextlib.suppress(ServerError):
            line.ask(AbandonRun(run))
        if isinstance(error, ServerRefused):
            raise _stale_or(error) from error
        raise
    try:
        return line.ask(CommitRun(run))
    except ServerRefused as error:
        raise _stale_or(error) from error
    except ServerError as error:
        return _ask_again(run, reopen, sleep, error)


def _photo_mark(plan: Plan, pictures: Pictures) -> dict[str, bytes]:
    """What is kept of photos that are no pictures: as many as a mark holds, the newest."""
    if not pictures.unusable:
        return {}
    known = plan.marks.get(UNUSABLE_PHOTOS, b"")
    known += b"".join(sorted(digest[:PHOTO_MARK_BYTES] for digest in pictures.unusable))
    return {UNUSABLE_PHOTOS: known[-MAX_MARK_BYTES:]}


def _ask_again(
    run: RunId, reopen: Callable[[], Line], sleep: Callable[[float], None], lost: ServerError
) -> RunCommitted:
    """Find out what became of a run: the server went away while it committed. The same question has the same answer."""
    for pause_s in ASK_AGAIN_S:
        sleep(pause_s)
        try:
            line = reopen()
        except ServerRefused:
            raise
        except ServerError:
            continue
        try:
            return line.ask(CommitRun(run))
        except ServerRefused as error:
            raise ServerError(
                "The server went away before the run was committed; nothing was changed. Run it again."
            ) from error
        except ServerError:
            continue
        finally:
            line.close()
    raise ServerError(
        f"{lost} Whether the run {format_id(run)} was carried out is not known: `lanyard-ldapsync history` says it "
        "when the server is back. Running again is safe: what was done is not done twice."
    )


def _stale_or(error: ServerRefused) -> Exception:
    """A conflict says that somebody else changed the directory; anything else is what it is."""
    if error.code == ErrorCode.CONFLICT.value:
        return PlanStale(f"The server's directory was changed meanwhile. {error}")
    return error


def batches(changes: Iterable[DirectoryChange]) -> Iterator[tuple[DirectoryChange, ...]]:
    """The changes in order, in pieces that fit a request."""
    encoder = msgspec.msgpack.Encoder()
    batch: list[Any] = []
    size = 0
    for change in changes:
        bytes_of_it = len(encoder.encode(change))
        if batch and (size + bytes_of_it > BATCH_BYTES or len(batch) == BATCH_CHANGES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(change)
        size += bytes_of_it
    if batch:
        yield tuple(batch)
