# SPDX-License-Identifier: GPL-3.0-or-later
"""Delays after failures: they grow, end, and hit the guesser rather than the owner of the account."""

import pytest
from twisted.internet import task

from protocol.errors import ErrorCode, RequestRefused
from server.clock import ReactorClock
from server.services import throttle
from server.services.throttle import ACCOUNT, ADDRESS, PAIR, Throttle


class Gate:
    """A throttle and the hands of its clock."""

    def __init__(self) -> None:
        self.hands = task.Clock()
        clock = ReactorClock(self.hands, seconds=self.hands.seconds, unix_ms=lambda: 0)
        self.throttle = Throttle(clock)

    def fail(self, account: str, address: str) -> float:
        """One wrong guess; how long it had to wait, in seconds, or 0."""
        try:
            self.throttle.begin(account, address)
        except RequestRefused as error:
            return self.wait_s(error)
        self.throttle.failed(account, address)
        return 0.0

    def succeed(self, account: str, address: str) -> float:
        """The right password; how long it has to wait."""
        try:
            self.throttle.begin(account, address)
        except RequestRefused as error:
            return self.wait_s(error)
        self.throttle.succeeded(account, address)
        return 0.0

    @staticmethod
    def wait_s(error: RequestRefused) -> float:
        """How long a refused attempt has to wait."""
        assert error.code is ErrorCode.SLOW_DOWN
        return error.retry_after_ms / 1000


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_delays_grow_to_a_minute_and_are_forgotten(gate: Gate) -> None:
    delays = []
    for _ in range(12):
        while wait_s := gate.fail("tia", "192.0.2.1"):
            delays.append(round(wait_s))
            gate.hands.advance(wait_s)
    assert delays == [1, 2, 4, 8, 16, 32, 60]
    gate.hands.advance(throttle.FORGET_AFTER_S + 60)
    for _ in range(PAIR.free):
        assert gate.fail("tia", "192.0.2.1") == 0


def test_the_right_password_ends_it(gate: Gate) -> None:
    for _ in range(PAIR.free):
        gate.fail("tia", "192.0.2.1")
    assert gate.succeed("tia", "192.0.2.1") == 0
    for _ in range(PAIR.free):
        assert gate.fail("tia", "192.0.2.1") == 0


def test_the_owner_is_not_locked_out_by_a_stranger(gate: Gate) -> None:
    gate.succeed("tia", "192.0.2.1")
    for number in range(200):
        gate.fail("tia", f"198.51.{number}.1")
    assert gate.succeed("tia", "192.0.2.1") == 0
    # On a computer where the owner never was, not for long either.
    assert 0 < gate.succeed("tia", "192.0.2.99") <= ACCOUNT.longest_s


def test_guessing_from_many_addresses_is_slowed(gate: Gate) -> None:
    results = [gate.fail("tia", f"198.51.100.{number}") for number in range(100)]
    assert results.count(0.0) == ACCOUNT.free + 1


def test_guessing_many_accounts_from_one_address_is_slowed(gate: Gate) -> None:
    results = [gate.fail(f"person {number}", "198.51.100.1") for number in range(100)]
    assert results.count(0.0) == ADDRESS.free + 1


def test_a_colleague_behind_the_same_gateway_gets_in(gate: Gate) -> None:
    gate.succeed("tia", "198.51.100.1")
    for number in range(100):
        gate.fail(f"person {number}", "198.51.100.1")
    assert gate.succeed("tia", "198.51.100.1") == 0


def test_many_guesses_at_once_do_not_slip_through(gate: Gate) -> None:
    begun = 0
    for _ in range(50):
        try:
            gate.throttle.begin("tia", "192.0.2.1")
            begun += 1
        except RequestRefused:
            pass
    assert begun == PAIR.free + 1


def test_an_attempt_that_nobody_judged_does_not_count(gate: Gate) -> None:
    for _ in range(50):
        gate.throttle.begin("tia", "192.0.2.1")
        gate.throttle.given_up("tia", "192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("somewhere", "somewhere", True),
    ],
)
def test_what_counts_as_one_address(gate: Gate, one: str, other: str, is_same: bool) -> None:
    for _ in range(PAIR.free + 1):
        gate.fail("tia", one)
    assert bool(gate.fail("tia", other)) is is_same


def test_memory_is_bounded(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MAX_TALLIES", 100)
    monkeypatch.setattr(throttle, "MAX_PROVEN", 100)
    for number in range(1000):
        gate.fail(f"person {number}", f"10.0.{number // 250}.{number % 250}")
        gate.succeed(f"owner {number}", f"10.1.{number // 250}.{number % 250}")
    kinds = (gate.throttle._pairs, gate.throttle._accounts, gate.throttle._addresses)
    assert all(len(kind._tallies) <= 100 for kind in kinds)
    assert len(gate.throttle._proven) == 100
