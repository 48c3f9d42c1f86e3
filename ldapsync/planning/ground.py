# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of one plan look at, and what they find out for each other: which entry is which record. Pure."""

from collections.abc import Callable

from ldapsync.actions import Decisions
from ldapsync.current import Current
from ldapsync.wanted import Anchor, SetAside, Wanted
from protocol.ids import DepartmentId, UserId


class Ground:
    """One reading, one copy of the server's directory, and what is known so far of how they belong together."""

    def __init__(
        self,
        wanted: Wanted,
        current: Current,
        decisions: Decisions,
        new_id: Callable[[], bytes],
    ) -> None:
        self.wanted = wanted
        self.current = current
        self.decisions = decisions
        self.new_id = new_id
        self.department_ids: dict[Anchor, DepartmentId] = {}
        """Departments that there will be."""
        self.user_ids: dict[Anchor, UserId] = {}
        """People of this source who are or will be at the server."""
        self.new_anchors: dict[bytes, Anchor] = {}
        """Records that get their id by this plan."""
        self.kept: set[UserId] = set()
        """People who stay as they are because their entry can't be used."""
        self.missing: set[UserId] = set()
        """People of this source of whom the directory says nothing any more."""
        self.set_aside: list[SetAside] = list(wanted.set_aside)
        self.notices: list[str] = list(wanted.notices)

    def number(self, anchor: Anchor) -> bytes:
        """An id for a record that is new."""
        id = self.new_id()
        self.new_anchors[id] = anchor
        return id
