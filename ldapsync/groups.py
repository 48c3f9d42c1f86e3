# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of the directory: their entries, and who belongs to them once nested groups, logins and primary groups are resolved."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from ldapsync import values
from ldapsync.answers import Entry
from ldapsync.config import DirectoryConfig
from ldapsync.names import NameInvalid, last_value, normal
from ldapsync.people import Found
from ldapsync.picks import Pick
from ldapsync.wanted import Anchor, SetAside

LOGINS: Final = "memberuid"
"""The attribute of posixGroup whose values are logins, not DNs (RFC 2307)."""
SID: Final = "objectSid"


class Group(Struct, frozen=True, gc=False):
    """One group as its entry says it; DNs in normal form."""

    anchor: Anchor
    dn: str
    key: str
    name: str
    members: tuple[str, ...]
    logins: tuple[str, ...]
    rid: int
    """By which people name it as their primary group; 0: they don't."""


class Groups(Struct, frozen=True, gc=False):
    """All groups of a source, and what becomes of which."""

    all: tuple[Group, ...] = ()
    lanyard: frozenset[Anchor] = frozenset()
    """Those that become Lanyard groups."""
    departments: frozenset[Anchor] = frozenset()
    """Those that are departments."""


class GroupRules:
    """How one directory's groups are read."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._anchor = config.groups.anchor or config.people.anchor
        self._name = Pick(config.groups.name)
        self._member = config.groups.member
        self._has_sids = self._anchor.lower() == "objectguid"

    @property
    def attributes(self) -> list[str]:
        """What has to be asked for."""
        sid = [SID] if self._has_sids else []
        return [self._anchor, *self._name.attributes, *self._member, *sid]

    @property
    def anchor(self) -> str:
        """The attribute with the immutable id."""
        return self._anchor

    def take(self, entry: Entry, whole: Callable[[Entry, str], list[bytes]]) -> Group | SetAside:
        """The group; ``whole`` fetches values that come in ranges. What it raises goes through."""
        octets = entry.attributes.get(self._anchor.lower(), [])
        anchor = values.anchor_of(self._anchor, octets[0]) if len(octets) == 1 else None
        if anchor is None or entry.is_oversized:
            return SetAside(
                entry.dn,
                "The group is too large to be read."
                if entry.is_oversized
                else f"The group has no {self._anchor}, by which it would be known for good.",
                "Split it."
                if entry.is_oversized
                else f"See whether the account that reads may read {self._anchor} of groups, or set groups.anchor.",
                anchor,
            )
        try:
            key = normal(entry.dn)
        except NameInvalid as error:
            return SetAside(entry.dn, f"Its DN can't be understood: {error}", "Rename it.", anchor)
        sid = entry.attributes.get(SID.lower(), [b""])[0]
        return Group(
            anchor=anchor,
            dn=entry.dn,
            key=key,
            name=self._name.of(entry.attributes) or values.text_of(last_value(entry.dn).encode()),
            members=self._members_of(entry, whole),
            logins=self._logins_of(entry, whole),
            rid=values.rid_of(sid) if sid else 0,
        )

    def _members_of(
        self, entry: Entry, whole: Callable[[Entry, str], list[bytes]]
    ) -> tuple[str, ...]:
        keys = []
        for attribute in self._member:
            if attribute.lower() != LOGINS:
                for octets in whole(entry, attribute):
                    text = octets.decode("utf-8", "replace")
                    try:
                        keys.append(normal(text))
                    except NameInvalid:
                        keys.append(text)  # counted as a member that is not found
        return tuple(dict.fromkeys(keys))

    def _logins_of(
        self, entry: Entry, whole: Callable[[Entry, str], list[bytes]]
    ) -> tuple[str, ...]:
        if LOGINS not in map(str.lower, self._member):
            return ()
        return tuple(values.fold(values.text_of(octets)) for octets in whole(entry, LOGINS))


class Members(Struct, frozen=True, gc=False):
    """Who belongs to a group, directly or through others."""

    people: frozenset[Anchor]
    strangers: tuple[str, ...]
    """Members that are neither people nor groups of what was read."""
    circle: tuple[str, ...]
    """DNs of groups that contain themselves through others."""


class Membership:
    """Resolves groups over all that was read."""

    def __init__(self, groups: Iterable[Group], people: Mapping[Anchor, Found]) -> None:
        self.groups = {group.key: group for group in groups}
        self._by_key: dict[str, Anchor] = {}
        self._by_uid: dict[str, Anchor] = {}
        self._by_primary: dict[int, list[Anchor]] = {}
        for found in people.values() if self.groups else ():
            self._by_key[found.key] = found.anchor
            if found.uid:
                self._by_uid[found.uid] = found.anchor
            if found.primary_group:
                self._by_primary.setdefault(found.primary_group, []).append(found.anchor)

    def direct(self, group: Group) -> set[Anchor]:
        """People whom the group itself names."""
        people = {self._by_key[key] for key in group.members if key in self._by_key}
        people |= {self._by_uid[uid] for uid in group.logins if uid in self._by_uid}
        return people | set(self._by_primary.get(group.rid, ()) if group.rid else ())

    def of(self, group: Group) -> Members:
        """Everybody in the group; a group that contains itself is entered once."""
        people: set[Anchor] = set()
        strangers: list[str] = []
        circle: list[str] = []
        entered = {group.key}
        above = [(group.key, iter(group.members))]
        people |= self.direct(group)
        strangers += self._strangers(group)
        while above:
            key = next((each for each in above[-1][1] if each in self.groups), None)
            if key is None:
                above.pop()
            elif any(key == each for each, _ in above):
                circle.append(self.groups[key].dn)
            elif key not in entered:
                entered.add(key)
                nested = self.groups[key]
                people |= self.direct(nested)
                strangers += self._strangers(nested)
                above.append((key, iter(nested.members)))
        return Members(frozenset(people), tuple(strangers), tuple(circle))

    def _strangers(self, group: Group) -> list[str]:
        return [
            key
            for key in group.members
            if key and key not in self._by_key and key not in self.groups
        ]
