# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything of one source, read whole, or ReadFailed. What is missing from a reading is not there; so doubt raises."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from ldapsync.answers import Entry
from ldapsync.config import DepartmentSource, DirectoryConfig, Scope
from ldapsync.departments import Unit, UnitRules, UnitTree
from ldapsync.directory import Directory
from ldapsync.failures import ReadFailed
from ldapsync.follow.change import Change, Sorter
from ldapsync.groups import Group, GroupRules, Groups
from ldapsync.links import Gathered, Links
from ldapsync.names import is_below, normal, parent
from ldapsync.opening import open_directory
from ldapsync.people import Found, PersonRules
from ldapsync.questions import Depth
from ldapsync.sights import demand_sight
from ldapsync.wanted import Anchor, SetAside, Wanted

_ATTEMPTS: Final = 3
"""Reads, when units are moved about meanwhile."""
_NO_PEOPLE: Final = ("DomainDnsZones", "ForestDnsZones", "CN=Configuration")
"""Parts that every search of an Active Directory domain points to; there are no people in them."""
_NOBODY_HAS: Final = 20
"""People from which on it is remarkable that none of them has an attribute."""


class Patch(Struct, frozen=True):
    """What a few changed entries make of a reading."""

    wanted: Wanted
    touched: frozenset[Anchor]
    """People whose record may be another now; groups and grants may be too."""


def read(config: DirectoryConfig, now_ms: int) -> Wanted:
    """Read one source. Raises ReadFailed, Unreachable, CertificateRefused, BindRefused, SecretMissing, ConfigInvalid."""
    return Reader(config).read(now_ms)


