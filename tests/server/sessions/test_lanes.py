# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks for much at once waits for oneself: one dear request of a session in each turn of the reactor, in order."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from protocol.errors import RequestRefused
from protocol.messages.chat import GetMembers, Sync
from protocol.messages.kinds import Done, Reply
from protocol.messages.people import FindPeople, People, WatchPresence
from server.services.caller import Caller
from server.sessions.lanes import LOOK_AGAIN_S, Lanes
from tests.support.world import World

ONE = Caller(b"1" * 16, b"1" * 16, b"1" * 16)
OTHER = Caller(b"2" * 16, b"2" * 16, b"2" * 16)


class Reactor:
    """Turns of a reactor, and what was asked in each."""

    def __init__(self) -> None:
        self.lanes = Lanes(self._sleep, self)
        self.gone: set[Caller] = set()
        self.behind: set[Caller] = set()
        self.asked: list[str] = []
        self.answers: list[str] = []
        self._sleeping: list[Deferred[None]] = []

    def has(self, caller: Caller) -> bool:
        return caller not in self.gone

    def is_behind(self, caller: Caller) -> bool:
        return caller in self.behind

    def _sleep(self, delay_s: float) -> Deferred[None]:
        assert delay_s in (0, LOOK_AGAIN_S)
        self._sleeping.append(Deferred())
        return self._sleeping[-1]

    def turn(self) -> list[str]:
        """What was asked in the next turn."""
        self.asked.clear()
        sleeping, self._sleeping = self._sleeping, []
        for done in sleeping:
            done.callback(None)
        return list(self.asked)

    def ask(self, name: str, caller: Caller, work: Deferred[Reply] | None = None) -> None:
        """Ask for something dear, which takes some work when there is any."""

        def begin() -> Reply | Deferred[Reply]:
            self.asked.append(name)
            return Done() if work is None else work

        answer = Deferred.fromCoroutine(self.lanes.answer(caller, begin))
        answer.addCallbacks(
            lambda _: self.answers.append(name),
            lambda failure: self.answers.append(failure.trap(RequestRefused).__name__),
        )


def test_each_waits_for_a_turn_and_nobody_for_another_session() -> None:
    reactor = Reactor()
    for name in "abc":
        reactor.ask(name, ONE)
    reactor.ask("x", OTHER)
    assert reactor.asked == []
    assert [reactor.turn() for _ in range(4)] == [["a", "x"], ["b"], ["c"], []]
    assert reactor.answers == ["a", "x", "b", "c"]
    assert len(reactor.lanes) == 0


def test_nothing_is_worked_out_for_who_does_not_read() -> None:
    reactor = Reactor()
    reactor.behind.add(ONE)
    reactor.ask("a", ONE)
    reactor.ask("x", OTHER)
    assert [reactor.turn() for _ in range(3)] == [["x"], [], []]
    reactor.behind.clear()
    assert reactor.turn() == ["a"]


def test_the_next_waits_for_one_that_takes_longer() -> None:
    reactor = Reactor()
    work: Deferred[Reply] = Deferred()
    reactor.ask("a", ONE, work)
    reactor.ask("b", ONE)
    assert [reactor.turn() for _ in range(3)] == [["a"], [], []]
    work.callback(Done())
    assert reactor.turn() == ["b"]
    assert len(reactor.lanes) == 0


def test_one_that_fails_lets_the_next_go_on() -> None:
    reactor = Reactor()
    work: Deferred[Reply] = Deferred()
    reactor.ask("a", ONE, work)
    reactor.ask("b", ONE, succeed(Done()))
    reactor.turn()
    work.errback(RequestRefused("invalid", "No."))  # type: ignore[arg-type]
    reactor.turn()
    assert reactor.answers == ["RequestRefused", "b"]


def test_for_a_session_that_is_over_nothing_is_worked_out() -> None:
    reactor = Reactor()
    for name in "ab":
        reactor.ask(name, ONE)
    reactor.gone.add(ONE)
    assert [reactor.turn(), reactor.turn()] == [[], []]
    assert reactor.answers == ["RequestRefused", "RequestRefused"]
    assert len(reactor.lanes) == 0


def test_all_that_is_asked_at_once_is_answered(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("hi", to=bob)
    requests = [FindPeople("bob"), WatchPresence((bob.user,)), Sync(), GetMembers(alice.with_(bob))]
    numbers = [alice.sends(request) for request in requests * 16]
    world.settle()
    answers = [alice.answer_to(number) for number in numbers]
    assert all(isinstance(answer, Reply) for answer in answers)
    assert answers[:4] == answers[-4:]
    assert isinstance(answers[0], People)


def test_who_goes_while_waiting_is_watched_by_nobody(world: World) -> None:
    alice, bob = world.has_signed_in("Alice", "Bob")
    alice.posts("hi", to=bob)
    alice.sends(WatchPresence((bob.user,)))
    alice._session.received(alice._connection.data_to_send())  # type: ignore[union-attr]
    alice.goes_offline()
    world.settle()
    watchers = world.server.parts.presence._watchers
    assert not watchers._watches
    assert len(world.server.parts.dispatch._lanes) == 0
