# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords: hashing in threads, with a bounded queue, and what a new one must be like."""

import re
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Any, Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.people import Person


class Cost(Struct, frozen=True):
    """What hashing one password takes."""

    passes: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1


DEFAULT_COST: Final = Cost()
"""Argon2id with 19 MiB, two passes, one lane: OWASP's recommendation with the least memory. About 30 ms on one core, so that
two threads let 60 people a second in; RFC 9106's 64 MiB and 3 passes would let in fifteen."""
MAX_WAITING: Final = 500
"""Passwords that wait to be hashed: with two threads the last has its answer after 8 s, before its client gives up (30 s)."""
RETRY_AFTER_MS: Final = 5_000
"""When to try again after finding the queue full: half of it is done by then."""

_COMMON: Final = """
    10203040 11223344 1122334455 12121212 123123123 12341234 12344321 123456789a 12345678a
    123456aa 123456abc 123qweasd 13131313 147258369 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 5201314520
    66668888 741852963 789456123 88888888 987654321 a12345678 a1b2c3d4 aa123456 aa12345678
    abc12345 abc123456 abcd1234 admin123 admin1234 admin12345 administrator administrator1
    asdf1234 asdfghjk asdfghjkl autumn2024 azertyuiop baseball basketball batman123 changeme
    changeme1 changeme123 charlie1 company1 company123 computer default1 dragon123 football
    football1 geheim123 google123 guest123 hallo123 iloveyou iloveyou1 internet jennifer
    jordan23 lanyard1 lanyard123 letmein1 letmein123 master123 michael1 microsoft monkey123
    motdepasse p@ssw0rd p@ssword pass1234 passw0rd password password1 password12 password123
    password1234 passwort passwort1 princess princess1 q1w2e3r4 q1w2e3r4t5 qazwsxedc qwerty12
    qwerty123 qwerty1234 qwertyui qwertyuiop qwertz123 qwertzuiop root1234 samsung1 secret123
    shadow123 sommer2024 sommer2025 spring2024 spring2025 starwars summer2023 summer2024
    summer2025 sunshine sunshine1 superman superman1 test1234 testtest toor1234 trustno1
    welcome1 welcome12 welcome123 whatever windows10 winter2023 winter2024 winter2025 woaini1314
    woaini520 zaq12wsx zxcvbnm zxcvbnm1
"""
"""What is tried first. A wordlist of millions would hinder people more than it hinders a guesser who waits after every try."""
_ROWS: Final = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")


class Passwords:
    """Hashes and verifies passwords with Argon2id."""

    def __init__(
        self, run_in_thread: Callable[..., Awaitable[Any]], cost: Cost = DEFAULT_COST
    ) -> None:
        """``run_in_thread(function, *arguments)``: a pool whose few threads (one for each core, at least two) bound what is
        hashed at the same time, and with it the memory: ``cost.memory_kib`` for each."""
        self._run_in_thread = run_in_thread
        self._hasher = argon2.PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash to store. Raises RequestRefused (UNAVAILABLE) when too many wait."""
        hashed: str = await self._queued(self._hasher.hash, _normal(password))
        return hashed

    async def verify(self, password: str, password_hash: str) -> bool:
        """Whether the password is right. Takes the same time for an empty hash, which no password fits.

        Raises RequestRefused (UNAVAILABLE) when too many wait.
        """
        is_right: bool = await self._queued(self._verify, _normal(password), password_hash)
        return is_right

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made at another cost than new ones."""
        return self._hasher.check_needs_rehash(password_hash)

    async def _queued(self, function: Callable[..., Any], *arguments: str) -> Any:
        if self._waiting >= MAX_WAITING:
            raise RequestRefused(
                ErrorCode.UNAVAILABLE,
                "Too many people sign in at the same time; try again in a moment.",
                retry_after_ms=RETRY_AFTER_MS,
            )
        self._waiting += 1
        try:
            return await self._run_in_thread(function, *arguments)
        finally:
            self._waiting -= 1

    def _verify(self, password: str, password_hash: str) -> bool:
        if not password_hash:
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def check_new_password(
    password: str, person: Person, min_chars: int, *, is_one_time: bool = False
) -> None:
    """Whether a person may have this password. Of a one-time password only a length is asked.

    Raises RequestRefused (WEAK_PASSWORD) with the reason.
    """
    if len(password) < min_chars:
        raise _weak(f"The password must have at least {min_chars} characters.")
    if is_one_time:
        return
    folded = _normal(password).casefold()
    names = [person.login, person.login.partition("@")[0], person.name, person.other_name]
    names += [person.email, person.sort_key, *person.name.split(), *person.other_name.split()]
    plain = re.sub(r"[\W_\d]+", "", folded)
    if plain and any(plain == re.sub(r"[\W_\d]+", "", name.casefold()) for name in names if name):
        raise _weak("The password must not be made of the login or the name.")
    if folded in _COMMON.split() or len(set(folded)) <= 2 or _is_row(folded):
        raise _weak("This password is one of the first that anybody would try.")


def _is_row(password: str) -> bool:
    """Whether it is a run of the keyboard, the digits or the alphabet, perhaps backwards or repeated."""
    for row in _ROWS:
        for run in (row * 8, row[::-1] * 8):
            if password in run:
                return True
    return False


def _normal(password: str) -> str:
    """The same password from every keyboard (RFC 8265 section 4.2: NFC)."""
    return unicodedata.normalize("NFC", password)


def _weak(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.WEAK_PASSWORD, sentence)