def scope_of(config: DirectoryConfig) -> str:
    """A digest of what is read how: after it changed, what is missing may only be out of scope."""
    people, departments, groups = config.people, config.departments, config.groups
    parts = (
        sorted(config.servers),
        config.base,
        (people.bases, people.scope, people.filter, people.anchor),
        departments,
        (groups.bases, groups.filter, groups.kinds, groups.anchor, groups.member),
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class Reader:
    """Reads one source and remembers it, so that a few changes need no second read."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._config = config
        self._links: Links | None = None

    def read(self, now_ms: int) -> Wanted:
        """Read everything. Raises what ``read`` raises."""
        self._links = None
        with open_directory(self._config) as directory:
            reading = Reading(self._config, directory, now_ms)
            self._links = Links(self._config, reading.rules, reading.gather())
        return self._links.wanted(scope_of(self._config), now_ms)

    def take(self, change: Change, now_ms: int) -> Patch | None:
        """Take a change. None when only a full read can tell what it means. Raises what ``read`` raises."""
        links = self._links
        if links is None or change.is_full or links.has_units(change.gone):
            return None
        changed = self._taken(change.people, now_ms)
        if changed is None:
            return None
        stale = links.reports_of_moved(changed) - {found.anchor for found in changed}
        has_groups = change.has_groups or links.has_groups(change.gone) or links.has_moved(changed)
        touched: frozenset[Anchor] = frozenset()
        if stale or has_groups:
            # The directory itself rewrites references to an entry that moves, and counts that as no change.
            with open_directory(self._config) as directory:
                if has_groups:
                    reading = Reading(self._config, directory, now_ms)
                    touched |= links.put_groups(reading.gather_groups(links.tree))
                sorter = Sorter(self._config, directory, self._config.people.anchor)
                changed += self._taken(sorter.people(stale), now_ms) or []
        touched |= links.put(changed, change.gone)
        return Patch(links.wanted(scope_of(self._config), now_ms), touched)

    def _taken(self, entries: Iterable[Entry], now_ms: int) -> list[Found] | None:
        """What the entries say; None when one of them can't be taken, which is a matter for a full read."""
        rules = PersonRules(self._config)
        taken = []
        for entry in entries:
            base = self._base_of(entry.dn)
            found = rules.take(entry, base, now_ms) if base is not None else None
            if not isinstance(found, Found):
                return None
            taken.append(found)
        return taken

    def _base_of(self, dn: str) -> str | None:
        """The base by whose rules an entry is read; None when it is below none."""
        key = normal(dn)
        for base in self._config.people_bases:
            top = normal(base)
            if self._config.people.scope is Scope.ONE_LEVEL:
                if parent(key) == top:
                    return base
            elif is_below(key, top):
                return base
        return None


class Reading:
    """One read, from the first question to the last check."""

    def __init__(self, config: DirectoryConfig, directory: Directory, now_ms: int) -> None:
        self._config = config
        self._directory = directory
        self._now_ms = now_ms
        self.rules = PersonRules(config)
        self._set_aside: dict[str, SetAside] = {}
        self._notices: list[str] = []

    def gather(self) -> Gathered:
        """Everything. Raises ReadFailed, Unreachable."""
        for base in dict.fromkeys(
            (*self._config.people_bases, *self._unit_bases(), *self._group_bases())
        ):
            self._demand_base(base)
        for _ in range(_ATTEMPTS):
            self._set_aside.clear()
            units = self._units()
            groups = self._groups()
            people = self._people()
            # A unit that is renamed while people are read leaves half of them with names that lead nowhere.
            if {unit.key for unit in units} == {unit.key for unit in self._units()}:
                break
        else:
            raise ReadFailed(
                f"Units below {', '.join(self._unit_bases())} were moved during {_ATTEMPTS} reads. Try again later."
            )
        tree = UnitTree(self._config, units)
        self._demand_named(groups, tree)
        demand_sight(self._directory, tree, people.values())
        self._note_unseen(len(people))
        self._note_references()
        return Gathered(
            people,
            tree,
            groups,
            tuple(self._set_aside.values()),
            tuple(self._notices),
        )

    def gather_groups(self, tree: UnitTree) -> Groups:
        """Groups alone, for a source whose other entries are known. Raises ReadFailed, Unreachable."""
        groups = self._groups()
        self._demand_named(groups, tree)
        return groups

    # -------------------------------------------------------------------------------------- parts

    def _unit_bases(self) -> tuple[str, ...]:
        has_tree = DepartmentSource.OU_TREE in self._config.departments.sources
        return self._config.unit_bases if has_tree else ()

    def _group_bases(self) -> tuple[str, ...]:
        groups: tuple[str, ...] = ()
        if self._config.groups.filter or self._config.roles:
            groups += self._config.group_bases
        if DepartmentSource.GROUPS in self._config.departments.sources:
            groups += self._config.departments.group_bases or self._config.group_bases
        return tuple(dict.fromkeys(groups))

    def _units(self) -> list[Unit]:
        rules = UnitRules(self._config)
        units: dict[Anchor, Unit] = {}
        for base in self._unit_bases():
            for entry in self._search(base, self._config.departments.filter, rules.attributes):
                unit = rules.take(entry)
                if isinstance(unit, Unit):
                    units[unit.anchor] = unit
                else:
                    self._set_aside[unit.dn] = unit
        return list(units.values())

    def _groups(self) -> Groups:
        """All groups, and which of them are Lanyard groups, and which departments."""
        rules = GroupRules(self._config)
        groups: dict[Anchor, Group] = {}
        for base in self._group_bases():
            for entry in self._search(base, self._config.groups.kinds, rules.attributes):
                group = rules.take(entry, self._directory.whole)
                if isinstance(group, Group):
                    groups[group.anchor] = group
                else:
                    self._set_aside[group.dn] = group
        keys = {group.key: group.anchor for group in groups.values()}
        departments = self._config.departments
        is_source = DepartmentSource.GROUPS in departments.sources
        return Groups(
            tuple(groups.values()),
            self._which(keys, self._config.groups.filter, self._config.group_bases),
            self._which(
                keys,
                departments.group_filter if is_source else "",
                departments.group_bases or self._config.group_bases,
            ),
        )

    def _which(
        self, keys: dict[str, Anchor], search_filter: str, bases: Iterable[str]
    ) -> frozenset[Anchor]:
        """The groups among ``keys`` that match a filter: the directory is asked, it knows its own rules."""
        if not search_filter:
            return frozenset()
        chosen = {
            keys.get(normal(entry.dn))
            for base in bases
            for entry in self._search(base, search_filter, ["1.1"])
        }
        return frozenset(each for each in chosen if each is not None)

    def _people(self) -> dict[Anchor, Found]:
        people: dict[Anchor, Found] = {}
        for base in self._config.people_bases:
            count = 0
            for entry in self._search(base, self._config.people.filter, self.rules.attributes):
                count += 1
                found = self.rules.take(self._bearable(entry), base, self._now_ms)
                if isinstance(found, SetAside):
                    self._set_aside[found.dn] = found
                elif found.anchor in people and people[found.anchor].key != found.key:
                    people[found.anchor] = self._where_it_is(people[found.anchor], found)
                else:
                    people.setdefault(found.anchor, found)
            if not count and not self._config.may_be_empty:
                self._explain_nobody(base)
        return people

    def _search(self, base: str, search_filter: str, attributes: list[str]) -> Iterator[Entry]:
        is_flat = self._config.people.scope is Scope.ONE_LEVEL and base in self._config.people_bases
        is_for_people = search_filter == self._config.people.filter
        depth = Depth.CHILDREN if is_flat and is_for_people else Depth.SUBTREE
        yield from self._directory.search(
            base, search_filter, attributes, depth=depth, page_size=self._config.page_size
        )
        if self._directory.references and not self._config.has_referrals:
            raise ReadFailed(
                f"Part of the tree below {base} is held by another server"
                f" ({self._directory.references[0]}), so that people may be missing. Read that server as a directory"
                " of its own, narrow the bases, or set has_referrals = true when nobody is there."
            )

    # ------------------------------------------------------------------------------------- doubts

    def _demand_base(self, base: str) -> None:
        if self._directory.read(base, ["1.1"]) is None:
            raise ReadFailed(
                f"{base} does not exist, or the account may not see it. Correct the base, or give the account the right."
            )

    def _explain_nobody(self, base: str) -> None:
        search_filter = self._config.people.filter
        anything = next(
            (each for each in self._directory.search(base, "(objectClass=*)", ["1.1"], page_size=10)
             if normal(each.dn) != normal(base)),
            None,
        )  # fmt: skip
        if anything is None:
            raise ReadFailed(
                f"Nothing may be seen below {base}: it is empty, or the account has lost its rights."
                " If it is empty for good, take it out of the bases, or set may_be_empty = true."
            )
        raise ReadFailed(
            f"Nobody below {base} matches {search_filter}, though there are other entries, such as {anything.dn}."
            " Correct people.filter, or set may_be_empty = true."
        )

    def _demand_named(self, groups: Groups, tree: UnitTree) -> None:
        """Groups and units that rules of roles name: without them people would lose what a rule gives them."""
        keys = {group.key for group in groups.all}
        for rule in self._config.roles:
            if normal(rule.group) not in keys:
                raise ReadFailed(
                    f"The group {rule.group}, whose members hold the role {rule.role}, was not found."
                    " Correct it in roles, or take the rule out."
                )
            if rule.department and normal(rule.department) not in tree.units:
                raise ReadFailed(
                    f"{rule.department}, over which a role is held, is none of the departments that were read."
                )

    def _bearable(self, entry: Entry) -> Entry:
        """An entry that is too large to be read whole, read without what makes it large."""
        photo = self._config.people.photo
        if not entry.is_oversized or not photo:
            return entry
        self._notices.append(
            f"{entry.dn}: the entry is too large; it was read without its {photo}."
        )
        names = [name for name in self.rules.attributes if name.lower() != photo.lower()]
        return self._directory.read(entry.dn, names) or entry

    def _where_it_is(self, one: Found, other: Found) -> Found:
        """Of two places in which an entry was seen because it was moved meanwhile, the one where it is now."""
        for found in (other, one):
            entry = self._directory.read(found.dn, self.rules.attributes)
            if entry is not None and self.rules.anchor_of(entry) == found.anchor:
                return found
        raise ReadFailed(f"{other.dn} was moved or removed while it was read. Try again.")

    def _note_references(self) -> None:
        others = {
            each
            for each in self._directory.references
            if not any(part in each for part in _NO_PEOPLE)
        }
        if others:
            self._notices.append(
                f"Parts of the tree that other servers hold were not read: {', '.join(sorted(others))}."
            )

    def _note_unseen(self, count: int) -> None:
        if count >= _NOBODY_HAS and self.rules.unseen:
            names = ", ".join(sorted(self.rules.unseen.values()))
            self._notices.append(
                f"Of {count} people nobody has {names}: not used, misspelt, or not readable for the account."
            )
