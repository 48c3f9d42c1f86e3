# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the directory: all or none, in order, durable first; and who may."""

import asyncio
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages import admin as wire
from protocol.messages.admin import Effect, Permission, VisibilityRule
from protocol.messages.people import Place
from protocol.messages.session import Policy, SignIn
from server.services.auth import Origin
from server.services.organisation import ADMINISTRATOR, EVERYONE
from server.services.people import Change
from tests.server.services.office import (
    Office,
    caller,
    device,
    grant,
    make_id,
    operator,
    put_department,
    put_person,
    role,
)


async def refused(
    office: Office, code: ErrorCode, *changes: wire.DirectoryChange, by: str = ""
) -> str:
    """The sentence with which changes are refused; nothing of them must be left."""
    before = office.directory.tree
    with pytest.raises(RequestRefused) as caught:
        await office.change(*changes, by=caller(by) if by else operator)
    assert caught.value.code is code, caught.value.sentence
    assert office.directory.tree is before
    return caught.value.sentence


async def test_changes_are_there_after_a_restart(office: Office, tmp_path: Path) -> None:
    await office.furnish()
    done = await office.change(
        put_person("sam", "sales", "works", email="sam@example.com", custom={"room": "12"}),
        put_department("sales", "works", other_name="Vertrieb", order=3, has_conversation=True),
        role("Watchman", Permission.ADMIN_SESSIONS),
        grant("wen", make_id("Watchman"), over="team"),
        wire.SetVisibility((VisibilityRule(targets=make_id("board"), effect=Effect.SEE_ONLY),)),
        wire.SetPassword(make_id("sam"), "correct horse"),
    )
    assert (done.created, done.changed, done.unchanged) == (2, 4, 0)
    before = office.directory.tree
    after = office.reopened(tmp_path)
    office.db = after.db
    tree = after.directory.tree
    assert tree.version == done.version == before.version
    assert tree.rules_version == before.rules_version
    assert tree.people == before.people
    assert tree.departments == before.departments
    assert (tree.roles, tree.grants, tree.rules) == (before.roles, before.grants, before.rules)
    assert tree.next_key == before.next_key
    assert after.directory.has_permission(
        make_id("wen"), Permission.ADMIN_SESSIONS, make_id("team")
    )


async def test_all_or_none_and_the_culprit_is_named(office: Office) -> None:
    await office.furnish()
    sentence = await refused(
        office,
        ErrorCode.CONFLICT,
        put_person("new", "team"),
        put_person("second", "team", login="TOM"),
    )
    assert sentence == "Change 2 of 2 (TOM): The login TOM is Tom's."
    assert make_id("new") not in office.directory.tree.people
    alone = await refused(office, ErrorCode.CONFLICT, put_person("second", "team", login="TOM"))
    assert alone == "The login TOM is Tom's."


async def test_a_trial_changes_nothing(office: Office) -> None:
    await office.furnish()
    before = office.directory.tree
    done = await office.change(put_person("new", "team"), is_trial=True)
    assert (done.version, done.created) == (before.version + 1, 1)
    assert office.directory.tree is before


async def test_what_is_already_so_is_no_change(office: Office) -> None:
    await office.furnish()
    await office.change(
        wire.SetVisibility((VisibilityRule(effect=Effect.HIDE, spares_insiders=False),))
    )
    version = office.directory.version
    done = await office.change(
        put_person("tom", "team"),
        put_department("team", "works"),
        grant("ada"),
        wire.RevokeRole(wire.RoleGrant(make_id("tom"), ADMINISTRATOR)),
        wire.SetVisibility((VisibilityRule(effect=Effect.HIDE, spares_insiders=False),)),
    )
    assert (done.version, done.unchanged) == (version, 5)
    assert office.directory.version == version


async def test_the_version_that_was_expected(office: Office) -> None:
    await office.furnish()
    version = office.directory.version
    await office.change(put_person("one"), expected_version=version)
    with pytest.raises(RequestRefused) as caught:
        await office.change(put_person("two"), expected_version=version)
    assert caught.value.code is ErrorCode.CONFLICT


