# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect: counts and rates of connections, by address and in all. Pure bookkeeping: no sockets, ``now`` is passed in.

Theory: a connection is a stranger until its session is signed in. Strangers have few places, so that thousands of half-open
connections cost little; users have many. One address may be a whole branch office behind a NAT or a terminal server, so an
address is allowed hundreds, and only loses that privilege while places for strangers run short.
"""

import ipaddress
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

log = logging.getLogger("lanyard.transport")


@dataclass(frozen=True)
class GuardLimits:
    """How many of what. A stranger is a connection that is not signed in, from its first packet on."""

    connections: int = 12_000
    """In all: 10,000 users, some with two devices. Each takes a file descriptor and about 20 KB."""
    connections_per_address: int = 1_000
    """From one address: a branch office or a terminal server of some hundred people, each with a reconnect under way."""
    strangers: int = 2_000
    """Not signed in: after a restart everybody comes back at once, at 1,000 to 1,500 handshakes a second."""
    strangers_per_address: int = 256
    """Not signed in, from one address: that terminal server after a restart."""
    strangers_per_address_when_short: int = 16
    """The same while half of the places for strangers are taken: to take the other half, an attacker needs 60 addresses."""
    reconnect_s: float = 30.0
    """In this time an address may connect as often as it may have connections, and no more often in the long run: everybody
    behind it is back at once after a restart, and once more half a minute later; a loop of connects costs 3 % of a core."""
    remembered_addresses: int = 10_000
    """Addresses whose rate is remembered: about 2 MB. The one seen longest ago is forgotten first."""


class _Address:
    """What is known of one address."""

    __slots__ = ("at", "connections", "strangers", "tokens")

    def __init__(self, tokens: float, at: float) -> None:
        self.connections = 0
        self.strangers = 0
        self.tokens = tokens
        """How many connections it may open at once, now."""
        self.at = at
        """When that was."""


class Guard:
    """Keeps count. Every admitted connection must be reported with ``left`` in the end."""

    def __init__(self, limits: GuardLimits | None = None) -> None:
        self.limits = limits or GuardLimits()
        """May be replaced while running; connections that are open stay."""
        self.connections = 0
        self.strangers = 0
        self._addresses: dict[str, _Address] = {}
        self._quiet: OrderedDict[str, _Address] = OrderedDict()

    def admit(self, address: str, now: float) -> str | None:
        """Count a new connection in and return None, or return why it is refused; ``now`` in seconds of a steady clock."""
        limits = self.limits
        if self.connections >= limits.connections:
            return f"{self.connections} connections are open, the limit of the server"
        if self.strangers >= limits.strangers:
            return f"{self.strangers} connections are not signed in, the limit of the server"
        known = self._known(group_of(address), now)
        if known.connections >= limits.connections_per_address:
            return f"{known.connections} connections are open, the limit of an address"
        is_short = self.strangers * 2 >= limits.strangers
        allowed = (
            limits.strangers_per_address_when_short if is_short else limits.strangers_per_address
        )
        if known.strangers >= allowed:
            return f"{known.strangers} connections are not signed in, the limit of an address"
        if known.tokens < 1.0:
            rate = limits.connections_per_address
            return f"more than {rate} new connections in {limits.reconnect_s:g} s"
        known.tokens -= 1.0
        known.connections += 1
        known.strangers += 1
        self.connections += 1
        self.strangers += 1
        self._keep(group_of(address), known)
        return None

    def signed_in(self, address: str) -> None:
        """A stranger of this address is a user now."""
        self._addresses[group_of(address)].strangers -= 1
        self.strangers -= 1

    def left(self, address: str, *, was_signed_in: bool) -> None:
        """An admitted connection is gone."""
        group = group_of(address)
        known = self._addresses[group]
        self.connections -= 1
        known.connections -= 1
        if not was_signed_in:
            self.strangers -= 1
            known.strangers -= 1
        self._keep(group, known)

    def _known(self, group: str, now: float) -> _Address:
        """What is known of an address, with its allowance brought up to now."""
        limits = self.limits
        known = self._addresses.get(group) or self._quiet.get(group)
        if known is None:
            return _Address(limits.connections_per_address, now)
        allowed = limits.connections_per_address
        earned = max(0.0, now - known.at) * allowed / limits.reconnect_s
        known.tokens = min(allowed, known.tokens + earned)
        known.at = now
        return known

    def _keep(self, group: str, known: _Address) -> None:
        """Remember an address: as long as it has connections, and then until it is the oldest of too many."""
        if known.connections:
            self._quiet.pop(group, None)
            self._addresses[group] = known
            return
        self._addresses.pop(group, None)
        self._quiet[group] = known
        self._quiet.move_to_end(group)
        while len(self._quiet) > self.limits.remembered_addresses:
            self._quiet.popitem(last=False)


def group_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, of which a single machine has 2**64."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


class Notices:
    """Log lines that a peer can provoke: one of a kind in a while, with the number of those left out."""

    PAUSE_S: Final = 30.0
    """Between two lines of a kind: a flood makes 2 lines a minute."""

    def __init__(self) -> None:
        self._next_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, kind: str, line: str, now: float) -> None:
        """Log a warning. ``kind`` is one of a few words of the program's own, never anything that a peer sent."""
        if now < self._next_at.get(kind, now):
            self._left_out[kind] += 1
            return
        left_out = self._left_out.get(kind, 0)
        more = f" ({left_out} more of this kind since)" if left_out else ""
        log.warning("%s%s", line, more)
        self._next_at[kind] = now + self.PAUSE_S
        self._left_out[kind] = 0
