# SPDX-License-Identifier: GPL-3.0-or-later
"""Announces the server in the local network, in a thread with a loop of its own: zeroconf is asyncio's, the server Twisted's."""

import asyncio
import logging
import threading
from typing import Final

import msgspec

from p2p.mdns import FAREWELL_TIMEOUT_S, Announced, Announcer

log = logging.getLogger("lanyard.announce")

STOP_TIMEOUT_S: Final = FAREWELL_TIMEOUT_S + 2.0
"""For the farewell and for closing the sockets."""


class Announcement:
    """One server announced from ``start`` to ``stop``."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="announcement", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = self._loop.create_task(self._announcer.run())
        self._thread.start()

    def rename(self, organisation: str) -> None:
        """Announce another name from now on; the network hears of it within seconds."""
        announced = self._announcer.announced
        self._announcer.announced = msgspec.structs.replace(announced, organisation=organisation)

    def stop(self) -> None:
        """Say farewell. Blocks for a second as a rule, STOP_TIMEOUT_S at most: call it in a thread."""
        if self._task is None:
            self._loop.close()
            return
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            log.warning("the announcement did not end in %.0f s and is left behind", STOP_TIMEOUT_S)

    def _run(self) -> None:
        task = self._task
        if task is None:
            return
        try:
            self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("the server is not announced any more")
        finally:
            self._loop.close()


def announcement(
    organisation: str,
    organisation_id: bytes,
    port: int,
    version: int,
    addresses: tuple[str, ...] = (),
) -> Announcement:
    """An announcement for a server that listens on these addresses; on all of the machine's when there are none."""
    announced = Announced(organisation, organisation_id, port, version)
    if not addresses:
        return Announcement(Announcer(announced))
    return Announcement(
        Announcer(announced, interfaces=addresses, list_addresses=lambda: list(addresses))
    )
