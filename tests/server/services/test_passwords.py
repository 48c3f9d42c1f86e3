# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashing and the rule for new passwords."""

import asyncio

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.people import Person
from server.services import passwords
from server.services.passwords import Passwords, check_new_password
from tests.server.services.office import CHEAP, Office, make_id

TIA = Person(make_id("tia"), "tia.meyer@example.com", "Tia Meyer", other_name="美雅 迈尔")


async def test_hash_and_verify(office: Office) -> None:
    hashed = await office.passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$")
    assert await office.passwords.verify("correct horse", hashed)
    assert not await office.passwords.verify("correct horsE", hashed)
    assert not await office.passwords.verify("", "")
    assert not await office.passwords.verify("anything", "no hash at all")
    assert not office.passwords.is_outdated(hashed)


async def test_no_more_wait_than_can_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    is_open = asyncio.Event()

    async def slow_thread(function: object, *arguments: object) -> str:
        await is_open.wait()
        return "hashed"

    busy = Passwords(slow_thread, CHEAP)
    waiting = [asyncio.ensure_future(busy.hash("x")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(RequestRefused) as caught:
        await busy.hash("one too many")
    assert caught.value.code is ErrorCode.UNAVAILABLE
    is_open.set()
    assert await asyncio.gather(*waiting) == ["hashed"] * 3
    assert await busy.hash("x") == "hashed"


@pytest.mark.parametrize(
    "password",
    ["correct horse", "tia meyer rides", "密码很长很长很长", "x7!kQ2#m", "summer in Rome 2024"],
)
def test_good_ones(password: str) -> None:
    check_new_password(password, TIA, 8)


@pytest.mark.parametrize(
    "password",
    [
        "x7!kQ2#",
        "tia.meyer@example.com",
        "TIA.MEYER1",
        "TiaMeyer2024!",
        "meyer12345",
        "Password1",
        "PASSWORT1",
        "12345678",
        "87654321",
        "01234567890123456789",
        "abcdefgh",
        "qwertyui",
        "abababab",
        "        ",
    ],
)
def test_bad_ones(password: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        check_new_password(password, TIA, 8)
    assert caught.value.code is ErrorCode.WEAK_PASSWORD


def test_a_one_time_password_needs_only_length() -> None:
    check_new_password("password", TIA, 8, is_one_time=True)
    with pytest.raises(RequestRefused):
        check_new_password("passwor", TIA, 8, is_one_time=True)
