# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has which login or mail address, of a hundred thousand people in little memory: nearly all of them have theirs alone."""

from collections.abc import Set as AbstractSet

from ldapsync.wanted import Anchor


class Owners:
    """People by one value that should be somebody's own."""

    def __init__(self) -> None:
        self._sole: dict[str, Anchor] = {}
        self._several: dict[str, set[Anchor]] = {}

    def of(self, value: str) -> AbstractSet[Anchor]:
        """Everybody who has the value."""
        if (several := self._several.get(value)) is not None:
            return several
        sole = self._sole.get(value)
        return frozenset() if sole is None else frozenset((sole,))

    def add(self, value: str, anchor: Anchor) -> None:
        """Somebody has the value now."""
        sole = self._sole.setdefault(value, anchor)
        if sole != anchor:
            self._several.setdefault(value, {sole}).add(anchor)

    def discard(self, value: str, anchor: Anchor) -> None:
        """Somebody no longer has the value."""
        left = self.of(value) - {anchor}
        self._sole.pop(value, None)
        self._several.pop(value, None)
        for each in left:
            self.add(value, each)
