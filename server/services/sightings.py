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
    """Devices that came or left and were not written yet; at most one entry of each kind for each device."""

    def __init__(self, clock: Clock, run: StoreDoor, spawn: Spawn) -> None:
        self._clock = clock
        self._run = run
        self._spawn = spawn
        self._arrived: dict[tuple[int, DeviceId], Sighting] = {}
        self._left: dict[tuple[int, DeviceId], int] = {}
        self._timer: Cancel | None = None

    def arrived(self, sighting: Sighting) -> None:
        """A device came back; of two sightings the later counts."""
        self._arrived[sighting.key, sighting.device] = sighting
        self._write_soon()

    def left(self, key: int, device: DeviceId) -> None:
        """A session of the device of the person with this key ended."""
        self._left[key, device] = self._clock.now_ms()
        self._write_soon()

    async def write(self) -> None:
        """Write what is waiting now; also before the end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._arrived:
            arrived = tuple(self._arrived.values())
            self._arrived.clear()
            await self._run(store.note_sightings, arrived)
        if self._left:
            left = tuple((key, device, at_ms) for (key, device), at_ms in self._left.items())
            self._left.clear()
            await self._run(store.note_departures, left)

    def _write_soon(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(WRITE_EVERY_S, self._due)

    def _due(self) -> None:
        self._timer = None
        self._spawn(self.write())
