# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs: nothing counts before the commit, everything after it, whatever happens in between; and who may."""

import asyncio
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.limits import RUN_TIMEOUT_S
from protocol.messages import admin as wire
from protocol.messages import sync
from protocol.messages.admin import Permission
from protocol.messages.people import GetDirectory, GetPhoto
from server.services import run_log
from server.services.directory_store import org_tree
from server.services.people import Change
from server.store import people as people_store
from server.store import sync_runs as store
from server.store.errors import StoreUnavailable
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

JPEG = b"\xff\xd8\xff a face"


def group(name: str, *members: str) -> wire.PutGroup:
    """A group that follows the directory."""
    id = bytearray(make_id(name))
    id[6] = 0x70 | id[6] & 0x0F
    return wire.PutGroup(bytes(id), name, tuple(map(make_id, members)), "ldap", name)


async def refused(awaitable: object, code: ErrorCode) -> str:
    with pytest.raises(RequestRefused) as caught:
        await awaitable  # type: ignore[misc]
    assert caught.value.code is code, caught.value.sentence
    return caught.value.sentence


async def begin(office: Office, source: str = "ldap", by: object = operator) -> bytes:
    request = sync.BeginRun(source, office.directory.version)
    return office.sync_runs.begin_run(by, request).run  # type: ignore[arg-type]


async def test_a_run_counts_as_a_whole_and_is_there_after_a_restart(
    office: Office, tmp_path: Path
) -> None:
    await office.furnish()
    told: list[Change] = []
    office.directory.on_change(told.append)
    before = office.directory.version
    run = await begin(office)
    first = (
        put_department("lab", "works", source="ldap", anchor="d1"),
        put_person("ann", "lab", source="ldap", anchor="p1", manager=make_id("boss")),
    )
    second = (
        put_person("bob", "lab", source="ldap", anchor="p2", manager=make_id("ann")),
        wire.PutPhoto(make_id("bob"), b"d" * 32, JPEG),
        group("Chemists", "ann", "bob"),
        wire.GrantRole(wire.RoleGrant(make_id("ann"), make_id("Watchman"), source="ldap")),
    )
    await office.change(role("Watchman", Permission.ADMIN_SESSIONS))
    await refused(office.sync_runs.commit_run(operator, sync.CommitRun(run)), ErrorCode.CONFLICT)
    run = await begin(office)
    told.clear()
    await office.sync_runs.add_to_run(operator, sync.AddToRun(run, 0, first))
    await office.sync_runs.add_to_run(operator, sync.AddToRun(run, 2, second))
    await office.sync_runs.add_to_run(
        operator, sync.AddToRun(run, 2, second)
    )  # the answer was lost
    assert make_id("ann") not in office.directory.tree.people
    assert told == []
    done = await office.sync_runs.commit_run(operator, sync.CommitRun(run))
    again = await office.sync_runs.commit_run(operator, sync.CommitRun(run))
    assert done == again
    assert (done.version, done.created, done.changed) == (before + 2, 5, 1)
    assert [change.version for change in told] == [before + 2]
    tree = office.directory.tree
    after = office.reopened(tmp_path)
    office.db = after.db
    stored = after.directory.tree
    assert (stored.people, stored.departments) == (tree.people, tree.departments)
    assert (stored.grants, stored.groups, stored.version) == (
        tree.grants,
        tree.groups,
        tree.version,
    )
    person = stored.people[make_id("bob")].person
    assert (person.manager, person.photo) == (make_id("ann"), b"d" * 32)
    photo = await after.portraits.get_photo(caller("tom"), GetPhoto(make_id("bob")))
    assert (photo.photo, photo.jpeg) == (b"d" * 32, JPEG)
    assert (await after.sync_runs.commit_run(operator, sync.CommitRun(run))).created == 5
    (shown,) = (await after.sync_history.list_runs(operator, sync.ListRuns())).runs
    assert (shown.id, shown.version_after, shown.is_undoable) == (run, tree.version, True)


async def test_a_run_that_was_not_committed_leaves_nothing(office: Office, tmp_path: Path) -> None:
    await office.furnish()
    run = await begin(office)
    photo = (put_person("ann"), wire.PutPhoto(make_id("ann"), b"d" * 32, JPEG))
    await office.sync_runs.add_to_run(operator, sync.AddToRun(run, 0, photo))
    before = office.directory.tree
    after = office.reopened(tmp_path)
    await after.run_log.recover()
    office.db = after.db
    assert after.directory.tree.people == before.people
    assert after.db.execute_sql("SELECT count(*) FROM portrait").fetchone() == (0,)


