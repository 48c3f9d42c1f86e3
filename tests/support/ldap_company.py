# SPDX-License-Identifier: GPL-3.0-or-later
"""A company made by rule, as LDIF for slapd: nested units, names in several scripts, portraits, managers, nested groups.

The same numbers make the same company, ids included.
"""

from __future__ import annotations

import base64
import hashlib
import io
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from PIL import Image

BASE = "dc=example,dc=com"
PEOPLE = f"ou=People,{BASE}"
GROUPS = f"ou=Groups,{BASE}"
PEOPLE_PER_UNIT = 33

UNITS = ["Sales", "研发部", "Support", "Finanzen", "Отдел кадров", "Legal, Risk", "生产部", "IT"]
NAMES = [
    ("Ada", "Lovelace", ""),
    ("伟", "王", "Wang Wei"),
    ("Grace", "Hopper", ""),
    ("芳", "李", "Li Fang"),
    ("Søren", "Kierkegaard", ""),
    ("Ольга", "Петрова", "Olga Petrova"),
    ("Zoë", "Müller-Lüdenscheidt", ""),
    ("Linh", "Nguyễn", ""),
]
TITLES = ["Engineer", "经理", "Assistant", "Leiterin", "Clerk"]


@dataclass(frozen=True)
class Unit:
    """One organisational unit."""

    name: str
    dn: str
    depth: int


@dataclass(frozen=True)
class Staff:
    """One person."""

    uid: str
    name: str
    dn: str
    unit: str
    title: str
    has_photo: bool

    @property
    def anchor(self) -> str:
        return entry_uuid(self.dn)

    @property
    def password(self) -> str:
        return f"secret of {self.uid}"


@dataclass(frozen=True)
class Company:
    """``people_count`` people in units of about 33; every tenth has a portrait."""

    people_count: int
    units: list[Unit] = field(init=False)
    people: list[Staff] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "units", list(_units(max(1, self.people_count // PEOPLE_PER_UNIT)))
        )
        object.__setattr__(
            self, "people", [self._person(number) for number in range(self.people_count)]
        )

    def _person(self, number: int) -> Staff:
        given, family, _ = NAMES[number % len(NAMES)]
        is_chinese = not family.isascii() and len(family) == 1
        unit = self.units[number % len(self.units)]
        uid = f"u{number:06}"
        return Staff(
            uid=uid,
            name=f"{family}{given}{number}" if is_chinese else f"{given} {family} {number}",
            dn=f"uid={uid},{unit.dn}",
            unit=unit.dn,
            title=TITLES[number % len(TITLES)],
            has_photo=number % 10 == 0,
        )

    def ldif(self) -> Iterator[str]:
        """The whole company, parents first."""
        yield entry(BASE, objectClass=["dcObject", "organization"], dc="example", o="Example Ltd")
        for dn in (PEOPLE, GROUPS):
            yield entry(dn, objectClass="organizationalUnit", ou=dn[3:].partition(",")[0])
        for unit in self.units:
            yield entry(unit.dn, objectClass="organizationalUnit", ou=unit.name)
        groups = self._groups()
        in_groups: dict[str, list[str]] = {}
        for name, members in groups.items():
            for member in members:
                in_groups.setdefault(member, []).append(group_dn(name))
        for number, person in enumerate(self.people):
            yield self._ldif_of(number, person, in_groups.get(person.dn, []))
        for name, members in groups.items():
            above = in_groups.get(group_dn(name), [])
            yield entry(
                group_dn(name), objectClass="groupOfNames", cn=name, member=members, memberOf=above
            )

    def _ldif_of(self, number: int, person: Staff, groups: list[str]) -> str:
        given, family, latin = NAMES[number % len(NAMES)]
        more: dict[str, Sequence[str | bytes] | str | bytes] = {}
        if latin:
            more["cn;lang-en"] = f"{latin} {number}"
        if person.has_photo:
            more["jpegPhoto"] = portrait(number)
        if number:
            more["manager"] = self.people[number // 8].dn
        if number < 100:
            more["userPassword"] = person.password
        return entry(
            person.dn,
            objectClass="inetOrgPerson",
            uid=person.uid,
            cn=person.name,
            sn=family,
            givenName=given,
            displayName=person.name,
            mail=f"{person.uid}@example.com",
            telephoneNumber=f"+49 30 {number:06}",
            title=person.title,
            employeeNumber=str(number),
            memberOf=groups,
            **more,
        )

    def _groups(self) -> dict[str, list[str]]:
        """``everybody`` holds one group for each of the first units, and ``admins`` the first three people."""
        teams = {
            f"team-{number}": [each.dn for each in self.people[number :: len(self.units)][:100]]
            for number in range(min(8, len(self.units), self.people_count))
        }
        return {
            **teams,
            "everybody": [group_dn(name) for name in teams],
            "admins": [each.dn for each in self.people[:3]],
        }


def _units(count: int) -> Iterator[Unit]:
    """A tree in which each unit has up to four below it, to a depth of six."""
    made: list[Unit] = []
    for number in range(count):
        above = made[(number - 4) // 4] if number >= 4 else None
        if above is not None and above.depth >= 6:
            above = made[number % 4]
        name = f"{UNITS[number % len(UNITS)]} {number}"
        escaped = name.replace(",", "\\2C")
        unit = Unit(
            name, f"ou={escaped},{above.dn if above else PEOPLE}", above.depth + 1 if above else 1
        )
        made.append(unit)
        yield unit


def group_dn(name: str) -> str:
    return f"cn={name},{GROUPS}"


def entry_uuid(dn: str) -> str:
    """The id that the generated entry has."""
    return str(uuid.uuid5(uuid.NAMESPACE_X500, dn))


def entry(dn: str, /, **attributes: Sequence[str | bytes] | str | bytes) -> str:
    """One entry as LDIF, with an id made from its DN."""
    lines = [_line("dn", dn), f"entryUUID: {entry_uuid(dn)}"]
    for name, values in attributes.items():
        several = [values] if isinstance(values, str | bytes) else values
        lines += [_line(name, value) for value in several]
    return "\n".join([*lines, "", ""])


def _line(name: str, value: str | bytes) -> str:
    octets = value.encode() if isinstance(value, str) else value
    is_safe = octets.isascii() and octets.strip() == octets and not octets.startswith((b":", b"<"))
    if is_safe and octets.decode().isprintable():
        return f"{name}: {octets.decode()}"
    return f"{name}:: {base64.b64encode(octets).decode()}"


@cache
def _drawn(colour: int) -> bytes:
    image = Image.radial_gradient("L").resize((96, 96)).convert("RGB")
    tint = Image.new("RGB", image.size, (colour, 255 - colour, 128))
    out = io.BytesIO()
    Image.blend(image, tint, 0.4).save(out, "JPEG", quality=70)
    return out.getvalue()


def portrait(number: int) -> bytes:
    """A small JPEG that nobody else has: its comment differs."""
    jpeg = _drawn(number % 16 * 16)
    comment = hashlib.sha256(str(number).encode()).hexdigest().encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]
