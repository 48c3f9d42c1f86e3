# SPDX-License-Identifier: GPL-3.0-or-later
"""A change in a directory, and what kind of entries it is about."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from ldapsync import values
from ldapsync.answers import Entry
from ldapsync.config import DepartmentSource, DirectoryConfig, Scope
from ldapsync.directory import Directory
from ldapsync.names import all_of, any_of, equals
from ldapsync.people import PersonRules
from ldapsync.questions import Depth
from ldapsync.wanted import Anchor

_ASKED_AT_ONCE: Final = 50
"""Ids in one question."""
MAX_CHANGED: Final = 1000
"""Entries that change at once beyond which a full read is the quicker answer."""


class Change(Struct, frozen=True):
    """Something changed."""

    people: tuple[Entry, ...] = ()
    """People who are new or changed, whole."""
    gone: frozenset[Anchor] = frozenset()
    """Ids of entries that went or don't match any more; those nobody knew are among them."""
    has_groups: bool = False
    """Groups changed."""
    is_full: bool = False
    """Only a full read tells what it means, as when a unit is renamed and everybody below with it."""


class Follower(Protocol):
    """Notices what changes in one directory."""

    @property
    def marks(self) -> Mapping[str, bytes]:
        """How far it has come: what to give to the next one."""

    def wait(self, timeout_s: float) -> Change | None:
        """The next change; None when there is none in time. Raises DirectoryError, and is of no more use then."""

    def close(self) -> None:
        """Hang up."""


class Sorter:
    """Tells of changed entries what they are, by asking the directory once more: it knows its own rules for filters."""

    def __init__(self, config: DirectoryConfig, directory: Directory, id_attribute: str) -> None:
        self._config = config
        self._directory = directory
        self._id = id_attribute
        self._attributes = [*PersonRules(config).attributes, id_attribute]

    def change(self, changed: Collection[Anchor], gone: Collection[Anchor] = ()) -> Change | None:
        """The change that these ids amount to; None when there are none. Raises ReadFailed and Unreachable."""
        if not changed and not gone:
            return None
        is_foreign = self._id.lower() != self._config.people.anchor.lower()
        if len(changed) + len(gone) > MAX_CHANGED or (gone and is_foreign):
            return Change(is_full=True)
        if self._are_any(changed, self._config.unit_bases, self._unit_filter()):
            return Change(is_full=True)
        people = list(self.people(changed))
        left = set(changed) - {self._id_of(entry) for entry in people}
        has_groups = self._are_any(left, self._group_bases(), self._config.groups.kinds)
        if left and is_foreign and not has_groups:
            return Change(is_full=True)
        return Change(tuple(people), frozenset(left) | frozenset(gone), has_groups)

    def people(self, anchors: Iterable[Anchor]) -> Iterable[Entry]:
        """Those of the ids who are people by the configuration."""
        for base in self._config.people_bases:
            is_flat = self._config.people.scope is Scope.ONE_LEVEL
            depth = Depth.CHILDREN if is_flat else Depth.SUBTREE
            yield from self._asked(
                anchors, base, self._config.people.filter, self._attributes, depth
            )

    def _unit_filter(self) -> str:
        is_tree = DepartmentSource.OU_TREE in self._config.departments.sources
        return self._config.departments.filter if is_tree else ""

    def _group_bases(self) -> tuple[str, ...]:
        departments = self._config.departments
        return tuple(dict.fromkeys((*self._config.group_bases, *departments.group_bases)))

    def _are_any(self, anchors: Iterable[Anchor], bases: Iterable[str], search_filter: str) -> bool:
        return bool(search_filter) and any(
            True for base in bases for _ in self._asked(anchors, base, search_filter, ["1.1"])
        )

    def _asked(
        self,
        anchors: Iterable[Anchor],
        base: str,
        search_filter: str,
        attributes: list[str],
        depth: Depth = Depth.SUBTREE,
    ) -> Iterable[Entry]:
        ids = list(anchors)
        for at in range(0, len(ids), _ASKED_AT_ONCE):
            some = [values.anchor_octets(self._id, each) for each in ids[at : at + _ASKED_AT_ONCE]]
            asked = all_of(search_filter, any_of(*(equals(self._id, each) for each in some)))
            yield from self._directory.search(base, asked, attributes, depth=depth)

    def _id_of(self, entry: Entry) -> Anchor | None:
        octets = entry.attributes.get(self._id.lower(), [b""])[0]
        return values.anchor_of(self._id, octets)
