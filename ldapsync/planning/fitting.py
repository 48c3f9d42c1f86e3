# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server would refuse of a person, known before it is asked: one bad entry must not stop all the others. Pure."""

import re
from typing import Final

from ldapsync.wanted import WantedPerson
from protocol.limits import (
    MAX_CUSTOM_FIELDS,
    MAX_FIELD_CHARS,
    MAX_LOGIN_CHARS,
    MAX_NAME_CHARS,
    MAX_PLACES_PER_PERSON,
)

UNSHOWABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""As the server sees it: control characters, line ends, and marks that turn the direction of the text around a name."""
_TEXTS: Final = ("other_name", "sort_key", "email", "phone")


def flaw(person: WantedPerson) -> tuple[str, str] | None:
    """What is wrong with the entry, and how to mend it."""
    login, name = person.login, person.name
    if not login or login != login.strip() or UNSHOWABLE.search(login):
        return "Its login is empty or can't be typed.", "Correct the login in the directory."
    if len(login) > MAX_LOGIN_CHARS:
        return f"Its login has more than {MAX_LOGIN_CHARS} characters.", "Give it a shorter login."
    if not name.strip() or UNSHOWABLE.search(name):
        return "Its name is empty or can't be shown.", "Correct the name in the directory."
    if len(name) > MAX_NAME_CHARS:
        return f"Its name has more than {MAX_NAME_CHARS} characters.", "Shorten the name."
    for field in _TEXTS:
        if len(getattr(person, field)) > MAX_FIELD_CHARS:
            return _too_long(field)
    return _flaw_of_lists(person)


def _flaw_of_lists(person: WantedPerson) -> tuple[str, str] | None:
    for field, value in person.custom.items():
        if not field or len(field) > MAX_NAME_CHARS or len(value) > MAX_FIELD_CHARS:
            return _too_long(field)
    if len(person.custom) > MAX_CUSTOM_FIELDS:
        return f"It has more than {MAX_CUSTOM_FIELDS} custom fields.", "Map fewer of them."
    for place in person.places:
        if len(place.title) > MAX_FIELD_CHARS:
            return _too_long("title")
    if len(person.places) > MAX_PLACES_PER_PERSON:
        return f"It is in more than {MAX_PLACES_PER_PERSON} departments.", "Map fewer departments."
    if len({place.department for place in person.places}) != len(person.places):
        return "It is in a department twice.", "Correct the mapping of departments."
    return None


def _too_long(field: str) -> tuple[str, str]:
    return (
        f"Its {field} has more than {MAX_FIELD_CHARS} characters.",
        "Shorten it, or map another attribute.",
    )
