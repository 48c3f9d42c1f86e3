# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's directory, fetched in pages that belong together, and kept in step with the own runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from ldapsync import current, plan
from ldapsync.config import Guards
from ldapsync.current import MovesTooFast, fetch
from ldapsync.wanted import Wanted
from protocol.messages.admin import AdminDirectory, AdminPerson, GetAdminDirectory, PutPerson
from protocol.messages.sync import Marks
from tests.support.org_model import OrgModel
from tests.support.wanted_strategies import readings


def pages(*versions: int) -> Any:
    """A server that gives two pages, the versions of which are as given, one after the other."""
    left = list(versions)

    def ask(request: Any) -> Any:
        if not isinstance(request, GetAdminDirectory):
            return Marks({"scope": b"s"})
        version = left.pop(0)
        is_first = request.after is None
        user = bytes(15) + (b"a" if is_first else b"b")
        person = AdminPerson(PutPerson(user, user.hex(), "x"))
        return AdminDirectory(version, (person,), after=user if is_first else None)

    return ask


def test_pages_of_one_version() -> None:
    found = fetch(pages(3, 3), "office")
    assert (found.version, len(found.people), found.scope) == (3, 2, "s")


def test_it_is_read_again_when_it_moves() -> None:
    assert fetch(pages(3, 4, 4, 4), "office").version == 4
    with pytest.raises(MovesTooFast):
        fetch(pages(*range(2 * current.MAX_ATTEMPTS)), "office")


@given(readings(), readings())
def test_it_keeps_in_step_with_runs(a: Wanted, b: Wanted) -> None:
    """What a watch remembers is what the server has."""
    model = OrgModel()
    model.apply(plan.make(a, model.current, guards=Guards(), new_id=model.ids))
    made = plan.make(b, model.current, guards=Guards(), new_id=model.ids)
    before = model.current
    model.apply(made)
    before.take(made.changes(lambda digest: b"jpeg"), model.current.version, made.marks)
    assert before == model.current