async def test_requests_are_carried_out_one_after_the_other(office: Office) -> None:
    names = [f"person{number}" for number in range(10)]
    done = await asyncio.gather(*(office.change(put_person(name)) for name in names))
    assert sorted(each.version for each in done) == list(range(2, 12))
    assert len(office.directory.tree.people) == 10
    assert len({entry.key for entry in office.directory.tree.people.values()}) == 10


async def test_too_many_waiting_requests_are_turned_away(office: Office) -> None:
    results = await asyncio.gather(
        *(office.change(put_person(f"person{number}")) for number in range(30)),
        return_exceptions=True,
    )
    failures = [each for each in results if isinstance(each, RequestRefused)]
    assert failures
    assert {failure.code for failure in failures} == {ErrorCode.UNAVAILABLE}
    assert len(office.directory.tree.people) == 30 - len(failures)


async def test_listeners_hear_of_it_when_it_is_durable(office: Office) -> None:
    await office.furnish()
    heard: list[Change] = []
    office.directory.on_change(heard.append)
    await office.change(
        put_person("tom", "sales"),
        put_person("tia", "team", is_disabled=True),
        put_department("lab", "works"),
    )
    [change] = heard
    assert change.version == office.directory.version
    assert change.people_changed == {make_id("tom"), make_id("tia")}
    assert change.people_disabled == {make_id("tia")}
    assert change.departments_changed == {make_id("lab")}
    assert not change.rules_changed


async def test_a_disabled_user_is_out_at_once(office: Office) -> None:
    await office.furnish()
    tia = caller("tia")
    office.audience.open[tia.session] = tia
    done = await office.change(put_person("tia", "team", is_disabled=True))
    assert done.ended_sessions == 1
    assert office.audience.ended == [(tia.session, ErrorCode.ACCOUNT_DISABLED)]
    assert office.directory.is_disabled(make_id("tia"))


async def test_a_new_password_signs_the_person_out_everywhere(office: Office) -> None:
    await office.furnish()
    await office.change(wire.SetPassword(make_id("tia"), "first of all", must_change=False))
    signed = await office.auth.sign_in(SignIn("tia", "first of all", device()), Origin("192.0.2.1"))
    assert not signed.must_change_password
    tia = caller("tia")
    office.audience.open[tia.session] = tia
    done = await office.change(wire.SetPassword(make_id("tia"), "one-time password"))
    assert done.ended_sessions == 1
    assert done.version == office.directory.version  # nobody's news
    signed = await office.auth.sign_in(
        SignIn("tia", "one-time password", device()), Origin("192.0.2.1")
    )
    assert signed.must_change_password


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (ErrorCode.NOT_FOUND, [put_person("new", "nowhere")]),
        (ErrorCode.NOT_FOUND, [put_department("new", "nowhere")]),
        (ErrorCode.NOT_FOUND, [wire.RemoveDepartment(make_id("nowhere"))]),
        (ErrorCode.NOT_FOUND, [wire.SetPassword(make_id("nobody"), "correct horse")]),
        (ErrorCode.NOT_FOUND, [grant("nobody")]),
        (ErrorCode.NOT_FOUND, [grant("tom", make_id("no role"))]),
        (ErrorCode.NOT_FOUND, [grant("tom", over="nowhere")]),
        (ErrorCode.NOT_FOUND, [wire.RemoveRole(make_id("no role"))]),
        (ErrorCode.NOT_FOUND, [wire.SetVisibility((VisibilityRule(targets=make_id("nowhere")),))]),
        (ErrorCode.NOT_FOUND, [wire.SetVisibility((VisibilityRule(targets_role=make_id("x")),))]),
        (ErrorCode.INVALID, [wire.SetVisibility((VisibilityRule(effect=Effect.HIDE),))]),
        (ErrorCode.INVALID, [put_department("company", "team")]),
        (ErrorCode.INVALID, [put_department("works", "works")]),
        (ErrorCode.INVALID, [put_person("new", "team", "team")]),
        (ErrorCode.INVALID, [put_person("new", login=" new")]),
        (ErrorCode.INVALID, [put_person("new", login="n\u202eew")]),
        (ErrorCode.INVALID, [put_person("new", name="\n")]),
        (ErrorCode.INVALID, [role(" ")]),
        (ErrorCode.INVALID, [role("Odd", "admin.everything")]),
        (ErrorCode.INVALID, [role("Odd", "admin.roles", "admin.roles")]),
        (ErrorCode.INVALID, [wire.PutRole(wire.Role(ADMINISTRATOR, "Administrator"))]),
        (ErrorCode.INVALID, [wire.PutRole(wire.Role(EVERYONE, "Everyone"))]),
        (ErrorCode.INVALID, [wire.RemoveRole(EVERYONE)]),
        (ErrorCode.CONFLICT, [role("everyone")]),
        (ErrorCode.CONFLICT, [wire.RemoveDepartment(make_id("works"))]),
        (ErrorCode.CONFLICT, [wire.RemoveDepartment(make_id("sales"))]),
        (ErrorCode.CONFLICT, [put_person("ada", "company", is_disabled=True)]),
        (ErrorCode.CONFLICT, [wire.RevokeRole(wire.RoleGrant(make_id("ada"), ADMINISTRATOR))]),
        (ErrorCode.WEAK_PASSWORD, [wire.SetPassword(make_id("tom"), "short")]),
        (
            ErrorCode.CONFLICT,
            [
                put_person("tom", "team", source="ldap", anchor="7"),
                put_person("tia", "team", source="ldap", anchor="7"),
            ],
        ),
    ],
)
async def test_what_can_not_be(
    office: Office, code: ErrorCode, changes: list[wire.DirectoryChange]
) -> None:
    await office.furnish()
    await refused(office, code, put_person("first"), *changes)


