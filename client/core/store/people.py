# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the directory: whole records, and the terms by which people are found without the server."""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from client.core.store import meta
from client.core.store.database import Db
from protocol.ids import DepartmentId, UserId
from protocol.messages.people import Department, Directory, Person

MAX_TERM_CHARS: Final = 40
"""Nobody types more of a name than this; longer terms only cost space."""
MAX_TERMS: Final = 64
"""Terms of one person: enough for every suffix of a long name, bounded for a hostile one."""

_person_decoder: Final = msgspec.msgpack.Decoder(Person)
_department_decoder: Final = msgspec.msgpack.Decoder(Department)
_SELECT: Final = "SELECT person.record FROM person"


def fold(text: str) -> str:
    """Text as it is compared: compatible forms joined, case folded, accents off."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def terms_of(person: Person) -> set[str]:
    """What the beginning of a query is compared with."""
    terms: dict[str, None] = {}
    for name in (person.name, person.other_name):
        folded = fold(name)
        words = folded.split()
        terms[folded] = None
        for word in words:
            terms[word] = None
            if not word.isascii():
                # Chinese names are looked for by the given name alone, too.
                terms.update((word[at:], None) for at in range(1, len(word)))
        terms["".join(words)] = None
    syllables = fold(person.sort_key).replace("'", " ").split()
    terms.update((syllable, None) for syllable in syllables)
    terms[" ".join(syllables)] = None
    terms.update(("".join(syllables[at:]), None) for at in range(len(syllables)))
    terms["".join(syllable[0] for syllable in syllables)] = None
    for address in (person.login, person.email):
        terms[fold(address)] = None
    terms.pop("", None)
    return {term[:MAX_TERM_CHARS] for term in list(terms)[:MAX_TERMS]}


def take_directory(db: Db, directory: Directory) -> None:
    """Take the whole directory or its differences, and the version with it."""
    if directory.is_full:
        for table in ("person", "person_term", "person_place", "department"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    else:
        _remove_people(db, directory.gone_people)
        _remove_people(db, (person.id for person in directory.people))
        db.executemany(
            "DELETE FROM department WHERE id = ?", [(gone,) for gone in directory.gone_departments]
        )
    db.executemany(
        "INSERT OR REPLACE INTO department (id, record) VALUES (?, ?)",
        [(one.id, msgspec.msgpack.encode(one)) for one in directory.departments],
    )
    _insert_people(db, directory.people)
    meta.save(db, meta.DIRECTORY_VERSION, directory.version)


def find(db: Db, text: str, below: DepartmentId | None, limit: int) -> list[Person]:
    """People of whom every word of the text begins a term, in all or in one subtree; those found by their whole name first."""
    query = fold(text).strip()
    if not query:
        return []
    found = _keys_of_prefix(db, query)
    words = query.split()
    if len(words) > 1:
        found |= set.intersection(*(_keys_of_prefix(db, word) for word in words))
    if below is not None:
        inside: set[int] = set()
        for department in subtree(db, below):
            rows = db.execute("SELECT person FROM person_place WHERE department=?", (department,))
            inside.update(row[0] for row in rows)
        found &= inside
    people = [person for key in found if (person := _by_key(db, key)) is not None]
    people.sort(key=lambda person: _rank(person, query))
    return people[:limit]


def by_id(db: Db, user: UserId) -> Person | None:
    """One person."""
    return _one(db.execute(f"{_SELECT} WHERE id = ?", (user,)).fetchone())


def by_ids(db: Db, users: Iterable[UserId]) -> dict[UserId, Person]:
    """Those of the people who are here."""
    found = ((user, by_id(db, user)) for user in users)
    return {user: person for user, person in found if person is not None}


def by_login(db: Db, login: str) -> Person | None:
    """The person who signs in with that login."""
    return _one(db.execute(f"{_SELECT} WHERE login = ?", (fold(login),)).fetchone())


def every(db: Db) -> list[Person]:
    """Everybody, by sort key."""
    people = [_person_decoder.decode(row[0]) for row in db.execute(_SELECT)]
    return sorted(people, key=_by_name)


def members_of(db: Db, department: DepartmentId) -> list[Person]:
    """Who sits directly in a department, in its order."""
    rows = db.execute(
        f"{_SELECT} JOIN person_place ON person_place.person = person.key WHERE department = ?",
        (department,),
    )
    people = [_person_decoder.decode(row[0]) for row in rows]

    def order(person: Person) -> tuple[int, tuple[str, str]]:
        orders = [place.order for place in person.places if place.department == department]
        return min(orders, default=0), _by_name(person)

    return sorted(people, key=order)


def departments(db: Db) -> list[Department]:
    """The whole tree, each department before those below it, siblings in their order."""
    below: dict[DepartmentId | None, list[Department]] = {}
    known: set[DepartmentId] = set()
    for row in db.execute("SELECT record FROM department"):
        one = _department_decoder.decode(row[0])
        known.add(one.id)
        below.setdefault(one.parent, []).append(one)
    # A department whose parent is not visible stands at the top.
    tops = [one for parent, group in below.items() if parent not in known for one in group]
    return list(_walk(tops, below))


def department(db: Db, wanted: DepartmentId) -> Department | None:
    """One department."""
    row = db.execute("SELECT record FROM department WHERE id = ?", (wanted,)).fetchone()
    return None if row is None else _department_decoder.decode(row[0])


def subtree(db: Db, top: DepartmentId) -> set[DepartmentId]:
    """A department and all below it."""
    found = {top}
    for one in departments(db):
        if one.parent in found:
            found.add(one.id)
    return found


def _walk(
    group: list[Department], below: dict[DepartmentId | None, list[Department]]
) -> Iterator[Department]:
    for one in sorted(group, key=lambda each: (each.order, fold(each.name))):
        yield one
        yield from _walk(below.pop(one.id, []), below)


def _insert_people(db: Db, people: Iterable[Person]) -> None:
    terms: list[tuple[str, int]] = []
    places: list[tuple[DepartmentId, int]] = []
    for person in people:
        key = db.execute(
            "INSERT INTO person (id, login, record) VALUES (?, ?, ?)",
            (person.id, fold(person.login), msgspec.msgpack.encode(person)),
        ).lastrowid
        if key is None:
            continue
        if not person.is_disabled:
            terms += ((term, key) for term in terms_of(person))
            places += ((place.department, key) for place in person.places)
    db.executemany("INSERT OR IGNORE INTO person_term (term, person) VALUES (?, ?)", terms)
    db.executemany("INSERT OR IGNORE INTO person_place (department, person) VALUES (?, ?)", places)


def _remove_people(db: Db, users: Iterable[UserId]) -> None:
    for user in users:
        row = db.execute("DELETE FROM person WHERE id = ? RETURNING key", (user,)).fetchone()
        if row is not None:
            db.execute("DELETE FROM person_term WHERE person = ?", row)
            db.execute("DELETE FROM person_place WHERE person = ?", row)


def _keys_of_prefix(db: Db, prefix: str) -> set[int]:
    prefix = prefix[:MAX_TERM_CHARS]
    rows = db.execute(
        "SELECT person FROM person_term WHERE term >= ? AND term < ?",
        (prefix, prefix + "\U0010ffff"),
    )
    return {row[0] for row in rows}


def _by_key(db: Db, key: int) -> Person | None:
    return _one(db.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone())


def _one(row: tuple[bytes] | None) -> Person | None:
    return None if row is None else _person_decoder.decode(row[0])


def _by_name(person: Person) -> tuple[str, str]:
    return fold(person.sort_key or person.name), person.login


def _rank(person: Person, query: str) -> tuple[int, tuple[str, str]]:
    exact = {fold(person.name), fold(person.other_name), fold(person.login)}
    if query in exact:
        place = 0
    elif any(name.startswith(query) for name in exact) or fold(person.sort_key).startswith(query):
        place = 1
    else:
        place = 2
    return place, _by_name(person)