@pytest.mark.expected_log("lanyard.services", "a run that .* (swept away|waits for the store)")
@pytest.mark.parametrize("last_write", range(1, 12))
async def test_a_crash_at_any_write_leaves_all_or_nothing(
    office: Office, tmp_path: Path, last_write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "PORTION", 2)
    await office.furnish()
    before = office.directory.tree
    changes = [put_person(name, "team") for name in ("ann", "bob", "cem", "dan")]
    swap = [put_person("tom", "team", login="tmp"), put_person("tia", "team", login="tom")]
    swap.append(put_person("tom", "team", login="tia"))
    office.crash_after(last_write)
    try:
        done = await asyncio.wait_for(office.apply(*changes, *swap, put_department("lab")), 5)
    except (StoreUnavailable, RequestRefused, TimeoutError):
        done = None
    office.crash_after(None)
    (decided,) = office.db.execute_sql("SELECT count(*) FROM sync_run WHERE state > 0").fetchone()
    after = office.reopened(tmp_path)
    office.db = after.db
    await after.run_log.recover()
    tree = org_tree(people_store.load(after.db))
    if decided:
        assert {"ann", "bob", "cem", "dan"} <= {e.person.login for e in tree.people.values()}
        assert tree.people[make_id("tom")].person.login == "tia"
        assert tree.version == before.version + 1
    else:
        assert done is None
        assert (tree.people, tree.departments, tree.version) == (
            before.people,
            before.departments,
            before.version,
        )
    assert after.db.execute_sql("PRAGMA foreign_key_check").fetchall() == []
    (left,) = after.db.execute_sql(
        "SELECT count(*) FROM sync_run WHERE state <> ?", (store.CARRIED_OUT,)
    ).fetchone()
    assert left == 0


async def test_one_run_for_each_source(office: Office) -> None:
    await office.furnish()
    await office.change(grant("boss"))
    first = await begin(office)
    with pytest.raises(RequestRefused) as caught:
        await begin(office, by=caller("boss"))
    assert caught.value.code is ErrorCode.CONFLICT
    await begin(office, source="other", by=caller("boss"))
    await begin(office)  # the same session begins anew
    await refused(office.sync_runs.commit_run(operator, sync.CommitRun(first)), ErrorCode.NOT_FOUND)
    office.sync_runs.session_closed(operator.session)
    await begin(office, by=caller("boss"))


async def test_a_run_that_is_forgotten_ends_by_itself(office: Office) -> None:
    run = await begin(office)
    office.hands.advance(RUN_TIMEOUT_S + 1)
    assert len(office.sync_runs) == 0
    office.sync_runs.abandon_run(operator, sync.AbandonRun(run))
    await refused(
        office.sync_runs.add_to_run(operator, sync.AddToRun(run, 0, ())), ErrorCode.NOT_FOUND
    )


async def test_a_refused_change_is_named_and_ends_the_run(office: Office) -> None:
    await office.furnish()
    run = await begin(office)
    changes = (put_person("ann", "team"), put_person("bob", "team", login="TOM"))
    sentence = await refused(
        office.sync_runs.add_to_run(operator, sync.AddToRun(run, 0, changes)), ErrorCode.CONFLICT
    )
    assert sentence == "Change 2 (TOM): The login TOM is Tom's."
    assert len(office.sync_runs) == 0
    run = await begin(office)
    password = (wire.SetPassword(make_id("tom"), "correct horse"),)
    await refused(
        office.sync_runs.add_to_run(operator, sync.AddToRun(run, 0, password)), ErrorCode.INVALID
    )


async def test_only_administrators_of_all_people(office: Office) -> None:
    await office.furnish()
    await office.change(
        role("Keeper", Permission.ADMIN_PEOPLE), grant("wen", make_id("Keeper"), over="works")
    )
    for who in ("wen", "tom"):
        begin_it = sync.BeginRun("ldap", office.directory.version)
        with pytest.raises(RequestRefused) as caught:
            office.sync_runs.begin_run(caller(who), begin_it)
        assert caught.value.code is ErrorCode.FORBIDDEN
        for ask in (
            office.sync_history.list_runs(caller(who), sync.ListRuns()),
            office.sync_history.get_marks(caller(who), sync.GetMarks("ldap")),
            office.undo(bytes(16), by=caller(who)),
        ):
            await refused(ask, ErrorCode.FORBIDDEN)


async def test_marks_come_with_the_run_and_without_changes_it_is_no_history(
    office: Office,
) -> None:
    await office.furnish()
    await office.apply(put_person("ann"), marks={"cookie": b"1", "scope": b"s"})
    version = office.directory.version
    done = await office.apply(put_person("ann"), marks={"cookie": b"2"})
    assert (done.version, done.unchanged) == (version, 1)
    marks = await office.sync_history.get_marks(operator, sync.GetMarks("ldap"))
    assert marks.marks == {"cookie": b"2"}
    assert len((await office.sync_history.list_runs(operator, sync.ListRuns())).runs) == 1