async def test_a_tree_has_a_bottom(office: Office) -> None:
    await office.change(put_department("0"))
    await office.change(*(put_department(str(n), str(n - 1)) for n in range(1, 32)))
    await refused(office, ErrorCode.INVALID, put_department("32", "31"))
    await refused(office, ErrorCode.INVALID, put_department("top"), put_department("0", "top"))


async def test_a_department_can_go_and_come_back(office: Office) -> None:
    await office.furnish()
    await office.change(role("Seller"), grant("wen", make_id("Seller"), over="sales"))
    await office.change(put_person("sam", "works"))
    await office.change(wire.RemoveDepartment(make_id("sales")))
    assert make_id("sales") in office.directory.tree.gone_departments
    assert make_id("wen") not in office.directory.tree.grants
    await office.change(put_department("sales", "company"), put_person("sam", "sales"))
    assert office.directory.members_of(make_id("sales")) == {make_id("sam")}
    assert make_id("sales") not in office.directory.tree.gone_departments


async def test_logins_and_anchors_can_be_exchanged(office: Office) -> None:
    await office.change(
        put_person("tom", source="ldap", anchor="1"), put_person("tia", source="ldap", anchor="2")
    )
    await office.change(
        put_person("tom", login="between", source="ldap"),
        put_person("tia", login="tom", source="ldap", anchor="1"),
        put_person("tom", login="tia", source="ldap", anchor="2"),
    )
    assert office.directory.tree.who_has_login("tia") == make_id("tom")


async def test_the_last_administrator_may_go_once_there_is_another(office: Office) -> None:
    await office.furnish()
    await office.change(grant("tom"), put_person("ada", "company", is_disabled=True))
    await refused(office, ErrorCode.CONFLICT, put_person("tom", "team", is_disabled=True))


