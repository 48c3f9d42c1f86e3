# SPDX-License-Identifier: GPL-3.0-or-later
"""What entries are to each other: seats, managers, members, doubles. Made of everything that was read, and kept in step entry by entry."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from msgspec import Struct, structs

from ldapsync import values
from ldapsync.config import DepartmentSource, DirectoryConfig, UniqueField
from ldapsync.departments import NamedDepartments, UnitTree
from ldapsync.groups import Groups, Membership
from ldapsync.owners import Owners
from ldapsync.people import Found, PersonRules, place_of
from ldapsync.teams import Teams
from ldapsync.wanted import (
    Anchor,
    SetAside,
    Wanted,
    WantedDepartment,
    WantedPerson,
    WantedPlace,
    Why,
)
from protocol.limits import MAX_PLACES_PER_PERSON

_NAMED_IN_NOTICE: Final = 3
"""Examples in a notice."""


class Gathered(Struct, frozen=True):
    """Everything of one source as it was read."""

    people: dict[Anchor, Found]
    tree: UnitTree
    groups: Groups = Groups()
    set_aside: tuple[SetAside, ...] = ()
    notices: tuple[str, ...] = ()


class Links:
    """The relations of one source."""

    def __init__(self, config: DirectoryConfig, rules: PersonRules, gathered: Gathered) -> None:
        self._config = config
        self._rules = rules
        self._gathered = gathered
        self.people = dict(gathered.people)
        self._by_key: dict[str, Anchor] = {}
        self._reports: dict[str, set[Anchor]] = {}
        self._owners = {field: Owners() for field in config.people.unique}
        self._whys: dict[object, Why] = {}
        self._named = NamedDepartments(config)
        for found in self.people.values():
            self._note(found)
        self._membership = Membership(gathered.groups.all, self.people)
        self._teams = Teams(config, self._membership, gathered.groups.departments)
        self._wanted: dict[Anchor, WantedPerson] = {}
        self._doubles: dict[Anchor, SetAside] = {}
        self._make(self.people)

    # ------------------------------------------------------------------------------- what changed

    def put(self, changed: Iterable[Found], gone: Iterable[Anchor]) -> frozenset[Anchor]:
        """Take entries that changed, and drop those that went. Returns all people whose record may be another now."""
        touched: set[Anchor] = set()
        is_member_list_stale = False
        for anchor, found in [
            *((each, None) for each in gone),
            *((each.anchor, each) for each in changed),
        ]:
            before = self.people.pop(anchor, None)
            if before is not None:
                touched |= self._doubled(before)
                self._forget(before)
            if found is not None:
                self.people[anchor] = found
                self._note(found)
                touched |= self._doubled(found)
            keys = {each.key for each in (before, found) if each is not None}
            if before is None or found is None or len(keys) > 1:
                touched |= {report for key in keys for report in self._reports.get(key, ())}
            if _belongs(before) != _belongs(found):
                is_member_list_stale = True
        if is_member_list_stale:
            self._membership = Membership(self._gathered.groups.all, self.people)
            touched |= self._reseat()
        self._make(touched)
        return frozenset(touched)

    def put_groups(self, groups: Groups) -> frozenset[Anchor]:
        """Take another set of groups. Returns all people whose seat may be another now."""
        self._gathered = structs.replace(self._gathered, groups=groups)
        self._membership = Membership(groups.all, self.people)
        touched = self._reseat()
        self._make(touched)
        return frozenset(touched)

    @property
    def tree(self) -> UnitTree:
        """The units as they were read."""
        return self._gathered.tree

    def has_units(self, anchors: Collection[Anchor]) -> bool:
        """Whether one of these is a unit of the tree."""
        return any(unit.anchor in anchors for unit in self._gathered.tree.units.values())

    def has_groups(self, anchors: Collection[Anchor]) -> bool:
        """Whether one of these is a group."""
        return any(group.anchor in anchors for group in self._gathered.groups.all)

    def has_moved(self, changed: Iterable[Found]) -> bool:
        """Whether somebody has another DN now."""
        return any(
            (before := self.people.get(found.anchor)) is not None and before.key != found.key
            for found in changed
        )

    def reports_of_moved(self, changed: Iterable[Found]) -> set[Anchor]:
        """Who has a manager among those whose DN is another now."""
        moved: set[Anchor] = set()
        for found in changed:
            before = self.people.get(found.anchor)
            if before is not None and before.key != found.key:
                moved |= self._reports.get(before.key, set())
        return moved

    def _reseat(self) -> set[Anchor]:
        before = self._teams
        self._teams = Teams(self._config, self._membership, self._gathered.groups.departments)
        return {
            anchor
            for anchor in before.seats.keys() | self._teams.seats.keys()
            if before.seats.get(anchor) != self._teams.seats.get(anchor)
        }

    def _note(self, found: Found) -> None:
        self._by_key[found.key] = found.anchor
        if found.manager:
            self._reports.setdefault(found.manager, set()).add(found.anchor)
        for field, value in self._owned(found):
            self._owners[field].add(value, found.anchor)

    def _forget(self, found: Found) -> None:
        if self._by_key.get(found.key) == found.anchor:
            del self._by_key[found.key]
        self._reports.get(found.manager, set()).discard(found.anchor)
        for field, value in self._owned(found):
            self._owners[field].discard(value, found.anchor)

    def _owned(self, found: Found) -> Iterator[tuple[UniqueField, str]]:
        for field in self._config.people.unique:
            if value := found.login if field is UniqueField.LOGIN else found.email:
                yield field, values.fold(value)

    def _doubled(self, found: Found) -> set[Anchor]:
        """The person, and who has something in common with them that should be theirs alone."""
        doubled = {found.anchor}
        for field, value in self._owned(found):
            doubled |= self._owners[field].of(value)
        return doubled

    # ----------------------------------------------------------------------------------- records

    def wanted(self, scope: str, read_ms: int) -> Wanted:
        """Everything as it is now."""
        gathered = self._gathered
        groups, oversized, strange = self._teams.groups(gathered.groups.lanyard)
        grants, stranger = self._teams.grants(gathered.tree.units)
        return Wanted(
            source=self._config.name,
            scope=scope,
            read_ms=read_ms,
            people=dict(self._wanted),
            departments={each.anchor: each for each in self._departments()},
            groups=groups,
            grants=grants,
            set_aside=(*gathered.set_aside, *self._doubles.values(), *oversized),
            notices=tuple(
                dict.fromkeys([*gathered.notices, *strange, *stranger, *self._lost_managers()])
            ),
        )

    def _departments(self) -> Iterator[WantedDepartment]:
        sources = self._config.departments.sources
        if DepartmentSource.OU_TREE in sources:
            yield from self._gathered.tree.departments()
        if DepartmentSource.ATTRIBUTE in sources:
            named = NamedDepartments(self._config)
            for found in self.people.values():
                for value in found.departments:
                    named.place(value)
            yield from named.departments()
        yield from self._teams.departments

    def _make(self, anchors: Iterable[Anchor]) -> None:
        for anchor in anchors:
            self._wanted.pop(anchor, None)
            self._doubles.pop(anchor, None)
            found = self.people.get(anchor)
            if found is None:
                continue
            if (double := self._double_of(found)) is not None:
                self._doubles[anchor] = double
            else:
                self._wanted[anchor] = self._person(found)

    def _double_of(self, found: Found) -> SetAside | None:
        for field, value in self._owned(found):
            others = self._owners[field].of(value) - {found.anchor}
            if others:
                dns = sorted(self.people[each].dn for each in others)
                more = f" and {len(dns) - 1} more" if len(dns) > 1 else ""
                what = "login" if field is UniqueField.LOGIN else "mail address"
                return SetAside(
                    found.dn,
                    f"Its {what} {getattr(found, field)} is also that of {dns[0]}{more}.",
                    f"Give one of them another {what}, leave one out by people.filter"
                    + (
                        ", or take email out of people.unique."
                        if field is UniqueField.EMAIL
                        else "."
                    ),
                    found.anchor,
                )
        return None

    def _person(self, found: Found) -> WantedPerson:
        seats = list(self._seats(found))
        manager = self._by_key.get(found.manager) if found.manager else None
        return WantedPerson(
            anchor=found.anchor,
            dn=found.dn,
            login=found.login,
            name=found.name,
            other_name=found.other_name,
            sort_key=found.sort_key,
            email=found.email,
            phone=found.phone,
            places=tuple(WantedPlace(each, found.title, found.order) for each, _ in seats),
            manager=manager if manager != found.anchor else None,
            custom=found.custom,
            is_disabled=bool(found.why_off),
            photo=found.photo,
            why=self._why(found, seats),
        )

    def _seats(self, found: Found) -> list[tuple[Anchor, str]]:
        """Departments of a person, each with the reason."""
        sources = self._config.departments.sources
        seats: dict[Anchor, str] = {}
        if DepartmentSource.OU_TREE in sources:
            unit = self._gathered.tree.unit_at(place_of(found))
            if unit is not None:
                seats[unit.anchor] = f"stands below {unit.dn}"
        if DepartmentSource.ATTRIBUTE in sources:
            for value in found.departments:
                if (named := self._named.place(value)) is not None:
                    seats.setdefault(named, f"{self._config.departments.attribute} is {value}")
        for team, why in self._teams.seats.get(found.anchor, ()):
            seats.setdefault(team, why)
        return list(seats.items())[:MAX_PLACES_PER_PERSON]

    def _why(self, found: Found, seats: list[tuple[Anchor, str]]) -> Why:
        """Reasons are the same for many people: each is kept once."""
        filled = tuple(
            bool(each)
            for each in (found.other_name, found.sort_key, found.email, found.phone, found.title,
                         found.manager, found.photo, *found.custom)
        )  # fmt: skip
        pattern = (found.base, found.sources, filled, found.why_off, tuple(seats))
        why = self._whys.get(pattern)
        if why is None:
            why = self._rules.explain(found, self._config.people.filter)
            if seats:
                why["places"] = "; ".join(reason for _, reason in seats)
            self._whys[pattern] = why
        return why

    def _lost_managers(self) -> list[str]:
        lost = [
            key for key, reports in self._reports.items() if reports and key not in self._by_key
        ]
        if not lost:
            return []
        named = ", ".join(sorted(lost)[:_NAMED_IN_NOTICE])
        notice = (
            f"{len(lost)} managers are not among the people who were read, such as {named};"
            " those who name them are without a manager."
        )
        return [notice]


def _belongs(found: Found | None) -> tuple[str, str, int] | None:
    """What groups know a person by."""
    return (found.key, found.uid, found.primary_group) if found else None
