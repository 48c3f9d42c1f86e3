# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo: whatever a run did, the directory is as it was before; what was changed since is named and left alone."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.errors import RequestRefused
from protocol.messages import admin as wire
from protocol.messages import sync
from protocol.messages.admin import Permission
from protocol.messages.people import GetPhoto, Place
from server.services.directory_store import org_tree
from server.services.organisation import OrgTree
from server.store import people as people_store
from tests.server.services.office import (
    Office,
    caller,
    grant,
    make_id,
    operator,
    put_department,
    put_person,
    role,
)
from tests.server.services.test_sync_runs import JPEG, group

WATCH = role("Watchman", Permission.ADMIN_SESSIONS)
NAMES = [f"p{number}" for number in range(6)]
PLACES = [f"d{number}" for number in range(5)]
GROUPS = ["g0", "g1"]

departments = st.sampled_from(PLACES)
people = st.sampled_from(NAMES)
ids = people.map(make_id)

CHANGES: st.SearchStrategy[wire.DirectoryChange] = st.one_of(
    st.builds(
        wire.PutDepartment,
        id=departments.map(make_id),
        name=st.sampled_from(["Works", "Lab", "Shop"]),
        parent=st.none() | departments.map(make_id),
        order=st.integers(0, 2),
        source=st.just("ldap"),
        anchor=st.sampled_from(["", "a", "b"]),
    ),
    st.builds(wire.RemoveDepartment, departments.map(make_id)),
    st.builds(
        wire.PutPerson,
        id=ids,
        login=st.sampled_from(["ann", "bob", "cem", "dan", "eve", "fay", "gus"]),
        name=st.sampled_from(["Ann", "Bob"]),
        places=st.lists(departments, max_size=2, unique=True).map(
            lambda seats: tuple(Place(make_id(each)) for each in seats)
        ),
        custom=st.dictionaries(st.just("room"), st.sampled_from("12"), max_size=1),
        is_disabled=st.booleans(),
        is_off_at_source=st.booleans(),
        manager=st.none() | ids,
        source=st.just("ldap"),
        anchor=st.sampled_from(["", "x", "y", "z"]),
    ),
    st.builds(wire.RemovePerson, ids),
    st.builds(wire.PutPhoto, ids, st.just(b"d"), st.sampled_from([JPEG, JPEG + b"!"])),
    st.builds(wire.PutPhoto, ids),
    st.builds(
        lambda name, members: group(name, *members), st.sampled_from(GROUPS), st.sets(people)
    ),
    st.builds(wire.RemoveGroup, st.sampled_from(GROUPS).map(lambda name: group(name).id)),
    st.builds(
        lambda user, scope, source: wire.GrantRole(
            wire.RoleGrant(user, make_id("Watchman"), scope, source)
        ),
        ids,
        st.none() | departments.map(make_id),
        st.sampled_from(["", "ldap"]),
    ),
    st.builds(
        lambda user, scope: wire.RevokeRole(wire.RoleGrant(user, make_id("Watchman"), scope)),
        ids,
        st.none() | departments.map(make_id),
    ),
)


def shape(tree: OrgTree) -> Any:
    """Everything about a directory but when it became so."""
    return (
        {
            user: (
                entry.person,
                entry.source,
                entry.anchor,
                entry.portrait,
                entry.is_closed_here,
                entry.is_off_at_source,
            )
            for user, entry in tree.people.items()
        },
        {
            id: (entry.department, entry.source, entry.anchor)
            for id, entry in tree.departments.items()
        },
        {id: msgspec.structs.replace(entry, version=0) for id, entry in tree.groups.items()},
        tree.grants,
        {login: user for user, e in tree.people.items() for login in [e.person.login]},
        {id: frozenset(tree.children_of(id)) for id in [None, *tree.departments]},
        {id: frozenset(tree.seated_in(id)) for id in tree.departments},
    )