class TestSubtreeAdministrators:
    """wen administers the works, and the team below it."""

    async def furnished(self, office: Office) -> None:
        await office.furnish()
        await office.change(
            role("Keeper", Permission.ADMIN_PEOPLE, Permission.ADMIN_ROLES),
            grant("wen", make_id("Keeper"), over="works"),
            role("Seer", Permission.SEE_EVERYONE),
        )

    async def test_what_they_may(self, office: Office) -> None:
        await self.furnished(office)
        done = await office.change(
            put_department("lab", "works"),
            put_department("team", "lab"),
            put_person("new", "lab"),
            put_person("tom", "lab", "team", phone="123"),
            put_person("tia", "team", is_disabled=True),
            wire.SetPassword(make_id("new"), "one-time password"),
            grant("tom", make_id("Keeper"), over="lab"),
            put_person("sam", "sales", "team"),
            put_department("works", "company", other_name="Werk"),
            by=caller("wen"),
        )
        assert done.created + done.changed == 9

    @pytest.mark.parametrize(
        "change",
        [
            put_department("new"),
            put_department("new", "sales"),
            put_department("works"),
            put_department("team", "company"),
            put_department("sales", "works"),
            wire.RemoveDepartment(make_id("works")),
            put_person("new"),
            put_person("new", "sales"),
            put_person("tom"),
            put_person("tom", "team", "sales"),
            put_person("tom", "sales"),
            put_person("sam", "team"),
            put_person("sam", "sales", "team", phone="5"),
            put_person("ada", "company", is_disabled=True),
            wire.SetPassword(make_id("sam"), "one-time password"),
            wire.SetPassword(make_id("ada"), "one-time password"),
            role("New"),
            wire.RemoveRole(make_id("Seer")),
            grant("tom"),
            grant("tom", over="team"),
            grant("tom", make_id("Seer"), over="team"),
            grant("tom", make_id("Keeper")),
            grant("tom", make_id("Keeper"), over="sales"),
            grant("sam", make_id("Keeper"), over="works"),
            wire.RevokeRole(wire.RoleGrant(make_id("ada"), ADMINISTRATOR)),
            wire.SetVisibility(()),
        ],
        ids=str,
    )
    async def test_what_they_may_not(self, office: Office, change: wire.DirectoryChange) -> None:
        await self.furnished(office)
        await refused(office, ErrorCode.FORBIDDEN, change, by="wen")

    async def test_whom_they_do_not_know_they_are_not_told_of(self, office: Office) -> None:
        await self.furnished(office)
        hidden = wire.VisibilityRule(targets=make_id("board"), effect=wire.Effect.HIDE)
        await office.change(wire.SetVisibility((hidden,)))
        for change, code, says in (
            (put_person("new", "team", login="boss"), ErrorCode.CONFLICT, "somebody else's"),
            (put_person("new", "team", login="sam"), ErrorCode.CONFLICT, "Sam's"),
            (put_person("boss", "team"), ErrorCode.CONFLICT, "another record's"),
            (wire.SetPassword(make_id("boss"), "one-time password"), ErrorCode.NOT_FOUND, "no p"),
            (wire.SetPassword(make_id("sam"), "one-time password"), ErrorCode.FORBIDDEN, "Sam"),
        ):
            with pytest.raises(RequestRefused) as refusal:
                await office.change(change, by=caller("wen"))
            assert refusal.value.code is code
            assert says in refusal.value.sentence
            assert "Boss" not in refusal.value.sentence

    async def test_nobody_takes_over_who_has_more_rights(self, office: Office) -> None:
        await self.furnished(office)
        await office.change(grant("tom"))
        for change in (
            wire.SetPassword(make_id("tom"), "one-time password"),
            put_person("tom", "team", is_disabled=True),
            put_person("tom", "team", login="tommy"),
            put_person("tom", "team", source="ldap"),
        ):
            await refused(office, ErrorCode.FORBIDDEN, change, by="wen")
        await office.change(put_person("tom", "team", phone="1"), by=caller("wen"))

    async def test_they_see_their_part(self, office: Office) -> None:
        await self.furnished(office)
        page = await office.admin.get_admin_directory(caller("wen"), wire.GetAdminDirectory())
        assert {each.person.login for each in page.people} == {"wen", "tom", "tia"}
        assert {each.name for each in page.departments} == {"company", "works", "team"}
        assert {each.user for each in page.grants} == {make_id("wen")}


