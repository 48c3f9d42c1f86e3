# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells clients that the directory has moved: the first change at once, more of them together."""

from typing import Final

from protocol.messages.people import DirectoryMoved
from server.services.audience import Audience
from server.services.clock import Clock
from server.services.people import Change, Directory

QUIET_S: Final = 5.0
"""After telling everybody, further changes wait so long: an import of ten requests is one piece of news, not ten times
everybody's question what changed."""


class DirectoryNews:
    """Listens to the directory and pushes DirectoryMoved to every session."""

    def __init__(self, directory: Directory, audience: Audience, clock: Clock) -> None:
        self._directory = directory
        self._audience = audience
        self._clock = clock
        self._told = directory.version
        self._is_quiet = False
        directory.on_change(self._changed)

    def _changed(self, _: Change) -> None:
        if not self._is_quiet:
            self._tell()

    def _tell(self) -> None:
        self._is_quiet = True
        self._told = self._directory.version
        self._audience.push_to_all(DirectoryMoved(self._told))
        self._clock.call_later(QUIET_S, self._quiet_ends)

    def _quiet_ends(self) -> None:
        self._is_quiet = False
        if self._directory.version != self._told:
            self._tell()
