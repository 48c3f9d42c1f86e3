# SPDX-License-Identifier: GPL-3.0-or-later
"""What octets in an entry mean, by values as Active Directory and OpenLDAP write them."""

from __future__ import annotations

import uuid

import pytest

from ldapsync import values

GUID = uuid.UUID("c0609ba1-8a5a-4e2c-9f3d-0123456789ab")


def test_ids_in_one_form_and_back() -> None:
    assert values.anchor_of("objectGUID", GUID.bytes_le) == str(GUID)
    assert values.anchor_octets("objectGUID", str(GUID)) == GUID.bytes_le
    assert values.anchor_of("entryUUID", str(GUID).upper().encode()) == str(GUID)
    assert values.anchor_octets("entryUUID", str(GUID)) == str(GUID)
    assert (
        values.anchor_of("nsUniqueId", b"ECDEAF4C-e70711f1-8d4ab3f1-0a1b2c3d")
        == "ecdeaf4c-e70711f1-8d4ab3f1-0a1b2c3d"
    )
    assert values.anchor_of("objectGUID", b"short") is None
    assert values.anchor_of("entryUUID", b" ") is None


def test_times() -> None:
    assert values.filetime_ms(b"133485408000000000") == 1_704_067_200_000
    assert values.filetime_ms(b"0") is None
    assert values.filetime_ms(b"9223372036854775807") is None
    for text in (
        b"20240101000000Z",
        b"20240101000000.0Z",
        b"202401010000Z",
        b"2024010100Z",
        b"20240101010000+0100",
    ):
        assert values.generalized_time_ms(text) == 1_704_067_200_000
    assert values.generalized_time_ms(b"20240101000000.25Z") == 1_704_067_200_250
    assert values.to_generalized_time(1_704_067_200_999) == "20240101000000Z"
    assert values.days_ms(b"1") == 86_400_000
    assert values.days_ms(b"-1") is None
    with pytest.raises(ValueError, match="no time"):
        values.generalized_time_ms(b"yesterday")


def test_text() -> None:
    assert values.text_of(b"plain text") == "plain text"
    assert values.text_of("  Zoe\u0308\u200b\n Mu\u0308ller\u202e\ufeff ".encode()) == "Zoë Müller"
    assert values.text_of("می\u200cخواهم".encode()) == "می\u200cخواهم"
    assert values.text_of(b"\xff") == "\ufffd"
    assert values.fold("STRASSE") == values.fold("Straße")


def test_small_things() -> None:
    assert (
        values.rid_of(
            bytes.fromhex("010500000000000515000000") + bytes(12) + (513).to_bytes(4, "little")
        )
        == 513
    )
    assert [values.is_true(each) for each in (b"TRUE", b"true", b"FALSE", b"")] == [
        True,
        True,
        False,
        False,
    ]
    assert (values.number_of(b"7"), values.number_of(b"x")) == (7, None)
