# SPDX-License-Identifier: GPL-3.0-or-later
"""Who at the server may be the person of a new entry: proposals with reasons, never a decision. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from ldapsync.actions import Candidate
from ldapsync.planning.logins import fold_login
from ldapsync.wanted import WantedPerson
from protocol.ids import UserId
from protocol.messages.admin import PutPerson

MAX_CANDIDATES: Final = 5
"""Shown for one entry; more don't help anybody to decide."""
_NUMBERS: Final = frozenset(
    ("employeenumber", "employeeid", "personnelnumber", "staffnumber", "staffid")
)
"""Custom fields that number people, by their names without spaces, hyphens and capitals."""


class Matching:
    """Finds candidates by what rarely changes and is rarely shared: login, mail, employee number."""

    def __init__(self, known: Iterable[PutPerson]) -> None:
        self._by_login: dict[str, PutPerson] = {}
        self._by_mail: dict[str, list[PutPerson]] = defaultdict(list)
        self._by_number: dict[str, list[PutPerson]] = defaultdict(list)
        for person in known:
            if person.is_bot:
                continue
            self._by_login[fold_login(person.login)] = person
            if person.email:
                self._by_mail[person.email.casefold()].append(person)
            for number in _numbers(person.custom):
                self._by_number[number].append(person)

    def candidates(self, entry: WantedPerson) -> tuple[Candidate, ...]:
        """Who it may be, the best reasons first."""
        reasons: dict[UserId, list[str]] = defaultdict(list)
        people: dict[UserId, PutPerson] = {}

        def add(person: PutPerson, reason: str) -> None:
            people[person.id] = person
            reasons[person.id].append(reason)

        same_login = self._by_login.get(fold_login(entry.login))
        if same_login is not None:
            add(same_login, f"has the login {same_login.login}")
        for person in self._by_mail.get(entry.email.casefold(), ()) if entry.email else ():
            add(person, f"has the mail address {person.email}")
        for number in _numbers(entry.custom):
            for person in self._by_number.get(number, ()):
                add(person, f"has the employee number {number}")
        for user, person in people.items():
            if person.name == entry.name:
                reasons[user].append("has the same name")
        ranked = sorted(people.values(), key=lambda one: (-len(reasons[one.id]), one.login))
        return tuple(
            Candidate(one.id, one.login, one.name, one.source, tuple(reasons[one.id]))
            for one in ranked[:MAX_CANDIDATES]
        )


def _numbers(custom: dict[str, str]) -> list[str]:
    return [
        value.strip().casefold()
        for name, value in custom.items()
        if value.strip() and _plain(name) in _NUMBERS
    ]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
