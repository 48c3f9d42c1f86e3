# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a plan over a line that loses answers: nothing is done twice, and nothing is claimed that is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ldapsync.apply import BATCH_BYTES, BATCH_CHANGES, batches, carry_out
from ldapsync.pictures import Pictures
from ldapsync.refusals import PlanStale, ServerError, ServerRefused
from protocol.messages.admin import PutPerson, PutPhoto
from protocol.messages.kinds import Done
from protocol.messages.sync import AbandonRun, AddToRun, BeginRun, CommitRun, RunBegun, RunCommitted
from tests.ldapsync.test_plan import made, person, reading
from tests.support.org_model import OrgModel

RUN = b"r" * 16
DONE = RunCommitted(RUN, 7, 1)


class Line:
    """A server that does what a table says."""

    def __init__(self, **answers: Callable[[], Any]) -> None:
        self.asked: list[str] = []
        self.is_closed = False
        self._answers = answers

    def ask(self, request: Any) -> Any:
        name = type(request).__name__
        self.asked.append(name)
        usual: dict[type[Any], Any] = {
            BeginRun: RunBegun(RUN),
            AddToRun: Done(),
            CommitRun: DONE,
            AbandonRun: Done(),
        }
        return self._answers[name]() if name in self._answers else usual[type(request)]

    def close(self) -> None:
        self.is_closed = True


def fails(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def apply(line: Line, *more: Line) -> RunCommitted:
    model = OrgModel()
    lines = iter(more)

    def reopen() -> Line:
        try:
            return next(lines)
        except StopIteration:
            raise ServerError("still away") from None

    with Pictures() as pictures:
        return carry_out(
            made(model, reading(person("a"))),
            line,
            reopen,
            allowed={},
            pictures=pictures,
            sleep=lambda seconds: None,
        )


def test_staged_then_committed() -> None:
    line = Line()
    assert apply(line) == DONE
    assert line.asked == ["BeginRun", "AddToRun", "CommitRun"]


@pytest.mark.parametrize("step", ["BeginRun", "AddToRun", "CommitRun"])
def test_a_directory_that_moved_on_makes_the_plan_stale(step: str) -> None:
    line = Line(**{step: fails(ServerRefused("It is at version 9.", "conflict"))})
    with pytest.raises(PlanStale, match="version 9"):
        apply(line)
    assert ("AbandonRun" in line.asked) == (step == "AddToRun")


def test_a_refusal_stays_one() -> None:
    with pytest.raises(ServerRefused):
        apply(Line(AddToRun=fails(ServerRefused("Not allowed.", "forbidden"))))


def test_a_lost_answer_is_asked_for_again() -> None:
    away = Line(CommitRun=fails(ServerError("away")))
    again = Line()
    assert apply(away, again) == DONE
    assert again.asked == ["CommitRun"]
    assert again.is_closed


def test_a_server_that_forgot_the_run_changed_nothing() -> None:
    away = Line(CommitRun=fails(ServerError("away")))
    forgot = Line(CommitRun=fails(ServerRefused("There is no such run.", "not_found")))
    with pytest.raises(ServerError, match="nothing was changed"):
        apply(away, forgot)


def test_a_server_that_stays_away_leaves_it_open() -> None:
    with pytest.raises(ServerError, match="not known"):
        apply(Line(CommitRun=fails(ServerError("away"))))


def test_pieces_fit_a_request() -> None:
    people = [PutPerson(bytes(16), f"u{number}", "x") for number in range(2 * BATCH_CHANGES + 1)]
    assert [len(one) for one in batches(people)] == [BATCH_CHANGES, BATCH_CHANGES, 1]
    photos = [PutPhoto(bytes(16), bytes(32), b"j" * 60_000) for _ in range(40)]
    pieces = list(batches(photos))
    assert sum(map(len, pieces)) == 40
    assert all(len(msgspec.msgpack.encode(piece)) < BATCH_BYTES + 100 for piece in pieces)
