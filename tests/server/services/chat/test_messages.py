# SPDX-License-Identifier: GPL-3.0-or-later
"""Posting, forwarding, editing, recalling, reacting: what arrives where, and what is refused."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from protocol.codec import decode_content, encode_content
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import direct_conversation_id
from protocol.limits import MAX_REACTIONS_PER_MESSAGE
from protocol.messages.admin import Effect, Permission, VisibilityRule
from protocol.messages.chat import Events, Forward, GetHistory, OpenDirect, Post, Posted
from protocol.messages.content import (
    Attachment,
    Edit,
    Forwarded,
    React,
    Recall,
    Recalled,
    Span,
    SpanKind,
    Text,
)
from protocol.messages.session import Policy
from server.services.pace import Pace
from server.store import changes as store
from tests.guards.logs import ExpectedLog
from tests.support.world import World


def test_the_first_message_makes_the_conversation(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("hello", to=bob)
    assert bob.sees(alice) == ["hello"]
    assert alice.sees(bob) == ["hello"]
    assert bob.chat(alice).peer == alice.user


def test_messages_arrive_in_order_once_and_numbered_without_a_gap(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    for number in range(30):
        (alice, bob)[number % 2].posts(str(number), to=(bob, alice)[number % 2])
    assert alice.sees(bob) == bob.sees(alice) == [str(number) for number in range(30)]
    assert sorted(bob.copy(alice).events) == list(range(1, 32))
    ordinals = [bob.copy(alice).events[seq].ordinal for seq in range(1, 32)]
    assert ordinals == list(range(31))


def test_requests_in_one_go_keep_their_order(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    texts = [Text(str(number), reply_to=None) for number in range(20)]
    # Every third needs the long way round, and the first ones wait for the conversation.
    spans = (Span(SpanKind.MENTION.value, 0, 1, user=bob.user),)
    for number, text in enumerate(texts):
        content = msgspec.structs.replace(text, spans=spans) if number % 3 == 0 else text
        alice.sends(alice.post(content, bob))
    world.settle()
    assert bob.sees(alice) == [str(number) for number in range(20)]


def test_the_posting_session_gets_the_answer_and_every_other_one_the_event(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    phone = world.device_of(alice.user, "Alice")
    phone.returns()
    alice.posts("hi", to=bob)
    alice.pushes.clear()
    alice.posts("again", to=bob)
    assert not alice.told(Events)
    assert phone.sees(bob) == bob.sees(alice) == ["hi", "again"]


def test_nothing_is_told_before_it_is_durable(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("one", to=bob)
    world.is_disk_slow = True
    number = alice.sends(alice.post(Text("two"), bob))
    world.settle()
    assert alice.answer_to(number) is None
    assert bob.sees(alice) == ["one"]
    world.is_disk_slow = False
    world.settle()
    assert isinstance(alice.answer_to(number), Posted)
    assert bob.sees(alice) == ["one", "two"]


class TestSameIdAgain:
    def test_gets_the_same_answer_and_nobody_is_told_twice(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        post = alice.post(Text("once"), bob)
        first = alice.asks(post)
        bob.pushes.clear()
        assert alice.asks(post) == first
        assert not bob.told(Events)

    def test_while_the_first_is_still_being_stored(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hello", to=bob)
        world.is_disk_slow = True
        post = alice.post(Text("once"), bob)
        numbers = [alice.sends(post), alice.sends(post)]
        world.settle()
        world.is_disk_slow = False
        world.settle()
        one, other = (alice.answer_to(number) for number in numbers)
        assert one == other
        assert isinstance(one, Posted)
        assert bob.sees(alice) == ["hello", "once"]

    @pytest.mark.parametrize("clock_error_ms", [0, 3_600_000, -86_400_000 * 2_000])
    def test_after_the_server_forgot_it(self, world: World, clock_error_ms: int) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.clock_error_ms = clock_error_ms
        post = alice.post(Text("once"), bob)
        first = alice.asks(post)
        world.is_killed()
        world.starts_again()
        alice.returns()
        bob.returns()
        assert alice.asks(post) == first
        alice.posts("twice", to=bob)
        assert bob.sees(alice) == ["once", "twice"]

    def test_when_only_the_writer_finds_out(self, world: World) -> None:
        """An id of the future is stored, settled and forgotten, and taken for new when its time has come."""
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.clock_error_ms = 3_600_000
        post = alice.post(Text("once"), bob)
        first = alice.asks(post)
        world.stops()
        world.starts_again()
        world.pass_time(3_590, step_s=10.0)
        alice.clock_error_ms = 0
        alice.returns()
        bob.returns()
        alice.posts("to load the conversation", to=bob)
        others = [alice.sends(alice.post(Text(f"before {n}"), bob)) for n in range(3)]
        again = alice.sends(post)
        others += [alice.sends(alice.post(Text(f"after {n}"), bob)) for n in range(3)]
        world.settle()
        assert alice.answer_to(again) == first
        assert all(isinstance(alice.answer_to(number), Posted) for number in others)
        assert sorted(bob.sees(alice)[2:]) == sorted(
            [f"before {n}" for n in range(3)] + [f"after {n}" for n in range(3)]
        )
        bob.completes_everything()
        assert sorted(bob.copy(alice).events) == list(range(1, 10))

    def test_of_another_sender_or_conversation_is_a_conflict(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        id = alice.posts("mine", to=bob)
        bob.is_refused(bob.post(Text("stolen"), alice, id), ErrorCode.CONFLICT)
        alice.is_refused(alice.post(Text("elsewhere"), carol, id), ErrorCode.CONFLICT)
        world.stops()
        world.starts_again()
        bob.returns()
        bob.is_refused(bob.post(Text("stolen"), alice, id), ErrorCode.CONFLICT)


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            Text(""),
            Text("hi", forwarded=Forwarded(bytes(16))),
            Text("hi", edited_ms=5),
            Text("hi", (Span("bold", 1, 2),)),
            Text("hello", (Span("bold", 0, 3), Span("italic", 2, 3))),
            Text("hi", (Span("link", 0, 2, url="javascript:alert(1)"),)),
            Text("hi", (Span("mention", 0, 2),)),
            Text("hi", attachments=(Attachment(bytes(16), "../../etc/passwd", 1),)),
            Text("hi", attachments=(Attachment(bytes(16), "a", 1, digest=b"short"),)),
        ],
    )
    def test_that_says_what_it_may_not(self, world: World, text: Text) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.is_refused(alice.post(text, bob), ErrorCode.INVALID)
        assert alice.with_(bob) not in bob.copies

    def test_a_mention_of_somebody_who_is_not_there(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        spans = (Span("mention", 0, 2, user=carol.user),)
        alice.is_refused(alice.post(Text("hi", spans), bob), ErrorCode.INVALID)

    def test_a_reply_to_what_is_not_there(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        elsewhere = alice.posts("secret", to=carol)
        alice.posts("hi", to=bob)
        alice.is_refused(alice.post(Text("re", reply_to=elsewhere), bob), ErrorCode.NOT_FOUND)
        bob.is_refused(bob.post(Text("re", reply_to=elsewhere), alice), ErrorCode.NOT_FOUND)

    def test_a_reply(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        question = alice.posts("lunch?", to=bob)
        bob.posts("yes", to=alice, reply_to=question)
        answer = alice.contents(bob)[-1]
        assert isinstance(answer, Text)
        assert answer.reply_to == question

    def test_fields_that_the_server_does_not_know_are_not_passed_on(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        raw = msgspec.Raw(msgspec.msgpack.encode({"k": "text", "text": "hi", "evil": "x"}))
        alice.asks(Post(alice.with_(bob), alice.new_id(), raw, bob.user))
        (event,) = [e for e in bob.copy(alice).events.values() if e.ordinal]
        assert bytes(event.content) == bytes(encode_content(Text("hi")))


class TestEdit:
    def test_everybody_sees_the_new_text_also_who_comes_later(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("helo", to=bob)
        alice.edits(message, "hello", bob)
        assert bob.sees(alice) == ["hello"]
        phone = world.device_of(bob.user, "Bob")
        phone.returns()
        first = phone.contents(alice)[1]
        assert isinstance(first, Text)
        assert (first.text, first.edited_ms > 0) == ("hello", True)

    def test_message_and_edit_have_the_same_time(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("one", to=bob)
        times = itertools.count(world.server.clock.now_ms())
        world.server.clock.now_ms = lambda: next(times)  # never the same time twice
        alice.edits(message, "two", bob)
        _, first, edit = alice.asks(GetHistory(alice.with_(bob), after=0)).events
        shown = decode_content(first.content)
        assert isinstance(shown, Text)
        assert shown.edited_ms == edit.at_ms

    def test_the_old_text_is_kept_for_audit(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("one", to=bob)
        alice.edits(message, "two", bob)
        alice.edits(message, "three", bob)
        found = world.wait_for(world.server.parts.journal.find(message))
        kept = world.reads(store.revisions_of, found.event.stamp)
        assert [msgspec.msgpack.decode(body)["text"] for body in kept] == ["one", "two"]

    def test_only_the_sender_and_only_in_time(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("hi", to=bob)
        bob.is_refused(bob.post(Edit(message, "ha"), alice), ErrorCode.FORBIDDEN)
        world.pass_time(world.policy.edit_within_s + 1, step_s=50)
        alice.is_refused(alice.post(Edit(message, "ha"), bob), ErrorCode.TOO_LATE)
        assert bob.sees(alice) == ["hi"]

    def test_where_the_policy_allows_none(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("hi", to=bob)
        world.server.parts.policy.default = Policy(edit_within_s=0, recall_within_s=0)
        alice.is_refused(alice.post(Edit(message, "ha"), bob), ErrorCode.FORBIDDEN)
        alice.is_refused(alice.post(Recall(message), bob), ErrorCode.FORBIDDEN)
        assert bob.sees(alice) == ["hi"]

    def test_not_of_what_is_no_message_or_not_here(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        message = alice.posts("hi", to=bob)
        reaction = alice.reacts(message, "👍", bob)
        elsewhere = alice.posts("hi", to=carol)
        alice.is_refused(alice.post(Edit(reaction, "x"), bob), ErrorCode.INVALID)
        alice.is_refused(alice.post(Edit(elsewhere, "x"), bob), ErrorCode.NOT_FOUND)
        alice.is_refused(alice.post(Edit(alice.new_id(), "x"), bob), ErrorCode.NOT_FOUND)
        alice.is_refused(alice.post(Edit(message, ""), bob), ErrorCode.INVALID)

    def test_a_message_that_is_still_being_stored(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hello", to=bob)
        post = alice.post(Text("helo"), bob)
        alice.sends(post)
        alice.sends(alice.post(Edit(post.id, "hello again"), bob))
        world.settle()
        assert bob.sees(alice) == ["hello", "hello again"]


class TestRecall:
    def test_the_text_and_its_edits_are_gone(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("secret", to=bob)
        alice.edits(message, "secret 2", bob)
        alice.recalls(message, bob)
        assert bob.sees(alice) == ["-"]
        page = bob.asks(GetHistory(alice.with_(bob), after=0))
        assert not any(b"secret" in bytes(event.content) for event in page.events)
        phone = world.device_of(bob.user, "Bob")
        phone.returns()
        kinds = [type(content) for content in phone.contents(alice)]
        assert kinds[1:] == [Recalled, Recalled, Recall]

    def test_only_the_sender_in_time_or_with_the_right_to_recall_any(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("hi", to=bob)
        bob.is_refused(bob.post(Recall(message), alice), ErrorCode.FORBIDDEN)
        world.pass_time(world.policy.recall_within_s + 1, step_s=30)
        alice.is_refused(alice.post(Recall(message), bob), ErrorCode.TOO_LATE)
        world.allows(Permission.RECALL_ANY, to=[bob])
        bob.recalls(message, alice)
        assert alice.sees(bob) == ["-"]
        alice.is_refused(alice.post(Recall(message), bob), ErrorCode.CONFLICT)
        alice.is_refused(alice.post(Edit(message, "x"), bob), ErrorCode.CONFLICT)


class TestReactions:
    def test_arrive_and_are_bounded(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("hi", to=bob)
        for number in range(MAX_REACTIONS_PER_MESSAGE):
            bob.reacts(message, chr(0x1F600 + number), alice)
        assert React(message, "😀") in alice.contents(bob)
        alice.is_refused(alice.post(React(message, "🚀"), bob), ErrorCode.LIMIT_REACHED)
        alice.reacts(message, "😀", bob)
        bob.reacts(message, chr(0x1F601), alice, is_on=False)
        alice.reacts(message, "🚀", bob)

    def test_are_no_text(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        message = alice.posts("hi", to=bob)
        alice.is_refused(alice.post(React(message, "a b"), bob), ErrorCode.INVALID)
        bob.reacts(message, "👍", alice)
        assert alice.copy(bob).events[3].ordinal == 1


class TestForward:
    def test_states_its_origin(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        message = alice.posts("the plan", to=bob)
        at_ms = bob.copy(alice).events[2].at_ms
        world.pass_time(5)
        bob.asks(Forward(bob.with_(carol), bob.new_id(), message, carol.user))
        forwarded = Text("the plan", forwarded=Forwarded(alice.user, at_ms))
        assert carol.contents(bob)[-1] == bob.contents(carol)[-1] == forwarded
        # And on from there: the origin stays.
        again = carol.copy(bob).events[2].id
        carol.asks(Forward(carol.with_(alice), carol.new_id(), again, alice.user))
        assert alice.contents(carol)[-1] == forwarded
        alice_own = alice.copy(carol).events[2].id
        carol.is_refused(carol.post(Edit(alice_own, "x"), alice), ErrorCode.INVALID)

    def test_only_what_one_can_read(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        message = alice.posts("secret", to=bob)
        forward = Forward(carol.with_(bob), carol.new_id(), message, bob.user)
        carol.is_refused(forward, ErrorCode.NOT_FOUND)
        alice.recalls(message, bob)
        forward = Forward(bob.with_(carol), bob.new_id(), message, carol.user)
        bob.is_refused(forward, ErrorCode.CONFLICT)


class TestWhoMayWriteToWhom:
    def test_staff_may_answer_but_not_begin(self, world: World) -> None:
        board = world.has_department("Board")
        (chief,) = world.has_signed_in("Chief", department=board)
        alice, bob = world.has_signed_in("Alice", "Bob")
        world.has_rules(VisibilityRule(targets=board, effect=Effect.SEE_ONLY))
        alice.is_refused(alice.post(Text("hi"), chief), ErrorCode.FORBIDDEN)
        alice.is_refused(OpenDirect(chief.user), ErrorCode.FORBIDDEN)
        chief.posts("come and see me", to=alice)
        alice.posts("yes", to=chief)
        assert chief.sees(alice) == ["come and see me", "yes"]
        chief.asks(OpenDirect(bob.user))
        bob.posts("you called?", to=chief)

    def test_a_rule_that_comes_later_closes_the_conversation_until_the_other_writes(
        self, world: World
    ) -> None:
        board = world.has_department("Board")
        (chief,) = world.has_signed_in("Chief", department=board)
        (alice,) = world.has_signed_in("Alice")
        alice.posts("hi", to=chief)
        world.has_rules(VisibilityRule(targets=board, effect=Effect.SEE_ONLY))
        alice.is_refused(alice.post(Text("hello?"), chief), ErrorCode.FORBIDDEN)
        chief.posts("what is it?", to=alice)
        alice.posts("nothing", to=chief)

    def test_who_is_hidden_does_not_exist(self, world: World) -> None:
        board = world.has_department("Board")
        (chief,) = world.has_signed_in("Chief", department=board)
        (alice,) = world.has_signed_in("Alice")
        world.has_rules(VisibilityRule(targets=board, effect=Effect.HIDE))
        hidden = alice.is_refused(alice.post(Text("hi"), chief), ErrorCode.NOT_FOUND)
        stranger = world.new_id()
        id = direct_conversation_id(alice.user, stranger)
        nobody = alice.is_refused(
            Post(id, alice.new_id(), encode_content(Text("hi")), stranger), ErrorCode.NOT_FOUND
        )
        assert hidden.sentence == nobody.sentence

    def test_a_closed_account_is_not_written_to(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("bye", to=bob)
        world.disables(bob)
        assert alice.is_refused(alice.post(Text("gone?"), bob), ErrorCode.FORBIDDEN).sentence

    def test_others_do_not_find_the_conversation(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        alice.posts("secret", to=bob)
        carol.is_refused(carol.post(Text("hi"), alice.with_(bob)), ErrorCode.NOT_FOUND)
        carol.is_refused(GetHistory(alice.with_(bob), after=0), ErrorCode.NOT_FOUND)

    def test_the_id_must_be_that_of_the_two(self, world: World) -> None:
        alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
        post = Post(alice.with_(bob), alice.new_id(), encode_content(Text("hi")), carol.user)
        alice.is_refused(post, ErrorCode.INVALID)

    def test_notes_to_oneself(self, world: World) -> None:
        (alice,) = world.has_signed_in("Alice")
        alice.posts("buy milk", to=alice)
        assert alice.sees(alice) == ["buy milk"]
        assert alice.chat(alice).peer == alice.user


def test_a_bot_that_writes_too_fast_is_told_when_to_go_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(tmp_path_factory.mktemp("office"), pace=Pace(per_s=10.0, burst=5))
    alice, bob = world.has_signed_in("Alice", "Bob")
    for _ in range(5):
        alice.posts("spam", to=bob)
    refused = alice.is_refused(alice.post(Text("spam"), bob), ErrorCode.SLOW_DOWN)
    assert 0 < refused.retry_after_ms <= 101
    world.pass_time(refused.retry_after_ms / 1000)
    alice.posts("more", to=bob)
    world.ends()


def test_a_fault_of_the_disk_costs_nothing_that_was_acknowledged(
    world: World, expected_log: ExpectedLog
) -> None:
    expected_log("lanyard.store", "not stored")
    alice, bob, carol = world.has_signed_in("Alice", "Bob", "Carol")
    alice.posts("one", to=bob)
    alice.posts("one", to=carol)
    database = world.server.database.for_writing
    database.execute_sql("PRAGMA query_only = 1")
    numbers = [alice.sends(alice.post(Text("lost"), to)) for to in (bob, carol, bob)]
    world.settle()
    refusals = [alice.answer_to(number) for number in numbers]
    assert all(isinstance(r, RequestRefused) and r.is_transient for r in refusals)
    database.execute_sql("PRAGMA query_only = 0")
    alice.posts("two", to=bob)
    bob.posts("three", to=alice)
    assert bob.sees(alice) == alice.sees(bob) == ["one", "two", "three"]
    assert sorted(bob.copy(alice).events) == [1, 2, 3, 4]
