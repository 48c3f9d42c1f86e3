# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for thousands of sockets at once: one epoll of our own that Twisted's reactor sees as a single reader.

Theory: an epoll descriptor is itself readable while one of its sockets is ready. So the reactor wakes us once, and one *turn*
asks for all ready sockets, lets each read and its receiver work, and only then sends what was written meanwhile, once for each
connection. Twisted's own path costs two epoll_ctl calls and a logging context for every event. What is written outside of a turn
(by a timer, or when the store reports) is sent in a turn of its own as soon as the reactor gets to it.
"""

import select
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT

EVENTS_PER_TURN: Final = 128
"""Ready sockets served before anything else gets its chance: about 3 ms of work for messages, little for the timers to wait."""
HANDSHAKES_PER_TURN: Final = 4
"""A handshake costs as much as 20 messages (0.6 ms); a storm of them must not stand between the messages of others."""


class Ready(Protocol):
    """What is polled: a connection or a listening socket. Must not raise."""

    def ready(self, mask: int) -> None:
        """The socket can be read or written, or has failed."""


class Unsent(Protocol):
    """A connection that was written to in this turn. Must not raise."""

    def send_written(self) -> None:
        """Hand what was written to the kernel."""


@implementer(IReadDescriptor)
class Poll:
    """All sockets of the server's port; belongs to the reactor's thread."""

    def __init__(self, reactor: Any) -> None:
        """Start polling. ``reactor`` is Twisted's, of any kind that takes readers."""
        self._reactor = reactor
        self._epoll = select.epoll()
        self._polled: dict[int, Ready] = {}
        self._written: list[Unsent] = []
        self._afterwards: list[Callable[[], None]] = []
        self._is_turning = False
        self._is_turn_due = False
        self.handshakes_left = HANDSHAKES_PER_TURN
        """How many handshakes may still take a step in this turn."""
        reactor.addReader(self)

    def add(self, descriptor: int, what: Ready, mask: int = READABLE) -> None:
        """Poll a socket. Raises OSError when the kernel has no room."""
        self._epoll.register(descriptor, mask)
        self._polled[descriptor] = what

    def change(self, descriptor: int, mask: int) -> None:
        """Wait for something else on a socket; 0 is nothing but its failure."""
        self._epoll.modify(descriptor, mask)

    def remove(self, descriptor: int) -> None:
        """Forget a socket, before it is closed."""
        del self._polled[descriptor]
        self._epoll.unregister(descriptor)

    def send_later(self, link: Unsent) -> None:
        """Call ``send_written`` at the end of this turn."""
        self._written.append(link)
        if not (self._is_turning or self._is_turn_due):
            self._take_turn_soon()

    def call_later(self, function: Callable[[], None]) -> None:
        """Call a function at the end of this turn: for what must not happen inside of what causes it. Must not raise."""
        self._afterwards.append(function)
        if not (self._is_turning or self._is_turn_due):
            self._take_turn_soon()

    def close(self) -> None:
        """Stop polling; the sockets themselves are their owners'."""
        self._reactor.removeReader(self)
        self._epoll.close()
        self._polled.clear()

    def _take_turn_soon(self) -> None:
        self._is_turn_due = True
        self._reactor.callLater(0, self._end_turn)

    def _end_turn(self) -> None:
        self._is_turn_due = False
        self._is_turning = True
        while self._written or self._afterwards:
            written, self._written = self._written, []
            for link in written:
                link.send_written()
            afterwards, self._afterwards = self._afterwards, []
            for function in afterwards:
                function()
        self._is_turning = False

    # What Twisted calls

    def fileno(self) -> int:
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "transport"

    def doRead(self) -> None:
        """One turn."""
        self._is_turning = True
        self.handshakes_left = HANDSHAKES_PER_TURN
        polled = self._polled
        for descriptor, mask in self._epoll.poll(0, EVENTS_PER_TURN):
            # Gone: closed earlier in this turn. A new socket under the old number finds nothing to read.
            what = polled.get(descriptor)
            if what is not None:
                what.ready(mask)
        self._end_turn()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops; the owners of the sockets close them."""
