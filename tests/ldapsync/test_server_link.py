# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the server: addresses and fingerprints as they are written, and whom the tool refuses to talk to."""

from __future__ import annotations

import pytest

from ldapsync.config import ServerConfig
from ldapsync.refusals import ServerError
from ldapsync.server_link import ServerLink, is_same_fingerprint, parse_address
from protocol.identity import fingerprint_hex, fingerprint_words
from protocol.version import DEFAULT_PORT


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("chat.example.com", ("chat.example.com", DEFAULT_PORT)),
        ("192.0.2.1:7000", ("192.0.2.1", 7000)),
        ("2001:db8::1", ("2001:db8::1", DEFAULT_PORT)),
        ("[2001:db8::1]:7000", ("2001:db8::1", 7000)),
    ],
)
def test_addresses(text: str, where: tuple[str, int]) -> None:
    assert parse_address(text) == where


@pytest.mark.parametrize("text", ["", ":1", "host:", "host:x", "host:70000", "a:b:c", "[x]:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ServerError):
        parse_address(text)


def test_fingerprints_in_digits_and_in_words() -> None:
    value = bytes(range(32))
    assert is_same_fingerprint(fingerprint_hex(value), value)
    assert is_same_fingerprint(value.hex().upper(), value)
    assert is_same_fingerprint(fingerprint_words(value), value)
    assert not is_same_fingerprint(value.hex()[:-2], value)
    assert not is_same_fingerprint("", value)


def test_a_configuration_without_a_server() -> None:
    with pytest.raises(ServerError, match="needs address"):
        ServerLink.open(ServerConfig(), "test")
