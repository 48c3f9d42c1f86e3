# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an account sees what is there. Directories leave out in silence what may not be read; some tell by other signs."""

import enum
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from ldapsync import values
from ldapsync.config import DirectoryConfig
from ldapsync.departments import UnitTree
from ldapsync.directory import Directory
from ldapsync.failures import ReadFailed
from ldapsync.names import all_of, any_of, equals, is_below, normal, parent
from ldapsync.people import Found, place_of
from ldapsync.questions import Depth
from ldapsync.wanted import Anchor

_ASKED_AT_ONCE: Final = 50
"""Ids in one question."""
_NAMED: Final = 5
"""Units named in an error."""


def demand_sight(directory: Directory, tree: UnitTree, people: Iterable[Found]) -> None:
    """Raise ReadFailed when units say that something is below them, and nothing of it may be seen.

    Units that were left out by configuration don't count: so one says that it is meant.
    """
    seen = {place_of(found) for found in people} | {parent(key) for key in tree.units}
    doubtful = [unit for unit in tree.units.values() if unit.has_entries and unit.key not in seen]
    hidden = [unit.dn for unit in doubtful if not _has_visible_children(directory, unit.dn)]
    if hidden:
        more = f" and {len(hidden) - _NAMED} more" if len(hidden) > _NAMED else ""
        raise ReadFailed(
            f"{len(hidden)} units have entries below them of which the account may see none:"
            f" {'; '.join(sorted(hidden)[:_NAMED])}{more}. Give the account the right to read them, or name them in"
            " departments.leave_out."
        )


def _has_visible_children(directory: Directory, dn: str) -> bool:
    return any(
        True
        for _ in directory.search(
            dn, "(objectClass=*)", ["1.1"], depth=Depth.CHILDREN, page_size=10
        )
    )


class Sight(enum.StrEnum):
    """Where somebody is who is missing from a reading."""

    GONE = "gone"
    OUTSIDE = "outside"
    FILTERED = "filtered"
    PRESENT = "present"


class Whereabouts(Struct, frozen=True):
    """What became of an entry."""

    sight: Sight
    sentence: str
    dn: str = ""


def whereabouts(
    directory: Directory, config: DirectoryConfig, anchors: Iterable[Anchor]
) -> dict[Anchor, Whereabouts]:
    """Ask for people by their ids, wherever they are now. PRESENT is somebody whom the reading should have had: read again.

    Raises ReadFailed and Unreachable.
    """
    wanted = list(anchors)
    found: dict[Anchor, Whereabouts] = {}
    for at in range(0, len(wanted), _ASKED_AT_ONCE):
        some = wanted[at : at + _ASKED_AT_ONCE]
        everywhere = _ask(directory, config, some, config.base, "")
        matching: set[Anchor] = set()
        for base in config.people_bases:
            matching |= _ask(directory, config, list(everywhere), base, config.people.filter).keys()
        for anchor, dn in everywhere.items():
            found[anchor] = _about(config, dn, is_matching=anchor in matching)
    gone = Whereabouts(Sight.GONE, f"is not below {config.base} any more, or may not be seen")
    return {anchor: found.get(anchor, gone) for anchor in wanted}


def _ask(
    directory: Directory,
    config: DirectoryConfig,
    anchors: list[Anchor],
    base: str,
    search_filter: str,
) -> dict[Anchor, str]:
    """By id the DN of those that are below a base and match a filter."""
    if not anchors:
        return {}
    name = config.people.anchor
    asked = any_of(*(equals(name, values.anchor_octets(name, anchor)) for anchor in anchors))
    if search_filter:
        asked = all_of(search_filter, asked)
    there: dict[Anchor, str] = {}
    for entry in directory.search(base, asked, [name], page_size=config.page_size):
        octets = entry.attributes.get(name.lower(), [b""])[0]
        if (anchor := values.anchor_of(name, octets)) is not None:
            there[anchor] = entry.dn
    return there


def _about(config: DirectoryConfig, dn: str, *, is_matching: bool) -> Whereabouts:
    key = normal(dn)
    if not any(is_below(key, normal(base)) for base in config.people_bases):
        bases = ", ".join(config.people_bases)
        return Whereabouts(Sight.OUTSIDE, f"now stands as {dn}, outside of {bases}", dn)
    if not is_matching:
        return Whereabouts(
            Sight.FILTERED,
            f"is still there as {dn}, but no longer matches {config.people.filter}",
            dn,
        )
    return Whereabouts(Sight.PRESENT, f"is there as {dn}", dn)
