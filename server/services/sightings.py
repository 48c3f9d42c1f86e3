# SPDX-License-Identifier: GPL-3.0-or-later
"""When and where devices were seen last: gathered in memory, written every few seconds. A crash loses these seconds, no more."""

import logging
from typing import Final

from protocol.ids import DeviceId
from server.services.clock import Cancel, Clock
from server.services.doors import Spawn, StoreDoor
from server.store import devices as store
from server.store.devices import Sighting
from server.store.errors import StoreError

log = logging.getLogger("lanyard.services")

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
        self._is_failing = False

    def arrived(self, sighting: Sighting) -> None:
        """A device came back; of two sightings the later counts."""
        self._arrived[sighting.key, sighting.device] = sighting
        self._write_soon()

    def left(self, key: int, device: DeviceId) -> None:
        """A session of the device of the person with this key ended."""
        self._left[key, device] = self._clock.now_ms()
        self._write_soon()

    async def write(self) -> None:
        """Write what is waiting now; also before the end. Raises StoreError, and then it goes on waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        arrived, self._arrived = self._arrived, {}
        left, self._left = self._left, {}
        try:
            if arrived:
                await self._run(store.note_sightings, tuple(arrived.values()))
            if left:
                departures = tuple((key, device, at_ms) for (key, device), at_ms in left.items())
                await self._run(store.note_departures, departures)
        except StoreError:
            # What came meanwhile is later. To write the same twice does no harm.
            self._arrived = arrived | self._arrived
            self._left = left | self._left
            raise

    def _write_soon(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(WRITE_EVERY_S, self._due)

    def _due(self) -> None:
        self._timer = None
        self._spawn(self._write_in_time())

    async def _write_in_time(self) -> None:
        try:
            await self.write()
            self._is_failing = False
        except StoreError as error:
            if not self._is_failing:
                log.warning("sightings of devices wait for the store: %s", error)
            self._is_failing = True
            self._write_soon()
