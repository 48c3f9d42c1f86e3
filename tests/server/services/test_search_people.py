# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding people by what is typed."""

import random

import pytest

from protocol.messages.people import Person, Place
from server.services.organisation import PersonEntry
from server.services.search_people import find
from tests.server.services.office import make_id

PEOPLE = [
    Person(
        make_id("wang"),
        "wangxm",
        "王小明",
        other_name="Xiaoming Wang",
        sort_key="wang xiao ming",
        email="xiaoming.wang@example.com",
        phone="+86 10 5550 12345",
        places=(Place(make_id("lab"), "软件工程师"),),
    ),
    Person(make_id("wen"), "wen", "文静", sort_key="wen jing", phone="030 9000-77"),
    Person(
        make_id("muller"),
        "j.mueller",
        "Jürgen Müller",
        email="jm@example.com",
        places=(
            Place(make_id("lab"), "Head of Research"),
            Place(make_id("shop"), "Wen's stand-in"),
        ),
    ),
    Person(make_id("obrien"), "obrien", "Mary O'Brien-Smith", sort_key="OBrien"),
    Person(make_id("gone"), "wangold", "王老", is_disabled=True),
    Person(make_id("amina"), "amina", "أمينة", other_name="Amina", sort_key="amina"),
    Person(make_id("nameless"), "svc-17", "??"),
]


def entries() -> list[PersonEntry]:
    return [PersonEntry(key, person) for key, person in enumerate(PEOPLE, start=1)]


def logins(text: str, limit: int = 20) -> list[str]:
    return [each.person.login for each in find(entries(), text, limit, lambda _: True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("王", ["wangxm", "wangold"]),
        ("王小明", ["wangxm"]),
        ("小明", ["wangxm"]),
        ("明小", []),
        ("WANG", ["wangxm", "wangold"]),
        ("wangxiao", ["wangxm"]),
        ("wxm", ["wangxm"]),
        ("xiaoming", ["wangxm"]),
        ("ming wang", ["wangxm"]),
        ("muller", ["j.mueller"]),
        ("Müll", ["j.mueller"]),
        ("jürgen m", ["j.mueller"]),
        ("o'brien", ["obrien"]),
        ("smith mary", ["obrien"]),
        ("mina", []),
        ("أمينة", ["amina"]),
        ("امينة", ["amina"]),
        ("wen", ["wen", "j.mueller"]),
        ("xiaoming.wang@example.com", ["wangxm"]),
        ("example.com", ["j.mueller", "wangxm"]),
        ("工程", ["wangxm"]),
        ("research", ["j.mueller"]),
        ("5550 12345", ["wangxm"]),
        ("12345", ["wangxm"]),
        ("2345", ["wangxm"]),
        ("900077", ["wen"]),
        ("+86-10-5550", ["wangxm"]),
        ("svc-17", ["svc-17"]),
        ("?!", []),
        ("smith,", ["obrien"]),
        ("brien -- smith", ["obrien"]),
        (" ", []),
    ],
)
def test_what_is_found(text: str, expected: list[str]) -> None:
    assert logins(text) == expected


def test_better_matches_come_first() -> None:
    people = [
        Person(make_id("1"), "zz1", "Ann Marie"),
        Person(make_id("2"), "zz2", "Marie Ann"),
        Person(make_id("3"), "zz3", "Ann", is_disabled=True),
        Person(make_id("4"), "zz4", "Bob", email="ann@example.com"),
        Person(make_id("5"), "zz5", "Ann"),
        Person(make_id("6"), "zz6", "Annabel"),
    ]
    listed = [PersonEntry(key, person) for key, person in enumerate(people, start=1)]
    random.Random(1).shuffle(listed)
    found = find(listed, "ann", 20, lambda _: True)
    assert [each.person.login for each in found] == ["zz5", "zz1", "zz6", "zz2", "zz4", "zz3"]
    assert [each.person.login for each in find(listed, "ann", 2, lambda _: True)] == ["zz5", "zz1"]


def test_who_may_not_be_seen_takes_no_room() -> None:
    found = find(entries(), "wang", 1, lambda entry: entry.person.is_disabled)
    assert [each.person.login for each in found] == ["wangold"]
