# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program tells systemd about itself (sd_notify(3)): one datagram for each state. Silent where nobody asked."""

import logging
import socket
import time
from collections.abc import Mapping
from typing import Final

log = logging.getLogger("lanyard.notify")

_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Tells the service manager how the server is."""

    def __init__(self, environment: Mapping[str, str], process_id: int) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # an abstract socket, unix(7)
        self.watchdog_interval_s = _watchdog_interval(environment, process_id)
        """How often ``alive`` is to be said; None: nobody watches."""

    def ready(self, status: str) -> None:
        """The server takes connections."""
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; ``ready`` follows."""
        # CLOCK_MONOTONIC is asked for by systemd's Type=notify-reload.
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The server drains and will end."""
        self._say("STOPPING=1", "STATUS=Sending everybody home.")

    def alive(self) -> None:
        """The reactor still turns."""
        self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as link:
                link.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.info("systemd could not be told: %s", error)


def _watchdog_interval(environment: Mapping[str, str], process_id: int) -> float | None:
    """Half of what systemd waits for, as sd_watchdog_enabled(3) advises."""
    text = environment.get("WATCHDOG_USEC", "")
    wanted = environment.get("WATCHDOG_PID", str(process_id))
    if not text.isdigit() or wanted != str(process_id) or int(text) == 0:
        return None
    return int(text) / _MICROSECONDS / 2
