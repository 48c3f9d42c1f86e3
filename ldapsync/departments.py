# SPDX-License-Identifier: GPL-3.0-or-later
"""Departments out of the tree of units, and out of an attribute in which people name theirs. Those out of groups: groups.py."""

import uuid
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from ldapsync import values
from ldapsync.answers import Entry
from ldapsync.config import DirectoryConfig
from ldapsync.names import NameInvalid, last_value, normal, parent
from ldapsync.picks import Pick
from ldapsync.wanted import Anchor, SetAside, WantedDepartment
from protocol.limits import MAX_DEPARTMENT_DEPTH

_NAMED: Final = uuid.UUID("8d1f2f0b-3a63-5f0e-9a43-5d0c4c1f6a27")
"""Departments that are only named have no id of their own: it is made of the name."""
_SIGNS_OF_CHILDREN: Final = (
    "hasSubordinates",  # X.501, OpenLDAP
    "numSubordinates",  # 389-DS
    "msDS-Approx-Immed-Subordinates",  # Active Directory
)


class Unit(Struct, frozen=True, gc=False):
    """One unit of the tree; DNs in normal form."""

    anchor: Anchor
    dn: str
    key: str
    name: str
    other_name: str
    order: int
    has_entries: bool
    """The directory says that something is below, whether or not it may be seen."""


class UnitRules:
    """How one directory's units are read."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._config = config.departments
        self._anchor = config.departments.anchor or config.people.anchor
        self._name = Pick(config.departments.name)
        self._other_name = Pick(config.departments.other_name)
        self._order = Pick(config.departments.order)

    @property
    def attributes(self) -> list[str]:
        """What has to be asked for."""
        picks = (self._name, self._other_name, self._order)
        names = [self._anchor, *_SIGNS_OF_CHILDREN]
        return [*names, *(name for pick in picks for name in pick.attributes)]

    def take(self, entry: Entry) -> Unit | SetAside:
        """The unit, or why it can't become a department."""
        octets = entry.attributes.get(self._anchor.lower(), [])
        anchor = values.anchor_of(self._anchor, octets[0]) if len(octets) == 1 else None
        if anchor is None:
            return SetAside(
                entry.dn,
                f"The unit has no {self._anchor}, by which it would be known for good.",
                f"See whether the account that reads may read {self._anchor} of units, or set departments.anchor.",
            )
        try:
            key = normal(entry.dn)
        except NameInvalid as error:
            return SetAside(entry.dn, f"Its DN can't be understood: {error}", "Rename it.", anchor)
        return Unit(
            anchor=anchor,
            dn=entry.dn,
            key=key,
            name=self._name.of(entry.attributes) or values.text_of(last_value(entry.dn).encode()),
            other_name=self._other_name.of(entry.attributes),
            order=values.number_of(self._order.of(entry.attributes).encode()) or 0,
            has_entries=any(
                those[0].lower() not in {b"false", b"0"}
                for name in _SIGNS_OF_CHILDREN
                if (those := entry.attributes.get(name.lower()))
            ),
        )


class UnitTree:
    """Where in the tree an entry stands, and so in which department."""

    def __init__(self, config: DirectoryConfig, units: Iterable[Unit]) -> None:
        left_out = {normal(dn) for dn in config.departments.leave_out}
        if not config.departments.has_bases:
            left_out |= {normal(dn) for dn in config.unit_bases}
        self.left_out = left_out
        self.units = {unit.key: unit for unit in units if unit.key not in left_out}
        self._has_conversation = config.departments.has_conversation
        self._found: dict[str, Unit | None] = {"": None}

    def unit_at(self, key: str) -> Unit | None:
        """The nearest unit that is a department, at this DN or above."""
        path = []
        while key not in self._found:
            if (unit := self.units.get(key)) is not None:
                self._found[key] = unit
                break
            path.append(key)
            key = parent(key)
        unit = self._found[key]
        for each in path:
            self._found[each] = unit
        return unit

    def departments(self) -> list[WantedDepartment]:
        """All, parents before children."""
        made: dict[Anchor, int] = {}
        wanted = []
        for unit in sorted(self.units.values(), key=lambda each: (each.key.count(","), each.key)):
            above = self.unit_at(parent(unit.key))
            while above is not None and made[above.anchor] >= MAX_DEPARTMENT_DEPTH:
                above = self.unit_at(parent(above.key))
            made[unit.anchor] = made[above.anchor] + 1 if above else 1
            wanted.append(
                WantedDepartment(
                    anchor=unit.anchor,
                    dn=unit.dn,
                    name=unit.name,
                    parent=above.anchor if above else None,
                    other_name=unit.other_name,
                    order=unit.order,
                    has_conversation=self._has_conversation,
                    why={
                        "": "a unit of the tree",
                        "parent": f"stands below {above.dn}" if above else "stands below the base",
                    },
                )
            )
        return wanted


class NamedDepartments:
    """Departments that people name in an attribute. Their names are their identity: a new name is a new department."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._attribute = config.departments.attribute
        self._separator = config.departments.separator
        self._has_conversation = config.departments.has_conversation
        self._spellings: dict[tuple[str, ...], str] = {}

    def place(self, value: str) -> Anchor | None:
        """The department that a value names, which is noted with all above it; None for an empty value."""
        levels = value.split(self._separator) if self._separator else [value]
        names = [each.strip() for each in levels if each.strip()][:MAX_DEPARTMENT_DEPTH]
        path: tuple[str, ...] = ()
        for name in names:
            path = (*path, values.fold(name))
            self._spellings[path] = min(name, self._spellings.get(path, name))
        return _named_anchor(path) if path else None

    def departments(self) -> list[WantedDepartment]:
        """All that were named, parents before children."""
        return [
            WantedDepartment(
                anchor=_named_anchor(path),
                dn="",
                name=name,
                parent=_named_anchor(path[:-1]) if len(path) > 1 else None,
                has_conversation=self._has_conversation,
                why={"": f"named in {self._attribute}"},
            )
            for path, name in sorted(self._spellings.items(), key=lambda each: (len(each[0]), each))
        ]


def _named_anchor(path: tuple[str, ...]) -> Anchor:
    return f"named:{uuid.uuid5(_NAMED, chr(0).join(path))}"
