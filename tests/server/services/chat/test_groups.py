# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups: who comes, who goes, who rules, and what each of them sees."""

from __future__ import annotations

import pytest

from protocol.errors import ErrorCode
from protocol.ids import ConversationId, direct_conversation_id
from protocol.messages.admin import Effect, Permission, VisibilityRule
from protocol.messages.chat import (
    ChangeGroup,
    ChangeMembers,
    ChatChanged,
    CreateGroup,
    Events,
    GetHistory,
    GetMembers,
    SetMemberRole,
)
from protocol.messages.content import (
    Created,
    GroupChanged,
    MemberRole,
    MembersChanged,
    Recall,
    Span,
    Text,
)
from tests.support.colleague import Colleague
from tests.support.world import World


def _group(world: World, *people: Colleague) -> ConversationId:
    """A group of these, made by the first."""
    world.allows(Permission.CREATE_GROUPS)
    id = world.new_id()
    people[0].asks(CreateGroup(id, "Lunch", tuple(person.user for person in people[1:])))
    return id


def _roles(person: Colleague, group: ConversationId) -> dict[str, str]:
    names = {client.user: client.name for client in person.world.clients}
    members = person.asks(GetMembers(group)).members
    return {names[member.user]: member.role for member in members}


def test_everybody_learns_of_a_new_group(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    group = _group(world, alice, bob)
    assert bob.chat(group).title == "Lunch"
    assert bob.contents(group) == [Created("Lunch", (bob.user, alice.user))]
    alice.posts("12:30?", to=group)
    bob.posts("yes", to=group)
    assert alice.sees(group) == bob.sees(group) == ["12:30?", "yes"]
    assert group not in carol.copies


def test_the_same_id_again_gets_the_group_that_is_there(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    group = _group(world, alice, bob)
    again = alice.asks(CreateGroup(group, "Other", (carol.user,)))
    assert (again.chat.title, again.chat.member_count) == ("Lunch", 2)
    carol.is_refused(CreateGroup(group, "Mine"), ErrorCode.CONFLICT)


def test_nobody_takes_the_id_of_another_kind_of_conversation(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    world.allows(Permission.CREATE_GROUPS)
    trap = direct_conversation_id(bob.user, carol.user)
    request = CreateGroup(trap, "Trap", (bob.user, carol.user))
    alice.is_refused(request, ErrorCode.INVALID)


def test_creating_groups_is_a_permission(world: World) -> None:
    (alice,) = world.has_signed_in("Alice")
    world.allows()  # nothing, to everybody
    alice.is_refused(CreateGroup(world.new_id(), "Lunch"), ErrorCode.FORBIDDEN)


class TestMembers:
    def test_who_comes_sees_from_then_on(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob)
        alice.posts("before", to=group)
        alice.asks(ChangeMembers(group, alice.new_id(), add=(carol.user,)))
        bob.posts("after", to=group)
        assert carol.sees(group) == ["after"]
        assert (carol.chat(group).first, carol.chat(group).unread) == (3, 0)
        page = carol.asks(GetHistory(group, after=0))
        assert [event.seq for event in page.events] == [3, 4]
        assert page.first == 3
        page = carol.asks(GetHistory(group, before=3))
        assert not page.events

    def test_who_goes_keeps_what_they_could_see(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob, carol)
        alice.posts("all of us", to=group)
        alice.asks(ChangeMembers(group, alice.new_id(), remove=(carol.user,)))
        alice.posts("without Carol", to=group)
        assert carol.chat(group).is_over
        assert carol.sees(group) == ["all of us"]
        assert carol.contents(group)[-1] == MembersChanged(removed=(carol.user,))
        carol.is_refused(carol.post(Text("hey"), group), ErrorCode.FORBIDDEN)
        carol.is_refused(GetMembers(group), ErrorCode.FORBIDDEN)
        phone = world.device_of(carol.user, "Carol")
        phone.returns()
        phone.completes(group)
        assert phone.sees(group) == ["all of us"]
        assert (phone.chat(group).head, phone.chat(group).unread) == (3, 1)

    def test_who_comes_back_does_not_see_what_was_meanwhile(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob, carol)
        carol.asks(ChangeMembers(group, carol.new_id(), remove=(carol.user,)))
        assert alice.contents(group)[-1] == MembersChanged(left=(carol.user,))
        alice.posts("a surprise for Carol", to=group)
        bob.asks(ChangeMembers(group, bob.new_id(), add=(carol.user,)))
        assert not carol.chat(group).is_over
        page = carol.asks(GetHistory(group, after=0))
        assert [event.seq for event in page.events] == [4]
        world.stops()
        world.starts_again()
        carol.returns()
        assert [event.seq for event in carol.asks(GetHistory(group, after=0)).events] == [4]

    def test_the_same_change_again_is_one_change(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob)
        change = ChangeMembers(group, alice.new_id(), add=(carol.user,))
        first = alice.asks(change)
        assert alice.asks(change) == first
        alice.is_refused(ChangeMembers(group, alice.new_id(), add=(carol.user,)), ErrorCode.INVALID)

    def test_only_leaders_remove_and_nobody_removes_their_own_rank(self, world: World) -> None:
        alice, bob, carol, dave = world.has_signed_in("Alice", "Bob", "Carol", "Dave")
        group = _group(world, alice, bob, carol, dave)
        alice.asks(SetMemberRole(group, alice.new_id(), (bob.user, carol.user), MemberRole.ADMIN))
        for who, whom in ((dave, bob), (bob, carol), (bob, alice)):
            request = ChangeMembers(group, who.new_id(), remove=(whom.user,))
            who.is_refused(request, ErrorCode.FORBIDDEN)
        bob.asks(ChangeMembers(group, bob.new_id(), remove=(dave.user,)))
        alice.asks(ChangeMembers(group, alice.new_id(), remove=(carol.user,)))
        assert _roles(alice, group) == {"Alice": "owner", "Bob": "admin"}

    def test_one_invites_whom_one_sees(self, world: World) -> None:
        board = world.has_department("Board")
        (chief,) = world.has_signed_in("Chief", department=board)
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob)
        world.has_rules(VisibilityRule(targets=board, effect=Effect.HIDE))
        world.disables(carol)
        add = ChangeMembers(group, alice.new_id(), add=(chief.user,))
        alice.is_refused(add, ErrorCode.NOT_FOUND)
        add = ChangeMembers(group, alice.new_id(), add=(carol.user,))
        alice.is_refused(add, ErrorCode.FORBIDDEN)

    def test_members_hidden_from_each_other_still_read_each_other(self, world: World) -> None:
        board = world.has_department("Board")
        chief, other = world.has_signed_in("Chief", "Other", department=board)
        (alice,) = world.has_signed_in("Alice")
        group = _group(world, chief, other, alice)
        world.has_rules(VisibilityRule(targets=board, effect=Effect.HIDE))
        chief.posts("welcome", to=group)
        assert alice.sees(group) == ["welcome"]
        assert _roles(alice, group) == {"Alice": "member"}
        assert len(_roles(chief, group)) == 3
        phone = world.device_of(alice.user, "Alice")
        phone.returns()
        assert phone.chat(group).receipts == ()


class TestOwner:
    def test_an_owner_who_leaves_is_followed_by_the_longest_admin(self, world: World) -> None:
        alice, bob, carol, dave = world.has_signed_in("Alice", "Bob", "Carol", "Dave")
        group = _group(world, alice, bob)
        alice.asks(ChangeMembers(group, alice.new_id(), add=(carol.user,)))
        alice.asks(ChangeMembers(group, alice.new_id(), add=(dave.user,)))
        alice.asks(SetMemberRole(group, alice.new_id(), (dave.user,), MemberRole.ADMIN))
        alice.asks(ChangeMembers(group, alice.new_id(), remove=(alice.user,)))
        assert bob.contents(group)[-1] == MembersChanged(
            left=(alice.user,), role="owner", changed=(dave.user,)
        )
        dave.asks(ChangeMembers(group, dave.new_id(), remove=(dave.user,)))
        assert _roles(bob, group) == {"Bob": "owner", "Carol": "member"}
        world.stops()
        world.starts_again()
        bob.returns()
        assert _roles(bob, group) == {"Bob": "owner", "Carol": "member"}

    def test_the_last_one_leaves(self, world: World) -> None:
        (alice,) = world.has_signed_in("Alice")
        group = _group(world, alice)
        alice.asks(ChangeMembers(group, alice.new_id(), remove=(alice.user,)))
        assert alice.chat(group).is_over

    def test_an_owner_hands_over(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob, carol)
        both = SetMemberRole(group, alice.new_id(), (bob.user, carol.user), MemberRole.OWNER)
        alice.is_refused(both, ErrorCode.INVALID)
        alice.asks(SetMemberRole(group, alice.new_id(), (bob.user,), MemberRole.OWNER))
        assert _roles(carol, group) == {"Alice": "admin", "Bob": "owner", "Carol": "member"}
        back = SetMemberRole(group, alice.new_id(), (bob.user,), MemberRole.MEMBER)
        alice.is_refused(back, ErrorCode.FORBIDDEN)

    @pytest.mark.parametrize("role", [MemberRole.OWNER, MemberRole.ADMIN])
    def test_only_the_owner_makes_leaders(self, world: World, role: MemberRole) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob, carol)
        alice.asks(SetMemberRole(group, alice.new_id(), (bob.user,), MemberRole.ADMIN))
        request = SetMemberRole(group, bob.new_id(), (carol.user,), role)
        bob.is_refused(request, ErrorCode.FORBIDDEN)
        bob.asks(SetMemberRole(group, bob.new_id(), (carol.user,), MemberRole.READER))


class TestRules:
    def test_readers_read(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        group = _group(world, alice, bob)
        bob.posts("I may", to=group)
        alice.asks(SetMemberRole(group, alice.new_id(), (bob.user,), MemberRole.READER))
        bob.is_refused(bob.post(Text("may I?"), group), ErrorCode.FORBIDDEN)
        invite = ChangeMembers(group, bob.new_id(), add=(world.new_id(),))
        bob.is_refused(invite, ErrorCode.FORBIDDEN)
        alice.posts("no", to=group)
        assert bob.sees(group) == ["I may", "no"]

    def test_in_a_group_for_readers_only_leaders_write(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        group = _group(world, alice, bob)
        message = bob.posts("while I can", to=group)
        alice.asks(ChangeGroup(group, alice.new_id(), is_readers_only=True))
        assert bob.contents(group)[-1] == GroupChanged("Lunch", is_readers_only=True)
        bob.is_refused(bob.post(Text("may I?"), group), ErrorCode.FORBIDDEN)
        bob.asks(bob.post(Recall(message), group))
        alice.posts("news", to=group)

    def test_a_new_title(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        group = _group(world, alice, bob)
        bob.is_refused(ChangeGroup(group, bob.new_id(), "Dinner"), ErrorCode.FORBIDDEN)
        alice.pushes.clear()
        alice.asks(ChangeGroup(group, alice.new_id(), "Dinner"))
        # Who asked is told as well: it is no post of theirs.
        assert alice.told(Events)
        world.stops()
        world.starts_again()
        phone = world.device_of(bob.user, "Bob")
        phone.returns()
        assert phone.chat(group).title == "Dinner"

    def test_a_direct_conversation_is_not_ruled(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        alice.posts("hi", to=bob)
        id = alice.with_(bob)
        add = ChangeMembers(id, alice.new_id(), add=(carol.user,))
        alice.is_refused(add, ErrorCode.FORBIDDEN)
        alice.is_refused(ChangeGroup(id, alice.new_id(), "x"), ErrorCode.FORBIDDEN)

    def test_mentioning_everybody(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        group = _group(world, alice, bob, carol)
        everybody = Text("@all lunch", (Span("mention_all", 0, 4),))
        bob.is_refused(bob.post(everybody, group), ErrorCode.FORBIDDEN)
        alice.asks(alice.post(everybody, group))
        world.allows(Permission.MENTION_ALL, to=[bob])
        bob.asks(bob.post(everybody, group))
        phone = world.device_of(carol.user, "Carol")
        phone.returns()
        assert (phone.chat(group).unread, phone.chat(group).mentions) == (2, 2)


def test_nobody_is_told_of_a_change_that_could_not_be_stored(world: World) -> None:
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    group = _group(world, alice, bob)
    world.is_disk_slow = True
    alice.sends(ChangeMembers(group, alice.new_id(), add=(carol.user,)))
    alice.sends(alice.post(Text("welcome Carol"), group))
    world.settle()
    assert group not in carol.copies
    world.is_killed()
    world.is_disk_slow = False
    world.starts_again()
    for person in (alice, bob, carol):
        person.returns()
    assert group not in carol.copies
    assert bob.sees(group) == []
    assert not carol.told(ChatChanged)
