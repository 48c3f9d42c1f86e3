# SPDX-License-Identifier: GPL-3.0-or-later
"""Which messages were shown lately, so that a person can name one by the short id beside it. Holds ids, never texts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from client.cli.records.record import short_id
from protocol.ids import format_id, parse_id

FILE_NAME: Final = "shown-messages"
MOST: Final = 4_000
"""Ids that are remembered: some weeks of reading, and little enough that eight digits tell them apart."""
SHORTEST_PART: Final = 4
"""Digits of an id that a person has to give at least."""


class Shown:
    """The last MOST ids, in a file of the profile: one a line, the newest last."""

    def __init__(self, profile: Path) -> None:
        self._file = profile / FILE_NAME
        self._ids: dict[str, None] = {}
        try:
            lines = self._file.read_text("ascii").split()
        except (OSError, UnicodeDecodeError):  # nothing was shown yet; damaged: as good as nothing
            lines = []
        self._ids.update(dict.fromkeys(lines[-MOST:]))
        if len(lines) > 2 * MOST:
            self._rewrite()

    def add(self, ids: Iterable[str]) -> None:
        """Remember ids that are being shown."""
        fresh = [one for one in dict.fromkeys(ids) if one not in self._ids]
        if not fresh:
            return
        self._ids.update(dict.fromkeys(fresh))
        try:
            self._file.touch(mode=0o600)
            with self._file.open("a", encoding="ascii") as file:
                file.writelines(f"{one}\n" for one in fresh)
        except OSError:  # a full disk: the ids hold for this process
            return

    def find(self, part: str) -> list[bytes]:
        """The ids that end or begin with these digits; a whole id is always itself. Newest first."""
        try:
            return [parse_id(part)]
        except ValueError:
            digits = part.replace("-", "").casefold()
        if len(digits) < SHORTEST_PART:
            return []
        bare = ((one, one.replace("-", "")) for one in reversed(self._ids))
        return [
            parse_id(one)
            for one, whole in bare
            if whole.endswith(digits) or whole.startswith(digits)
        ]

    def _rewrite(self) -> None:
        fresh = self._file.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_text("".join(f"{one}\n" for one in self._ids), "ascii")
            fresh.replace(self._file)
        except OSError:  # it stays long until the disk has room
            return


def short(message: bytes) -> str:
    """The short id of a message."""
    return short_id(format_id(message))
