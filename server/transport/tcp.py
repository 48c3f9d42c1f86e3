# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's port: accepts connections within the guard's limits and keeps count of them until they are gone."""

import errno
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from server.transport.guard import Guard, Notices
from server.transport.link import Link
from server.transport.poll import READABLE, Poll
from server.transport.tls import ServerTls
from server.transport.wires import Receiver, Stage, Wires

log = logging.getLogger("lanyard.transport")

HANDSHAKE_TIMEOUT_S: Final = 10.0
"""From the first packet to the end of the handshake: three lost packets on a bad line; what takes longer is not a client."""
CLOSING_TIMEOUT_S: Final = 5.0
"""For the peer to take the last bytes and close; then the connection is reset."""
ACCEPT_PAUSE_S: Final = 1.0
"""Without descriptors or memory: the waiting connection would wake us again at once, and nothing would have changed."""
_SWEEP_S: Final = 1.0
_BACKLOG: Final = 4096
"""Connections that the kernel may hold for us: a restart's first two seconds. The kernel's own limit may be lower."""
_ACCEPTED_PER_TURN: Final = 64
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListenFailed(Exception):
    """A port can't be opened. The message is a sentence for the administrator."""


class Listener:
    """All ports of the server and the connections that came in through them."""

    def __init__(
        self, reactor: Any, tls: ServerTls, guard: Guard, accept: Callable[[Link], Receiver]
    ) -> None:
        """``accept`` is asked who receives once a handshake is done; ``reactor`` is Twisted's."""
        self._reactor = reactor
        self._tls = tls
        self._guard = guard
        self._accept = accept
        self._notices = Notices()
        self._wires = Wires(Poll(reactor))
        self._doors: list[_Door] = []
        self._links: set[Link] = set()
        # Both in the order of their deadlines, because each kind has one timeout.
        self._handshakes: dict[Link, float] = {}
        self._closing: dict[Link, float] = {}
        self._sweep: Any = None

    def listen(self, addresses: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """Open ports: IPv4 or IPv6 addresses ("" is all of both kinds) and numbers (0 is any). Returns what was bound, in this
        order. Raises ListenFailed, and then none of these is open."""
        opened: list[_Door] = []
        for host, port in addresses:
            try:
                opened += self._open(host, port)
            except OSError as error:
                for door in opened:
                    door.close()
                place = f"The port {port} of {host or 'this machine'}"
                raise ListenFailed(
                    f"{place} can't be opened: {error.strerror or error}."
                ) from error
        for door in opened:
            self._wires.poll.add(door.socket.fileno(), door)
        self._doors += opened
        return [door.address for door in opened]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses and ports on which connections are accepted."""
        return [door.address for door in self._doors]

    @property
    def connections(self) -> int:
        """How many sockets are open, in whatever state."""
        return len(self._links)

    def stop_accepting(self) -> None:
        """Close the ports; connections go on."""
        doors, self._doors = self._doors, []
        for door in doors:
            self._wires.poll.remove(door.socket.fileno())
            door.close()

    def close_all(self) -> None:
        """Stop accepting and close every connection in order; what was written before still leaves."""
        self.stop_accepting()
        for link in list(self._links):
            link.close()

    def shut_down(self) -> None:
        """End everything at once. The listener can't be used any more."""
        self.stop_accepting()
        for link in list(self._links):
            link.abort()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._wires.poll.close()

    # Accepting

    def _open(self, host: str, port: int) -> list["_Door"]:
        if host:
            return [_Door(self, host, port)]
        first = _Door(self, "0.0.0.0", port)  # noqa: S104  all addresses is what was asked for
        try:
            return [first, _Door(self, "::", first.address[1])]
        except OSError as error:
            if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # no IPv6 on this machine
                return [first]
            first.close()
            raise

    def accepted(self, connected: socket.socket, address: str) -> None:
        """A connection was made: admit it or close it."""
        now = self._reactor.seconds()
        refusal = self._guard.admit(address, now)
        if refusal is not None:
            connected.close()
            self._notices.warn("refused", f"refused a connection of {address}: {refusal}", now)
            return
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self._wires, connected, address, self._tls.context, self)
        except OSError as error:
            connected.close()
            self._guard.left(address, was_signed_in=False)
            self._notices.warn("accept", f"lost a connection of {address}: {error}", now)
            return
        self._links.add(link)
        self._handshakes[link] = now + HANDSHAKE_TIMEOUT_S
        self._sweep_soon()

    def out_of_resources(self, door: "_Door", error: OSError) -> None:
        """The kernel has no room for a connection: let it wait."""
        line = (
            f"can't accept connections: {error.strerror}; {self.connections} are open. "
            "If this lasts, raise the limit of open files (LimitNOFILE=)."
        )
        self._notices.warn("resources", line, self._reactor.seconds())
        self._wires.poll.change(door.socket.fileno(), 0)
        self._reactor.callLater(ACCEPT_PAUSE_S, self._accept_again, door)

    def _accept_again(self, door: "_Door") -> None:
        if door in self._doors:
            self._wires.poll.change(door.socket.fileno(), READABLE)

    # What links report

    def opened(self, link: Link) -> Receiver:
        """The handshake is done."""
        self._handshakes.pop(link, None)
        return self._accept(link)

    def not_opened(self, link: Link, reason: str) -> None:
        """The handshake failed."""
        line = f"the handshake with {link.address} failed: {reason}"
        self._notices.warn("handshake", line, self._reactor.seconds())

    def signed_in(self, link: Link) -> None:
        """The session behind the link is signed in."""
        self._guard.signed_in(link.address)

    def closing(self, link: Link) -> None:
        """The link has a few seconds to end."""
        self._handshakes.pop(link, None)
        self._closing[link] = self._reactor.seconds() + CLOSING_TIMEOUT_S
        self._sweep_soon()

    def gone(self, link: Link) -> None:
        """The socket is closed."""
        self._links.discard(link)
        self._handshakes.pop(link, None)
        self._closing.pop(link, None)
        self._guard.left(link.address, was_signed_in=link.is_signed_in)

    # Deadlines

    def _sweep_soon(self) -> None:
        if self._sweep is None:
            self._sweep = self._reactor.callLater(_SWEEP_S, self._end_what_is_overdue)

    def _end_what_is_overdue(self) -> None:
        self._sweep = None
        now = self._reactor.seconds()
        for deadlines in (self._handshakes, self._closing):
            for link in [link for link, deadline in deadlines.items() if deadline <= now]:
                if link.stage is Stage.HANDSHAKE:
                    line = f"{link.address} did not finish its handshake in {HANDSHAKE_TIMEOUT_S:.0f} s"
                    self._notices.warn("slow", line, now)
                link.abort("took too long")
        if self._handshakes or self._closing:
            self._sweep_soon()


class _Door:
    """One listening socket."""

    def __init__(self, listener: Listener, host: str, port: int) -> None:
        """Raises OSError."""
        self._listener = listener
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # IPv4 has a socket of its own
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.bind((host, port))
            self.socket.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            self.socket.close()
            if isinstance(error, OverflowError):
                raise OSError(errno.EINVAL, f"{port} is not the number of a port") from error
            raise
        self.address: tuple[str, int] = self.socket.getsockname()[:2]

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()

    def ready(self, mask: int) -> None:
        """Connections wait."""
        for _ in range(_ACCEPTED_PER_TURN):
            try:
                connected, peer = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._listener.out_of_resources(self, error)
                    return
                continue  # the peer is gone already (accept(2): treat as if it had not come)
            self._listener.accepted(connected, peer[0])
