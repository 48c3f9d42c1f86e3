# SPDX-License-Identifier: GPL-3.0-or-later
"""A session from the greeting to its end: who gets in, what may be asked when, and what happens to those who read too slowly."""

from __future__ import annotations

import io
import logging

import pytest

from protocol.codec import ServerEnvelope, decode_from_server, encode_body
from protocol.errors import ErrorCode, RequestRefused
from protocol.frames import HEADER_BYTES, pack_frame
from protocol.ids import format_id
from protocol.limits import (
    DEAD_PEER_S,
    MAX_OUTBOX_BYTES,
    SERVER_KEEPALIVE_INTERVAL_S,
)
from protocol.messages.admin import PutPerson, SetPassword
from protocol.messages.chat import (
    ChatChanged,
    Events,
    GetChat,
    OpenDirect,
    Sync,
)
from protocol.messages.content import Text
from protocol.messages.kinds import Error
from protocol.messages.people import FindPeople, GetDirectory, WatchPresence
from protocol.messages.session import (
    Behind,
    ChangePassword,
    EnrollDevice,
    ListDevices,
    RemoveDevice,
    SignIn,
    SignInByCertificate,
    SignOut,
)
from server.sessions import log_context
from tests.guards.logs import ExpectedLog
from tests.support.world import PASSWORD, World


class TestTheDoor:
    def test_who_is_not_signed_in_asks_for_nothing_else(self, world: World) -> None:
        (alice,) = world.has_people("Alice")
        alice.connects()
        # A client of ours does not even send this.
        alice._session.received(pack_frame(encode_body(1, Sync(0))))
        answer = decode_from_server(alice.line.take()[HEADER_BYTES:])
        assert isinstance(answer, ServerEnvelope)
        assert isinstance(answer.message, Error)
        assert answer.message.code == ErrorCode.NOT_SIGNED_IN
        wrong = SignIn("alice", "wrong password", alice.device)
        alice.is_refused(wrong, ErrorCode.WRONG_CREDENTIALS)
        world.pass_time(5)
        alice.signs_in()
        assert alice.synchronises() == []

    def test_a_certificate_is_only_worth_what_tls_has_proven(self, world: World) -> None:
        (alice,) = world.has_people("Alice")
        alice.connects()
        request = SignInByCertificate(alice.device)
        alice.is_refused(request, ErrorCode.WRONG_CREDENTIALS)

    def test_a_first_password_must_be_changed_before_anything_else(self, world: World) -> None:
        (alice,) = world.has_people("Alice")
        (bob,) = world.has_signed_in("Bob")
        world.changes(SetPassword(alice.user, "one-time secret 7", must_change=True))
        alice.connects()
        signed_in = alice.asks(SignIn("alice", "one-time secret 7", alice.device))
        assert signed_in.must_change_password
        alice.is_refused(Sync(0), ErrorCode.PASSWORD_CHANGE_REQUIRED)
        refused = alice.post(Text("hi"), bob)
        alice.is_refused(refused, ErrorCode.PASSWORD_CHANGE_REQUIRED)
        bob.posts("are you there?", to=alice)
        assert not alice.pushes
        alice.asks(ChangePassword("one-time secret 7", PASSWORD))
        alice.synchronises()
        assert alice.sees(bob) == ["are you there?"]
        alice.posts("yes", to=bob)

    def test_who_signs_out_is_seen_off(self, world: World) -> None:
        (alice,) = world.has_signed_in("Alice")
        alice.asks(SignOut())
        assert not alice.is_connected
        assert alice.goodbye is not None
        assert world.server.parts.online.user_count() == 0
        alice.connects()
        with pytest.raises(RequestRefused):
            alice.signs_in()

    def test_a_line_that_is_lost_while_signing_in_leaves_nobody_online(self, world: World) -> None:
        (alice,) = world.has_people("Alice")
        world.is_disk_slow = True
        alice.connects()
        alice.sends(SignIn("alice", PASSWORD, alice.device))
        world.settle()
        alice.is_cut()
        world.is_disk_slow = False
        world.settle()
        assert world.server.parts.online.session_count() == 0
        assert len(world.server.parts.sessions) == 0