async def test_history_goes_page_by_page_and_by_source(office: Office) -> None:
    for number in range(5):
        await office.apply(
            put_person(f"p{number}"), source="ab"[number % 2], counts={"new": number}
        )
    runs = (await office.sync_history.list_runs(operator, sync.ListRuns(limit=2))).runs
    assert [run.counts["new"] for run in runs] == [4, 3]
    request = sync.ListRuns(before=runs[-1].id, source="a")
    runs = (await office.sync_history.list_runs(operator, request)).runs
    assert [run.counts["new"] for run in runs] == [2, 0]


async def test_what_the_directory_closes_and_what_an_administrator_closes(office: Office) -> None:
    await office.furnish()
    office.audience.open[caller("tom").session] = caller("tom")
    done = await office.apply(put_person("tom", "team", is_off_at_source=True))
    assert done.ended_sessions == 1
    assert office.directory.is_disabled(make_id("tom"))
    await office.change(put_person("tom", "team", is_off_at_source=True, is_disabled=True))
    await office.apply(put_person("tom", "team", is_disabled=True))
    assert office.directory.is_disabled(make_id("tom"))
    await office.change(put_person("tom", "team"))
    assert not office.directory.is_disabled(make_id("tom"))


async def test_roles_given_by_hand_are_not_the_sources(office: Office) -> None:
    await office.furnish()
    await office.change(role("Watchman", Permission.ADMIN_SESSIONS))
    by_hand = wire.RoleGrant(make_id("tom"), make_id("Watchman"))
    by_source = wire.RoleGrant(make_id("tom"), make_id("Watchman"), source="ldap")
    await office.apply(wire.GrantRole(by_source))
    assert office.directory.tree.grants[make_id("tom")] == {by_source}
    await office.change(wire.GrantRole(by_hand))
    await office.apply(wire.GrantRole(by_source), wire.RevokeRole(by_source))
    assert office.directory.tree.grants[make_id("tom")] == {by_hand}
    await office.change(wire.RevokeRole(by_hand))
    await office.apply(wire.GrantRole(by_source))
    await office.change(wire.RevokeRole(by_hand))
    assert make_id("tom") not in office.directory.tree.grants


async def test_somebody_is_removed_only_when_nothing_refers_to_them(office: Office) -> None:
    await office.furnish()
    await office.change(put_person("ann"), put_person("bob", manager=make_id("ann")))
    remove = wire.RemovePerson(make_id("ann"))
    await refused(office.change(remove), ErrorCode.CONFLICT)
    await office.change(put_person("bob"), group("G", "ann"))
    await refused(office.change(remove), ErrorCode.CONFLICT)
    version = office.directory.version
    await office.change(group("G"), remove)
    assert make_id("ann") not in office.directory.tree.people
    news = office.directory.get_directory(caller("tom"), GetDirectory(version))
    assert news.gone_people == (make_id("ann"),)
    await office.change(put_person("ann"))
    office.db.execute_sql(
        "INSERT INTO device (person, id, name, kind, created_ms, last_seen_ms)"
        " VALUES (?, X'01', 'desk', 'pc', 1, 1)",
        (office.directory.key_of(make_id("ann")),),
    )
    await refused(office.change(remove), ErrorCode.CONFLICT)


async def test_photos(office: Office) -> None:
    await office.furnish()
    for bad in (
        wire.PutPhoto(make_id("tom"), b"", JPEG),
        wire.PutPhoto(make_id("tom"), b"d", b""),
        wire.PutPhoto(make_id("tom"), b"d", b"GIF89a"),
    ):
        await refused(office.change(bad), ErrorCode.INVALID)
    await office.change(wire.PutPhoto(make_id("tom"), b"d", JPEG))
    await office.change(put_person("tom", "team", email="t@example.com"))
    page = await office.admin.get_admin_directory(operator, wire.GetAdminDirectory())
    assert {p.person.login: p.person.photo for p in page.people}["tom"] == b"d"
    await office.change(wire.PutPhoto(make_id("tom")))
    photo = await office.portraits.get_photo(caller("sam"), GetPhoto(make_id("tom")))
    assert (photo.photo, photo.jpeg) == (b"", b"")
    await office.run_log.recover()
    assert office.db.execute_sql("SELECT count(*) FROM portrait").fetchone() == (0,)
    await refused(
        office.portraits.get_photo(caller("sam"), GetPhoto(make_id("nobody"))), ErrorCode.NOT_FOUND
    )
