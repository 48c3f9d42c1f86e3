# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of the server at some moment of a commit: the run is there as a whole or not at all, and can be taken back."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from protocol.messages.admin import GetAdminDirectory, PutPerson
from protocol.messages.sync import AddToRun, BeginRun, CommitRun, ListRuns, UndoRun
from server.operator_line import NoServer, OperatorLine
from tests.support.server_process import ServerProcess, make_organisation

PEOPLE = 3_000


def line_to(server: ServerProcess) -> OperatorLine:
    return OperatorLine(server.organisation.folder / "control.sock", "test")


def logins(line: OperatorLine) -> set[str]:
    page = line.ask(GetAdminDirectory(limit=10_000))
    return {each.person.login for each in page.people}


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.35, 0.6])
def test_all_or_nothing(tmp_path: Path, after_s: float) -> None:
    changes = tuple(
        PutPerson(hashlib.sha256(b"%d" % n).digest()[:16], f"u{n}", f"Person {n}", source="x")
        for n in range(PEOPLE)
    )
    with ServerProcess(make_organisation(tmp_path / "office")) as server:
        with line_to(server) as line:
            before = logins(line)
            version = line.ask(GetAdminDirectory(limit=1)).version
            run = line.ask(BeginRun("x", version)).run
            line.ask(AddToRun(run, 0, changes))
            killer = threading.Timer(after_s, server.kill)
            killer.start()
            is_told = False
            try:
                line.ask(CommitRun(run))
                is_told = True
            except NoServer:
                pass
            killer.join()
        server.start()
        with line_to(server) as line:
            found = logins(line)
            runs = line.ask(ListRuns()).runs
            assert len(runs) == (found != before)
            assert found in (before, before | {each.login for each in changes})
            assert found != before or not is_told
            if runs:
                # Asked again after the lost answer.
                assert line.ask(CommitRun(run)).created == PEOPLE
                assert line.ask(UndoRun(run)).counts == {"person removed": PEOPLE}
                assert logins(line) == before
        server.stop()