async def test_nobody_gives_what_they_do_not_hold(office: Office) -> None:
    await office.furnish()
    await office.change(role("Roles", Permission.ADMIN_ROLES), grant("wen", make_id("Roles")))
    for change in (
        grant("wen"),
        role("More", Permission.ADMIN_PEOPLE),
        role("Roles", Permission.ADMIN_ROLES, Permission.ADMIN_PEOPLE),
        wire.RevokeRole(wire.RoleGrant(make_id("ada"), ADMINISTRATOR)),
        wire.PutRole(wire.Role(EVERYONE, "Everyone", (), is_for_everyone=True)),
    ):
        if isinstance(change, wire.PutRole) and change.role.id == EVERYONE:
            await office.change(change, by=caller("wen"))  # everybody holds what it allows
        else:
            await refused(office, ErrorCode.FORBIDDEN, change, by="wen")
    await office.change(role("Label"), grant("tom", make_id("Label")), by=caller("wen"))


async def test_rights_given_by_an_earlier_change_count_for_a_later_one(office: Office) -> None:
    await office.furnish()
    await refused(office, ErrorCode.FORBIDDEN, put_person("new"), by="tom")
    sentence = await refused(
        office,
        ErrorCode.FORBIDDEN,
        grant("tom"),
        wire.RevokeRole(wire.RoleGrant(make_id("ada"), ADMINISTRATOR)),
        put_person("new"),
        by="ada",
    )
    assert sentence.startswith("Change 3 of 3 (")


async def test_the_whole_directory_page_by_page(office: Office) -> None:
    await office.furnish()
    await office.change(wire.SetPassword(make_id("tom"), "one-time password"))
    ada = caller("ada")
    first = await office.admin.get_admin_directory(ada, wire.GetAdminDirectory(limit=4))
    assert (len(first.people), len(first.departments)) == (4, 5)
    assert first.after is not None
    second = await office.admin.get_admin_directory(
        ada, wire.GetAdminDirectory(after=first.after, limit=4)
    )
    assert (len(second.people), second.departments, second.after) == (2, (), None)
    everybody = {each.person.login: each for each in (*first.people, *second.people)}
    assert set(everybody) == {"ada", "boss", "wen", "tom", "tia", "sam"}
    assert everybody["tom"].has_password
    assert everybody["tom"].must_change_password
    assert not everybody["tia"].has_password
    again = await office.change(*(each.person for each in everybody.values()), *first.departments)
    assert again.unchanged == 11
    with pytest.raises(RequestRefused):
        await office.admin.get_admin_directory(caller("sam"), wire.GetAdminDirectory())


async def test_policy(office: Office, tmp_path: Path) -> None:
    await office.furnish()
    ada = caller("ada")
    await office.admin.set_policy(
        ada, wire.SetPolicy(Policy(edit_within_s=5, password_min_chars=12))
    )
    assert office.policy.current.edit_within_s == 5
    await refused(office, ErrorCode.WEAK_PASSWORD, wire.SetPassword(make_id("tom"), "123 456 789"))
    for caller_, policy in ((ada, Policy(password_min_chars=3)), (caller("tom"), Policy())):
        with pytest.raises(RequestRefused):
            await office.admin.set_policy(caller_, wire.SetPolicy(policy))
    after = office.reopened(tmp_path)
    office.db = after.db
    await after.policy.load(after.read)
    assert after.policy.current.edit_within_s == 5


async def test_status(office: Office) -> None:
    await office.furnish()
    ada = caller("ada")
    office.audience.open[ada.session] = ada
    status = await office.admin.get_server_status(ada, wire.GetServerStatus())
    assert (status.sessions, status.users_online, status.people, status.events) == (1, 1, 6, 7)
    assert status.store_bytes > 0
    with pytest.raises(RequestRefused):
        await office.admin.get_server_status(caller("tom"), wire.GetServerStatus())


async def test_a_place_keeps_title_and_order(office: Office) -> None:
    await office.furnish()
    places = (
        Place(make_id("sales"), "Head", order=2, is_head=True),
        Place(make_id("team"), "Guest", order=-1),
    )
    await office.change(put_person("sam", places=places))
    person = office.directory.person(make_id("sam"))
    assert person is not None
    assert person.places == places
