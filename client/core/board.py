# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the status tree and publishes each new state of it."""

import asyncio
from typing import Any

from client.core.events import StatusChanged
from client.core.feed import Feed
from client.core.status import Connection, Phase, Status


class Board:
    """The one place where the status is changed."""

    def __init__(self, feed: Feed) -> None:
        self.status = Status()
        self._feed = feed
        self._changed = asyncio.Event()

    def set(self, **changes: Any) -> None:
        """Replace parts of the tree; publishes when something differs."""
        status = self.status.evolve(**changes)
        if status != self.status:
            self.status = status
            self._feed.publish(StatusChanged(status))
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def enter(self, phase: Phase, **facts: Any) -> None:
        """The connection is in a new phase; facts that are not given fall back to their defaults, the server's name stays."""
        facts.setdefault("server", self.status.connection.server)
        now = asyncio.get_running_loop().time()
        self.set(connection=Connection(phase, now, **facts))

    async def next_change(self) -> Status:
        """The next state of the tree."""
        await self._changed.wait()
        return self.status
