# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a sign-in has to wait after failures: delays that grow, for the account and the address, in bounded memory.

Theory: failures are counted in three tallies. One is for an account from an address: who guesses there soon waits a minute. One for
the account from everywhere and one for the address over all accounts stop guessing that is spread; as these hit bystanders, they
allow more and never delay long, and whoever has signed in to the account from the address before does not meet them at all.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from msgspec import Struct

from protocol.errors import ErrorCode, RequestRefused
from server.services.clock import Clock


class Leniency(Struct, frozen=True):
    """What a tally allows."""

    free: int
    """Failures without delay."""
    longest_s: float


PAIR: Final = Leniency(free=4, longest_s=60.0)
"""People mistype a few times; a minute makes a thousand guesses take most of a day."""
ACCOUNT: Final = Leniency(free=20, longest_s=10.0)
"""Guesses at one account from many addresses. A stranger can't lock the owner out for longer than this, and only on a new computer."""
ADDRESS: Final = Leniency(free=50, longest_s=10.0)
"""Guesses at many accounts from one address, which may be the gateway of a whole building with its mistypings at nine o'clock."""
FIRST_DELAY_S: Final = 1.0
"""The first delay; each further failure doubles it."""
FORGET_AFTER_S: Final = 15 * 60.0
"""A tally without a new failure for so long is forgotten."""
MAX_TALLIES: Final = 20_000
"""Of each kind, oldest forgotten first: about 5 MB. Who wants to be forgotten has to fail 20,000 times from elsewhere."""
MAX_PROVEN: Final = 100_000
"""Pairs of account and address that have signed in, oldest forgotten first: about 20 MB when full."""


class _Tally(Struct):
    failures: int = 0
    last_s: float = 0.0
    open_s: float = 0.0
    """From when on another try is let through."""


class _Tallies:
    """Tallies of one kind."""

    def __init__(self, leniency: Leniency) -> None:
        self._leniency = leniency
        self._tallies: OrderedDict[Hashable, _Tally] = OrderedDict()

    def wait_s(self, key: Hashable, now: float) -> float:
        """How long the next try has to wait."""
        tally = self._tallies.get(key)
        if tally is None:
            return 0.0
        if now - tally.last_s > FORGET_AFTER_S:
            del self._tallies[key]
            return 0.0
        return max(tally.open_s - now, 0.0)

    def add(self, key: Hashable, now: float) -> None:
        """Count a failure."""
        tally = self._tallies.setdefault(key, _Tally())
        self._tallies.move_to_end(key)
        tally.failures += 1
        tally.last_s = now
        over = tally.failures - self._leniency.free
        if over > 0:
            delay_s = FIRST_DELAY_S * 2.0 ** min(over - 1, 16)
            tally.open_s = now + min(delay_s, self._leniency.longest_s)
        if len(self._tallies) > MAX_TALLIES:
            self._tallies.popitem(last=False)

    def take_back(self, key: Hashable) -> None:
        """The last failure was none."""
        if tally := self._tallies.get(key):
            tally.failures -= 1
            tally.open_s = 0.0

    def forget(self, key: Hashable) -> None:
        """Count from nothing again."""
        self._tallies.pop(key, None)


class Throttle:
    """The delays of all sign-ins with a password."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pairs = _Tallies(PAIR)
        self._accounts = _Tallies(ACCOUNT)
        self._addresses = _Tallies(ADDRESS)
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, account: str, address: str) -> None:
        """Before a password is looked at; the account need not exist. Raises RequestRefused (SLOW_DOWN) while it must wait."""
        now = self._clock.now()
        source = _network(address)
        pair = (account, source)
        wait_s = self._pairs.wait_s(pair, now)
        if pair not in self._proven:
            wait_s = max(
                wait_s, self._accounts.wait_s(account, now), self._addresses.wait_s(source, now)
            )
        if wait_s > 0:
            raise RequestRefused(
                ErrorCode.SLOW_DOWN,
                f"Too many failed attempts to sign in; try again in {wait_s:.0f} seconds.",
                retry_after_ms=max(int(wait_s * 1000), 1),
            )
        # Counted now and taken back when it was right: many tries at once must not all slip through.
        self._pairs.add(pair, now)

    def failed(self, account: str, address: str) -> None:
        """The password was wrong, or there is no such account."""
        now = self._clock.now()
        self._accounts.add(account, now)
        self._addresses.add(_network(address), now)

    def given_up(self, account: str, address: str) -> None:
        """Nobody knows whether the password was right: the attempt does not count."""
        self._pairs.take_back((account, _network(address)))

    def succeeded(self, account: str, address: str) -> None:
        """The password was right."""
        pair = (account, _network(address))
        self._pairs.forget(pair)
        self._proven[pair] = None
        self._proven.move_to_end(pair)
        if len(self._proven) > MAX_PROVEN:
            self._proven.popitem(last=False)


def _network(address: str) -> str:
    """What counts as one address: an IPv6 host has a whole /64 to choose from (RFC 4291 section 2.5.1)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6:
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False).network_address)
    return str(parsed)
