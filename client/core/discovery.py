# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds servers that announce themselves: DNS SRV records (RFC 2782), and multicast DNS in the local network.

What is found is a hint where to look, from anybody. Who answers there, ``trust`` says. The two libraries are imported when they
are needed: most starts of a program know their server, and they take longer to load than everything else.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from client.core.addresses import Address

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

SRV_NAME: Final = "_lanyard._tcp"
MAX_SRV_RECORDS: Final = 16
"""Records that are looked at: an organisation has one server, or a few names for it."""


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server that was found without being asked who it is: a hint, not an identity."""

    address: str
    name: str
    source: str
    """``dns`` or ``network``."""


Browse: TypeAlias = Callable[[str, float], Awaitable[tuple[FoundServer, ...]]]
"""Looks for servers of a domain ("" for this computer's own) for some seconds; finding nothing is no error."""


async def find_by_srv(
    domain: str, timeout_s: float, resolver: "Resolver | None" = None
) -> tuple[FoundServer, ...]:
    """Servers that the domain announces in DNS, best first; nothing when there are none or nobody answers."""
    import dns.asyncresolver
    import dns.exception
    import dns.name
    import dns.rdtypes.IN.SRV

    try:
        resolver = resolver or dns.asyncresolver.get_default_resolver()
        if domain:
            name = dns.name.from_text(f"{SRV_NAME}.{domain}")
            answer = await resolver.resolve(name, "SRV", lifetime=timeout_s)
        else:
            answer = await resolver.resolve(SRV_NAME, "SRV", lifetime=timeout_s, search=True)
    except (dns.exception.DNSException, OSError, UnicodeError):
        return ()
    records = [record for record in answer if isinstance(record, dns.rdtypes.IN.SRV.SRV)]
    # RFC 2782: lowest priority value first. Weights spread load over equals; the heaviest first does here.
    records.sort(key=lambda record: (record.priority, -record.weight))
    found = []
    for record in records[:MAX_SRV_RECORDS]:
        host = record.target.to_text(omit_final_dot=True)
        if host != ".":  # "the service is decidedly not available at this domain"
            found.append(FoundServer(str(Address(host, record.port)), host, "dns"))
    return tuple(found)


async def find_on_network(domain: str, timeout_s: float) -> tuple[FoundServer, ...]:
    """Servers that announce themselves in the local network; with a domain, nothing: it is not asked for there."""
    if domain:
        return ()
    from p2p.mdns import find_servers

    return tuple(
        FoundServer(str(Address(found.addresses[0], found.port)), found.organisation, "network")
        for found in await find_servers(timeout_s)
        if found.addresses
    )
