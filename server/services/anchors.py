# SPDX-License-Identifier: GPL-3.0-or-later
"""Which record is which entry of a foreign directory: no two people, departments or groups are the same one. Pure."""

from protocol.errors import ErrorCode, RequestRefused
from server.services.organisation import DepartmentEntry, GroupEntry, OrgTree, PersonEntry

_Entry = PersonEntry | DepartmentEntry | GroupEntry


class Anchors:
    """The anchors of an org tree. They are gathered when the first is claimed: most changes have none."""

    def __init__(self, tree: OrgTree) -> None:
        self._tree = tree
        self._owners: dict[tuple[str, str, str], bytes] | None = None

    def claim(self, new: _Entry, old: _Entry | None) -> None:
        """Have the record's anchor instead of what it had. Raises RequestRefused when it is another's."""
        if not new.anchor and (old is None or not old.anchor):
            return
        if old is not None and _place(old) == _place(new):
            return
        owners = self._gathered()
        if old is not None and old.anchor:
            owners.pop(_place(old), None)
        if new.anchor and owners.setdefault(_place(new), _id(new)) != _id(new):
            raise RequestRefused(
                ErrorCode.CONFLICT,
                f"The anchor {new.anchor!r} belongs to another record of {new.source!r}.",
            )

    def give_up(self, entry: _Entry) -> None:
        """The record is gone; its anchor is free."""
        if entry.anchor and self._owners is not None:
            self._owners.pop(_place(entry), None)

    def _gathered(self) -> dict[tuple[str, str, str], bytes]:
        if self._owners is None:
            entries: list[_Entry] = [*self._tree.people.values()]
            entries += self._tree.departments.values()
            entries += self._tree.groups.values()
            self._owners = {_place(entry): _id(entry) for entry in entries if entry.anchor}
        return self._owners


def _place(entry: _Entry) -> tuple[str, str, str]:
    return type(entry).__name__, entry.source, entry.anchor


def _id(entry: _Entry) -> bytes:
    if isinstance(entry, PersonEntry):
        return entry.person.id
    return entry.id if isinstance(entry, GroupEntry) else entry.department.id
