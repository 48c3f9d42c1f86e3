# SPDX-License-Identifier: GPL-3.0-or-later
"""For any two directories A and B, with the server's own rules and store: apply(plan(A to B)) gives B, a second plan is empty, and undo
gives A back."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings

from ldapsync import plan
from ldapsync.actions import Decisions, Plan
from ldapsync.apply import batches
from ldapsync.config import Guards
from ldapsync.current import Current, fetch
from ldapsync.fields import digest
from ldapsync.rounds import new_id
from ldapsync.wanted import Wanted
from protocol.messages.admin import GetAdminDirectory, Permission
from protocol.messages.sync import AddToRun, BeginRun, CommitRun, GetMarks, RunCommitted
from tests.server.services.office import Office, grant, operator, put_person, role
from tests.server.services.test_sync_runs import JPEG
from tests.support.org_model import shown
from tests.support.wanted_strategies import SOURCE, expected, readings

HELPDESK = role("Helpdesk", Permission.RECALL_ANY)


async def current_of(office: Office) -> Current:
    """What the tool would fetch."""
    answers: dict[type[Any], Any] = {
        GetAdminDirectory: await office.admin.get_admin_directory(
            operator, GetAdminDirectory(None, 10_000)
        ),
        GetMarks: await office.sync_history.get_marks(operator, GetMarks(SOURCE)),
    }
    return fetch(lambda request: answers[type(request)], SOURCE)


async def carried_out(office: Office, made: Plan) -> RunCommitted:
    """As ldapsync.apply does it."""
    begin = BeginRun(made.source, made.based_on, digest(made), made.counts(), {}, made.marks)
    run = office.sync_runs.begin_run(operator, begin).run
    position = 0
    for changes in batches(made.changes(lambda digest: JPEG)):
        await office.sync_runs.add_to_run(operator, AddToRun(run, position, changes))
        position += len(changes)
    done = await office.sync_runs.commit_run(operator, CommitRun(run))
    await office.settle()
    return done


def planned(wanted: Wanted, current: Current) -> Plan:
    decisions = Decisions(apart=frozenset(wanted.people))
    return plan.make(wanted, current, guards=Guards(), new_id=new_id, decisions=decisions)


def record_of(current: Current) -> dict[str, Any]:
    """All of it but for versions, to compare before and after."""
    return {
        "people": current.people,
        "departments": current.departments,
        "groups": {
            one.id: msgspec.structs.replace(one, members=tuple(sorted(one.members)))
            for one in current.groups.values()
        },
        "grants": current.grants,
        "marks": current.marks,
    }


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(readings(), readings())
def test_there_and_back(a: Wanted, b: Wanted) -> None:
    async def play(folder: Path) -> None:
        office = Office(folder)
        try:
            # Somebody must be left who administers, whatever the directory says.
            await office.change(HELPDESK, put_person("keeper"), grant("keeper"))
            await carried_out(office, planned(a, await current_of(office)))
            before = await current_of(office)
            assert shown(before, SOURCE) == expected(a)
            made = planned(b, before)
            done = await carried_out(office, made)
            after = await current_of(office)
            assert shown(after, SOURCE) == expected(b)
            assert planned(b, after).is_empty
            if made.is_empty:
                return
            undone = await office.undo(done.run)
            assert undone.conflicts == ()
            again = await current_of(office)
            assert record_of(again) == record_of(before)
            assert planned(a, again).is_empty
        finally:
            await office.settle()
            office.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