async def fitting(
    office: Office, changes: list[wire.DirectoryChange]
) -> list[wire.DirectoryChange]:
    """Those of the changes that can be carried out after those before them."""
    kept: list[wire.DirectoryChange] = []
    for change in changes:
        try:
            await office.change(*kept, change, is_trial=True)
        except RequestRefused:
            continue
        kept.append(change)
    return kept


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.lists(CHANGES, max_size=14),
    applied=st.lists(CHANGES, max_size=14),
    is_restarted=st.booleans(),
)
def test_undo_gives_the_directory_back(
    before: list[wire.DirectoryChange], applied: list[wire.DirectoryChange], is_restarted: bool
) -> None:
    async def play(folder: Path) -> None:
        office = Office(folder)
        try:
            ground = [put_department(name) for name in PLACES[:3]]
            ground_people = [put_person(name, PLACES[0]) for name in NAMES[:3]]
            await office.change(*ground, *ground_people, WATCH)
            await office.change(*await fitting(office, before))
            was = shape(office.directory.tree)
            marks = {"cookie": b"before"}
            await office.apply(marks=marks)
            done = await office.apply(*await fitting(office, applied), marks={"cookie": b"then"})
            became = shape(office.directory.tree)
            if is_restarted:
                office = office.reopened(folder)
                await office.run_log.recover()
                office.directory.take(org_tree(people_store.load(office.db)))
                assert shape(office.directory.tree) == became
            if done.version == office.directory.version and became != was:
                trial = await office.undo(done.run, is_trial=True)
                assert (trial.run, trial.conflicts) == (None, ())
                undone = await office.undo(done.run)
                assert undone.run is not None
                assert undone.conflicts == ()
                assert shape(office.directory.tree) == was
                assert shape(org_tree(people_store.load(office.db))) == was
                left = await office.sync_history.get_marks(operator, sync.GetMarks("ldap"))
                assert left.marks == marks
                again = await office.undo(undone.run)
                assert again.conflicts == ()
                assert shape(office.directory.tree) == became
                assert shape(org_tree(people_store.load(office.db))) == became
            assert office.db.execute_sql("PRAGMA foreign_key_check").fetchall() == []
        finally:
            await office.settle()
            office.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


async def test_photos_come_back(office: Office) -> None:
    await office.furnish()
    await office.change(wire.PutPhoto(make_id("tom"), b"old", JPEG))
    done = await office.apply(wire.PutPhoto(make_id("tom"), b"new", JPEG + b"new"))
    await office.run_log.recover()  # sweeps what nobody needs
    await office.undo(done.run)
    photo = await office.portraits.get_photo(caller("sam"), GetPhoto(make_id("tom")))
    assert (photo.photo, photo.jpeg) == (b"old", JPEG)


async def test_what_was_changed_since_is_named_and_the_run_stays(office: Office) -> None:
    await office.furnish()
    done = await office.apply(
        put_person("tom", "team", email="tom@example.com"),
        put_person("tia", "team", email="tia@example.com"),
        put_department("lab", "works"),
        put_person("new", "lab"),
        put_department("sales", "works"),
    )
    await office.change(
        put_person("tom", "team", email="tom@example.com", phone="12"),
        put_person("sam", "lab"),
    )
    told = await office.undo(done.run)
    assert told.run is None
    assert told.conflicts == (
        "Tom (tom) was changed since: phone.",
        "The department lab has people in it who came since.",
    )
    undone = await office.undo(done.run, allow_conflicts=True)
    tree = office.directory.tree
    assert undone.run is not None
    assert tree.people[make_id("tom")].person.phone == "12"
    assert tree.people[make_id("tia")].person.email == ""
    assert make_id("new") not in tree.people
    assert make_id("lab") in tree.departments
    assert tree.departments[make_id("sales")].department.parent == make_id("company")
    shown = (await office.sync_history.list_runs(operator, sync.ListRuns())).runs
    assert [(run.kind, run.undoes, run.undone_by) for run in shown] == [
        ("undo", done.run, None),
        ("apply", None, undone.run),
    ]


async def test_whom_somebody_has_written_to_is_closed_and_not_removed(office: Office) -> None:
    await office.furnish()
    done = await office.apply(put_department("lab"), put_person("new", "lab", login="new"))
    office.db.execute_sql(
        "INSERT INTO conversation (id, kind, created_ms) VALUES (X'01', 'direct', 1)"
    )
    office.db.execute_sql(
        "INSERT INTO member (conversation, user, role, first, stamp) VALUES (1, ?, 'member', 1, 1)",
        (office.directory.key_of(make_id("new")),),
    )
    office.audience.open[caller("new").session] = caller("new")
    undone = await office.undo(done.run)
    assert undone.counts == {"person closed": 1, "department removed": 1}
    assert undone.ended_sessions == 1
    entry = office.directory.tree.people[make_id("new")]
    assert entry.is_off_at_source
    assert entry.person.places == ()


async def test_a_login_that_somebody_else_took_stands_in_conflict(office: Office) -> None:
    await office.furnish()
    done = await office.apply(put_person("tom", "team", login="thomas"))
    await office.change(put_person("late", "team", login="tom"))
    told = await office.undo(done.run)
    assert told.conflicts == ("Tom (thomas) had the login tom, which is somebody else's now.",)


async def test_roles_are_taken_back_by_those_who_may(office: Office) -> None:
    await office.furnish()
    await office.change(
        WATCH,
        role("Keeper", Permission.ADMIN_PEOPLE),
        grant("wen", make_id("Keeper")),
    )
    done = await office.apply(
        grant("tom", make_id("Watchman")), put_person("tia", "team", email="x")
    )
    try:
        await office.undo(done.run, by=caller("wen"))
    except RequestRefused as error:
        assert "admin.roles" in error.sentence  # noqa: PT017
    else:
        raise AssertionError("wen may not take roles")
    await office.undo(done.run)
    assert make_id("tom") not in office.directory.tree.grants
