# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of people, taken apart by the rules of one directory. Who they are to each other is settled in links.py."""

from typing import Final

from msgspec import Struct

from ldapsync import photos, values
from ldapsync.access_signs import AccessSigns
from ldapsync.answers import Entry
from ldapsync.config import DepartmentSource, DirectoryConfig
from ldapsync.names import NameInvalid, normal, parent
from ldapsync.picks import Pick
from ldapsync.wanted import Anchor, Photo, SetAside

PRIMARY_GROUP: Final = "primaryGroupID"
_NOTHING: Final[dict[str, str]] = {}
_FIELDS: Final = ("login", "name", "other_name", "sort_key", "email", "phone", "title")


class Found(Struct, frozen=True, gc=False):
    """What one entry says by itself; DNs in normal form."""

    anchor: Anchor
    dn: str
    key: str
    login: str
    name: str
    other_name: str
    sort_key: str
    email: str
    phone: str
    title: str
    order: int
    manager: str
    custom: dict[str, str]
    why_off: str
    photo: Photo | None
    departments: tuple[str, ...]
    primary_group: int
    uid: str
    base: str
    """Below which base it was found, and so by which rule it is here."""
    sources: tuple[str, ...]
    """From which attribute each field comes, in the order of FIELDS."""


class PersonRules:
    """How one directory's people are read."""

    def __init__(self, config: DirectoryConfig) -> None:
        people = config.people
        self._anchor = people.anchor
        self._picks = [Pick(getattr(people, field)) for field in _FIELDS]
        self._order = Pick(people.order)
        self._custom = {name: Pick(sources) for name, sources in people.custom.items()}
        self._signs = AccessSigns(people.off, people.off_when)
        self._manager = people.manager
        self._photo = people.photo
        self._department = ""
        if DepartmentSource.ATTRIBUTE in config.departments.sources:
            self._department = config.departments.attribute
        self._has_logins_as_members = "memberUid" in config.groups.member
        self._has_primary_group = config.people.anchor.lower() == "objectguid"
        self._known_texts: dict[str, str] = {}
        self._known_sources: dict[tuple[str, ...], tuple[str, ...]] = {}
        rare = {name.lower() for name in self._signs.attributes}
        self.unseen = {name.lower(): name for name in self.attributes if name.lower() not in rare}
        """Attributes that no entry had so far; those that only few have by their nature are not counted."""

    @property
    def attributes(self) -> list[str]:
        """What has to be asked for."""
        names = [self._anchor, self._manager, self._photo, self._department]
        names += [name for pick in self._picks for name in pick.attributes]
        names += self._order.attributes
        names += [name for pick in self._custom.values() for name in pick.attributes]
        names += self._signs.attributes
        names += ["uid"] if self._has_logins_as_members else []
        names += [PRIMARY_GROUP] if self._has_primary_group else []
        return sorted({name.lower(): name for name in names if name}.values())

    def take(self, entry: Entry, base: str, now_ms: int) -> Found | SetAside:
        """What the entry says, or why it can't become a person."""
        attributes = entry.attributes
        if self.unseen:
            for name in self.unseen.keys() & attributes.keys():
                del self.unseen[name]
        anchor = self.anchor_of(entry)
        if isinstance(anchor, SetAside):
            return anchor
        if entry.is_oversized:
            return SetAside(
                entry.dn, "The entry is too large to be read.", "Look what fills it.", anchor
            )
        login, name, *others = (pick.of(attributes) for pick in self._picks)
        if not login:
            return self._without("login", entry.dn, anchor, self._picks[0])
        if not name:
            return self._without("name", entry.dn, anchor, self._picks[1])
        try:
            key = normal(entry.dn)
        except NameInvalid as error:
            return SetAside(entry.dn, f"Its DN can't be understood: {error}", "Rename it.", anchor)
        other_name, sort_key, email, phone, title = others
        return Found(
            anchor=anchor,
            dn=entry.dn,
            key=key,
            login=login,
            name=name,
            other_name=other_name,
            sort_key=sort_key,
            email=email,
            phone=phone,
            title=self._kept(title),
            order=values.number_of(self._order.of(attributes).encode()) or 0,
            manager=self._kept(_key(attributes.get(self._manager.lower()))),
            custom=self._custom_of(attributes) if self._custom else _NOTHING,
            why_off=self._signs.why_off(attributes, now_ms),
            photo=self._photo_of(attributes.get(self._photo.lower())),
            departments=tuple(map(values.text_of, attributes.get(self._department.lower(), ()))),
            primary_group=_number(attributes.get(PRIMARY_GROUP.lower())),
            uid=values.fold(_text(attributes.get("uid"))) if self._has_logins_as_members else "",
            base=base,
            sources=self._sources_of(attributes),
        )

    def anchor_of(self, entry: Entry) -> Anchor | SetAside:
        """The immutable id, or why there is none."""
        octets = entry.attributes.get(self._anchor.lower(), [])
        anchor = values.anchor_of(self._anchor, octets[0]) if len(octets) == 1 else None
        if anchor is not None:
            return anchor
        how_many = "no" if not octets else "no valid" if len(octets) == 1 else "more than one"
        return SetAside(
            entry.dn,
            f"It has {how_many} {self._anchor}, by which it would be known for good.",
            f"See whether the account that reads may read {self._anchor}, or name another attribute as people.anchor.",
        )

    def explain(self, found: Found, search_filter: str) -> dict[str, str]:
        """Where each field comes from; shared by all people for whom it is the same."""
        why = {"": f"matches {search_filter} below {found.base}"}
        for field, pick, source in zip(_FIELDS, self._picks, found.sources, strict=True):
            named = source or (pick.sources[0] if pick.sources else "")
            if named and getattr(found, field):
                why[field] = f"from {named}"
        if self._manager and found.manager:
            why["manager"] = f"from {self._manager}"
        if self._photo and found.photo:
            why["photo"] = f"from {self._photo}"
        for field, pick in self._custom.items():
            why[f"custom.{field}"] = f"from {', '.join(pick.sources)}"
        if found.why_off:
            why["is_disabled"] = found.why_off
        return why

    def _custom_of(self, attributes: dict[str, list[bytes]]) -> dict[str, str]:
        read = ((field, pick.of(attributes)) for field, pick in self._custom.items())
        return {field: value for field, value in read if value}

    def _kept(self, text: str) -> str:
        """Titles and managers are the same for many: kept once."""
        return self._known_texts.setdefault(text, text)

    def _sources_of(self, attributes: dict[str, list[bytes]]) -> tuple[str, ...]:
        """The same few tuples over and over: kept once."""
        sources = tuple(
            pick.source_of(attributes) if len(pick.sources) > 1 else "" for pick in self._picks
        )
        return self._known_sources.setdefault(sources, sources)

    def _photo_of(self, files: list[bytes] | None) -> Photo | None:
        found = photos.chosen(files) if files else None
        return Photo(found[0]) if found else None

    def _without(self, field: str, dn: str, anchor: Anchor, pick: Pick) -> SetAside:
        return SetAside(
            dn,
            f"It has no {field}: {' and '.join(pick.sources)} are missing or empty."
            if len(pick.sources) > 1
            else f"It has no {field}: {pick.sources[0]} is missing or empty.",
            f"Fill it in, name another attribute as people.{field}, or leave such entries out by people.filter.",
            anchor,
        )


def _key(octets: list[bytes] | None) -> str:
    """A DN that an attribute holds, in normal form; "" when it is none."""
    if not octets:
        return ""
    try:
        return normal(octets[0].decode("utf-8", "replace"))
    except NameInvalid:
        return ""


def _text(octets: list[bytes] | None) -> str:
    return values.text_of(octets[0]) if octets else ""


def _number(octets: list[bytes] | None) -> int:
    return values.number_of(octets[0]) or 0 if octets else 0


def place_of(found: Found) -> str:
    """The normal DN of what the entry stands directly below."""
    return parent(found.key)
