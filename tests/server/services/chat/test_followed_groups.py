# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups that follow another directory: members come and go with it, and nobody changes them by hand."""

from __future__ import annotations

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.admin import PutGroup, PutPerson, RemoveGroup
from protocol.messages.chat import (
    ChangeGroup,
    ChangeMembers,
    CreateGroup,
    GetMembers,
    SetMemberRole,
)
from protocol.messages.content import GroupChanged, MemberRole, MembersChanged
from tests.support.colleague import Colleague
from tests.support.world import World


def members(asks: Colleague, group: bytes) -> set[bytes]:
    return {member.user for member in asks.asks(GetMembers(group)).members}


def test_who_is_in_the_directorys_group_is_in_the_conversation(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    group = world.new_id()
    world.changes(PutGroup(group, "Chemists", (alice.user, bob.user), "ldap", "g1"))
    alice.posts("hello", to=group)
    assert bob.sees(group) == ["hello"]
    assert bob.chat(group).title == "Chemists"
    world.changes(PutGroup(group, "Physicists", (alice.user, carol.user), "ldap", "g1"))
    assert members(alice, group) == {alice.user, carol.user}
    assert GroupChanged("Physicists") in alice.contents(group)
    assert bob.chat(group).is_over
    assert alice.contents(group)[-1] == MembersChanged(removed=(bob.user,))
    world.changes(PutPerson(carol.user, "carol", "Carol", is_off_at_source=True))
    assert members(alice, group) == {alice.user}
    world.changes(PutPerson(carol.user, "carol", "Carol"))
    assert members(alice, group) == {alice.user, carol.user}


def test_nobody_changes_it_by_hand(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    group = world.new_id()
    world.changes(PutGroup(group, "Chemists", (alice.user, bob.user)))
    for request in (
        ChangeMembers(group, world.new_id(), add=(carol.user,)),
        ChangeMembers(group, world.new_id(), remove=(alice.user,)),
        SetMemberRole(group, world.new_id(), (bob.user,), MemberRole.READER),
        ChangeGroup(group, world.new_id(), "Mine"),
    ):
        refused = alice.is_refused(request, ErrorCode.FORBIDDEN)
        assert "directory" in refused.sentence


def test_a_group_that_goes_leaves_its_past_and_comes_back(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    group = world.new_id()
    world.changes(PutGroup(group, "Chemists", (alice.user, bob.user)))
    alice.posts("before", to=group)
    world.changes(RemoveGroup(group))
    assert bob.chat(group).is_over
    assert bob.sees(group) == ["before"]
    alice.is_refused(ChangeMembers(group, world.new_id(), add=(bob.user,)), ErrorCode.FORBIDDEN)


def test_a_restart_brings_in_step_what_a_crash_left_behind(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    group = world.new_id()
    world.changes(PutGroup(group, "Chemists", (alice.user,)))
    parts = world.server.parts
    parts._followed_groups.close()
    world.changes(PutGroup(group, "Chemists", (alice.user, bob.user)))
    world.is_killed()
    world.starts_again()
    alice.returns()
    assert members(alice, group) == {alice.user, bob.user}


def test_the_id_of_another_conversation_is_not_taken_over(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    group = world.new_id()
    alice.asks(CreateGroup(group, "Mine", (bob.user,)))
    with pytest.raises(RequestRefused) as caught:
        world.changes(PutGroup(group, "Theirs", (bob.user,)))
    assert caught.value.code is ErrorCode.CONFLICT
    assert members(alice, group) == {alice.user, bob.user}
