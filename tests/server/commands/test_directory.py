# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as commands see it: found by what people type; changes cut into requests that the server takes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import UserId
from protocol.limits import MAX_CHANGES_PER_REQUEST, MAX_FRAME_BYTES
from protocol.messages.admin import (
    AdminDirectory,
    AdminPerson,
    GetAdminDirectory,
    PutDepartment,
    PutPerson,
    Role,
    SetPassword,
)
from protocol.messages.kinds import ReplyT_co, Request
from server.commands.directory import CommandDirectory, batches
from server.failures import Failure


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Pages:
    """An office that serves the directory in two pages."""

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        assert isinstance(request, GetAdminDirectory)
        after: UserId | None = request.after
        if after is None:
            reply = AdminDirectory(
                7,
                (AdminPerson(PutPerson(id_of(1), "ann", "Ann")),),
                (
                    PutDepartment(id_of(11), "Sales"),
                    PutDepartment(id_of(12), "North", id_of(11)),
                ),
                (Role(id_of(21), "Helpdesk"),),
                after=id_of(1),
            )
        else:
            reply = AdminDirectory(7, (AdminPerson(PutPerson(id_of(2), "Bob", "Bob")),))
        return reply  # type: ignore[return-value]  # the reply to the only request that is made


def test_every_page_is_fetched_and_names_are_found_in_any_case() -> None:
    directory = CommandDirectory(Pages())
    assert directory.version == 7
    assert directory.person("BOB").person.id == id_of(2)
    assert directory.has_login("Ann")
    assert directory.department(" Sales / North ").id == id_of(12)
    assert directory.path_of(id_of(12)) == "Sales/North"
    assert directory.subtree(id_of(11)) == {id_of(11), id_of(12)}
    assert directory.role("helpDESK").id == id_of(21)


@pytest.mark.parametrize(
    ("what", "name", "hint"),
    [("person", "annn", "ann"), ("department", "Sales/Nort", "Sales/North"), ("role", "Help", "")],
)
def test_what_is_not_there_is_answered_with_the_nearest(what: str, name: str, hint: str) -> None:
    with pytest.raises(Failure, match=f"Did you mean {hint}" if hint else "There is no role"):
        getattr(CommandDirectory(Pages()), what)(name)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60_000)), max_size=60))
def test_requests_are_small_and_together_they_are_everything(sizes: list[tuple[bool, int]]) -> None:
    changes = [
        SetPassword(id_of(number), "x" * (size % 1000))
        if is_password
        else PutPerson(id_of(number), "x", "x", custom={"k": "x" * (size % 900)})
        for number, (is_password, size) in enumerate(sizes)
    ]
    cut = list(batches(changes))
    assert [change for batch in cut for change in batch] == changes
    for batch in cut:
        assert 0 < len(batch) <= MAX_CHANGES_PER_REQUEST
        assert len(msgspec.msgpack.encode(batch)) < MAX_FRAME_BYTES
        assert sum(isinstance(change, SetPassword) for change in batch) <= 50
