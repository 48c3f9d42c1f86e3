# SPDX-License-Identifier: GPL-3.0-or-later
"""Announcing and finding servers: what is heard is bounded and cleaned; changes of the network are followed, calmly."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import mdns
from p2p.mdns import FoundServer, SettledAddresses, cut_text, read_announcement

IDENTITY = bytes(range(32))


def test_an_announcement_is_read() -> None:
    found = read_announcement(
        ["192.0.2.7", "fe80::1%2"], 7370, {"org": "Example", "id": IDENTITY.hex(), "v": "1"}
    )
    assert found == FoundServer(("192.0.2.7", "fe80::1%2"), 7370, "Example", IDENTITY, 1)


def test_the_order_of_the_addresses_does_not_depend_on_that_of_the_answer() -> None:
    wanted = ("192.0.2.7", "192.0.2.10", "169.254.1.1", "2001:db8::7", "fe80::1%2")
    for addresses in (wanted, wanted[::-1], (*wanted, *wanted)):
        found = read_announcement(addresses, 7370, {})
        assert found is not None
        assert found.addresses == (*wanted[:2], wanted[3], wanted[2], wanted[4])


@pytest.mark.parametrize(
    ("addresses", "port"),
    [([], 7370), (["host"], 7370), (["192.0.2.7"], 0), (["192.0.2.7"], None)],
)
def test_without_an_address_to_try_it_is_nothing(addresses: list[str], port: int | None) -> None:
    assert read_announcement(addresses, port, {}) is None


@given(
    st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=40)), max_size=60),
    st.one_of(st.none(), st.integers(-5, 70_000)),
    st.dictionaries(
        st.sampled_from(["org", "id", "v", "x"]), st.one_of(st.none(), st.text(max_size=600))
    ),
)
def test_whatever_is_heard_stays_small_and_printable(
    addresses: list[str], port: int | None, properties: dict[str, str | None]
) -> None:
    found = read_announcement(addresses, port, properties)
    if found is None:
        return
    assert 0 < len(found.addresses) <= mdns.MAX_ADDRESSES
    for address in found.addresses:
        ipaddress.ip_address(address)
    assert len(found.organisation.encode()) <= mdns.MAX_TEXT_BYTES
    assert found.organisation.isprintable()
    assert len(found.organisation_id) in (0, 32)


@given(st.text(max_size=300))
def test_a_text_is_cut_between_characters(text: str) -> None:
    cut = cut_text(text)
    assert text.startswith(cut)
    assert len(cut.encode()) <= mdns.MAX_TEXT_BYTES


def test_a_change_counts_when_two_looks_agree() -> None:
    settled = SettledAddresses(["192.0.2.7"])
    assert not settled.look(["192.0.2.7"])
    assert not settled.look(["192.0.2.8"])
    assert settled.look(["192.0.2.8"])
    assert settled.current == ("192.0.2.8",)
    assert not settled.look(["192.0.2.8"])


def test_a_flapping_network_changes_nothing() -> None:
    settled = SettledAddresses(["192.0.2.7"])
    assert not any(settled.look(seen) for seen in ([], ["192.0.2.7"]) * 5)
    assert settled.current == ("192.0.2.7",)


def test_the_machines_addresses_are_such_that_others_can_use() -> None:
    for text in mdns.local_addresses():
        address = ipaddress.ip_address(text)
        assert not address.is_loopback
        assert not address.is_link_local
