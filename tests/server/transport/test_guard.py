# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's books: limits in all and by address, rates, and a memory that stays small."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.guard import Guard, GuardLimits, Notices, group_of

OFFICE = "192.0.2.1"


def addresses(prefix: str = "10.0") -> list[str]:
    return [f"{prefix}.{high}.{low}" for high in range(100) for low in range(100)]


def test_a_terminal_server_comes_back_whole() -> None:
    guard = Guard()
    for _ in range(250):
        assert guard.admit(OFFICE, 0.0) is None
    for _ in range(250):
        guard.signed_in(OFFICE)
    for _ in range(250):
        assert guard.admit(OFFICE, 1.0) is None


def test_strangers_of_one_address_are_few() -> None:
    guard = Guard(GuardLimits(strangers_per_address=3))
    assert [guard.admit(OFFICE, 0.0) for _ in range(3)] == [None] * 3
    assert guard.admit(OFFICE, 0.0) == "3 connections are not signed in, the limit of an address"
    guard.signed_in(OFFICE)
    assert guard.admit(OFFICE, 0.0) is None


def test_an_address_loses_its_privilege_when_places_run_short() -> None:
    guard = Guard()
    limits = guard.limits
    attackers = iter(addresses())
    refused = 0
    for address in attackers:
        while guard.admit(address, 0.0) is None:
            pass
        refused += 1
        if guard.strangers * 2 >= limits.strangers:
            break
    assert refused <= 5
    # From here on each address takes 16 places only, and someone new still finds one.
    for address in attackers:
        if guard.strangers >= limits.strangers - 100:
            break
        while guard.admit(address, 0.0) is None:
            pass
        refused += 1
    assert refused > 55
    assert guard.admit(OFFICE, 0.0) is None


def test_the_server_has_a_limit() -> None:
    guard = Guard(GuardLimits(connections=2, strangers=5))
    assert [guard.admit(OFFICE, 0.0), guard.admit(OFFICE, 0.0)] == [None, None]
    assert guard.admit("192.0.2.2", 0.0) == "2 connections are open, the limit of the server"
    guard.left(OFFICE, was_signed_in=False)
    assert guard.admit("192.0.2.2", 0.0) is None


def test_a_loop_of_connects_is_slowed_down() -> None:
    guard = Guard(GuardLimits(connections_per_address=10, reconnect_s=5.0))

    def connects(now: float) -> int:
        for number in count():
            if guard.admit(OFFICE, now) is not None:
                return number
            guard.left(OFFICE, was_signed_in=False)
        raise AssertionError

    assert connects(100.0) == 10
    assert connects(100.4) == 0
    assert connects(102.5) == 5
    assert connects(99.0) == 0  # a clock that goes back earns nothing
    assert connects(1000.0) == 10
    assert guard.admit("192.0.2.2", 100.0) is None


def test_memory_is_bounded() -> None:
    guard = Guard(GuardLimits(remembered_addresses=50))
    for number, address in enumerate(addresses()):
        assert guard.admit(address, float(number)) is None
        guard.left(address, was_signed_in=False)
    assert len(guard._quiet) == 50
    assert not guard._addresses


def test_one_ipv6_network_counts_as_one_address() -> None:
    assert group_of("2001:db8:1:2:3:4:5:6") == group_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert group_of("2001:db8:1:3::1") != group_of("2001:db8:1:2::1")
    assert group_of("fe80::1%eth0") == "fe80::/64"
    assert group_of("::ffff:192.0.2.1") == OFFICE
    assert group_of(OFFICE) == OFFICE


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("csl")), max_size=60))
def test_the_books_always_agree(steps: list[tuple[str, str]]) -> None:
    guard = Guard(GuardLimits(connections=6, strangers=4, strangers_per_address=3))
    open_now: dict[str, list[bool]] = {"a": [], "b": []}  # whether each is signed in
    for address, step in steps:
        mine = open_now[address]
        if step == "c" and guard.admit(address, 0.0) is None:
            mine.append(False)
        elif step == "s" and False in mine:
            mine[mine.index(False)] = True
            guard.signed_in(address)
        elif step == "l" and mine:
            guard.left(address, was_signed_in=mine.pop())
        everyone = open_now["a"] + open_now["b"]
        assert guard.connections == len(everyone) <= 6
        assert guard.strangers == everyone.count(False) <= 4
        assert set(guard._addresses) == {name for name, links in open_now.items() if links}


@pytest.mark.expected_log("lanyard.transport", "refused")
def test_a_flood_makes_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    for number in range(1000):
        notices.warn("refused", f"refused {number}", now=number * 0.05)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["refused 0", "refused 600 (599 more of this kind since)"]
    notices.warn("other", "another kind is refused", now=50.0)
    assert caplog.records[-1].getMessage() == "another kind is refused"
