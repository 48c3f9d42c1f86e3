# SPDX-License-Identifier: GPL-3.0-or-later
"""When and where devices were seen last: gathered in memory, written every few seconds. A crash loses these seconds, no more."""

from typing import Final

from protocol.ids import DeviceId
from server.services.clock import Cancel, Clock
from server.services.doors import Spawn, StoreDoor
from server.store import devices as store
from server.store.devices import Sighting

WRITE_EVERY_S: Final = 5.0
"""At nine o'clock thousands return within minutes; one transaction each would be as dear as a message each."""


class Sightings:
    """Devices that came or left and were not written yet; at most one entry for each device."""

    def __init__(self, clock: Clock, run: StoreDoor, spawn: Spawn) -> None:
        self._clock = clock
        self._run = run
        self._spawn = spawn
        self._waiting: dict[tuple[int, DeviceId], Sighting] = {}
        self._timer: Cancel | None = None

    def add(self, sighting: Sighting) -> None:
        """Note a device; the later sighting counts."""
        self._waiting[sighting.key, sighting.device] = sighting
        if self._timer is None:
            self._timer = self._clock.call_later(WRITE_EVERY_S, self._due)

    async def write(self) -> None:
        """Write what is waiting now; also before the end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            sightings = tuple(self._waiting.values())
            self._waiting.clear()
            await self._run(store.note_sightings, sightings)

    def _due(self) -> None:
        self._timer = None
        self._spawn(self.write())