class TestTheEnd:
    def test_a_disabled_user_is_out_at_once(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        phone = world.device_of(alice.user, "Alice")
        phone.returns()
        world.disables(alice)
        for device in (alice, phone):
            ended = device.was_ended()
            assert ended is not None
            assert ended.reason == ErrorCode.ACCOUNT_DISABLED
            assert not device.is_connected
        assert bob.is_connected

    def test_a_device_that_is_removed_is_out_at_once(self, world: World) -> None:
        (alice,) = world.has_signed_in("Alice")
        phone = world.device_of(alice.user, "Alice")
        phone.returns()
        devices = alice.asks(ListDevices()).devices
        assert {device.is_online for device in devices} == {True}
        alice.asks(RemoveDevice(phone.device.id))
        assert phone.was_ended() is not None
        assert alice.is_connected

    def test_when_the_server_stops_everybody_hears_when_to_come_back(self, world: World) -> None:
        people = world.has_signed_in("Alice", "Bob", "Carol", "Dave")
        sessions = world.server.parts.sessions
        sessions.say_goodbye(ErrorCode.UNAVAILABLE, "Back soon.", reconnect_over_ms=4000)
        world.settle()
        times = [p.goodbye.goodbye.reconnect_after_ms for p in people if p.goodbye is not None]
        assert sorted(times) == [1000, 2000, 3000, 4000]
        assert len(sessions) == 0

    def test_a_peer_that_falls_silent_is_given_up(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        world.pass_time(5 * SERVER_KEEPALIVE_INTERVAL_S, step_s=5)
        assert alice.is_connected
        assert bob.is_connected
        world.clients.remove(bob)  # the cable is out: nothing comes and goes any more
        world.pass_time(SERVER_KEEPALIVE_INTERVAL_S + DEAD_PEER_S + 5, step_s=5)
        assert bob.line.is_closed
        assert not world.server.parts.online.is_online(bob.user)
        assert world.server.parts.online.is_online(alice.user)


class TestSlowReaders:
    def test_are_left_behind_and_catch_up(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        alice.posts("hi", to=bob)
        bob.line.is_slow = True
        large = "好" * 20_000
        count = MAX_OUTBOX_BYTES // len(large.encode()) + 20
        for _ in range(count):
            alice.posts(large, to=bob)
        assert bob.line.pending_bytes < MAX_OUTBOX_BYTES + 200_000
        bob.reads_again()
        assert bob.is_behind
        assert len(bob.told(Behind)) == 1
        assert len(bob.sees(alice)) < count
        bob.synchronises()
        bob.completes_everything()
        assert len(bob.sees(alice)) == count + 1
        alice.posts("and on", to=bob)
        assert bob.sees(alice)[-1] == "and on"

    def test_still_get_their_answers(self, world: World) -> None:
        alice, bob = world.has_signed_in("Alice", "Bob")
        bob.line.is_slow = True
        for _ in range(MAX_OUTBOX_BYTES // 60_000 + 20):
            alice.posts("好" * 20_000, to=bob)
        number = bob.sends(bob.post(Text("hi"), alice))
        world.settle()
        bob.reads_again()
        assert bob.answer_to(number) is not None


class TestFaults:
    def test_a_bug_in_a_service_costs_its_request_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch, expected_log: ExpectedLog
    ) -> None:
        expected_log("lanyard.sessions", "a request failed")
        alice, bob = world.has_signed_in("Alice", "Bob")

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(world.server.parts.rooms, "membership", broken)
        refused = alice.is_refused(GetChat(alice.with_(bob)), ErrorCode.INTERNAL)
        assert "bug" not in refused.sentence
        monkeypatch.undo()
        alice.posts("still here", to=bob)

    def test_log_lines_name_the_session(
        self, world: World, monkeypatch: pytest.MonkeyPatch, expected_log: ExpectedLog
    ) -> None:
        expected_log("lanyard.services", "odd")
        (alice,) = world.has_signed_in("Alice")
        lines = io.StringIO()
        handler = logging.StreamHandler(lines)
        handler.addFilter(log_context.add_context)
        handler.setFormatter(logging.Formatter("%(session)s: %(message)s"))
        log = logging.getLogger("lanyard.services")
        log.addHandler(handler)

        def logging_lookup(*_: object) -> None:
            log.warning("odd")
            raise RequestRefused(ErrorCode.NOT_FOUND, "No.")

        monkeypatch.setattr(world.server.parts.rooms, "membership", logging_lookup)
        alice.is_refused(GetChat(bytes(16)), ErrorCode.NOT_FOUND)
        log.removeHandler(handler)
        assert lines.getvalue().startswith(f"user {format_id(alice.user)} session ")


def test_every_service_answers_through_the_table(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    assert len(alice.asks(GetDirectory()).people) == 2
    assert [person.id for person in alice.asks(FindPeople("bob")).people] == [bob.user]
    assert [p.user for p in alice.asks(WatchPresence((bob.user,))).people] == [bob.user]
    assert alice.asks(OpenDirect(bob.user)).chat.peer == bob.user
    assert bob.told(ChatChanged)
    assert bob.told(Events)
    with pytest.raises(RequestRefused):
        alice.asks(EnrollDevice(b"no request"))


def test_a_person_who_is_renamed_while_online_stays_online(world: World) -> None:
    (alice,) = world.has_signed_in("Alice")
    world.changes(PutPerson(alice.user, "alice", "Alice Smith"))
    assert alice.is_connected
