# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a server is: addresses as people type them, and DNS SRV records (RFC 2782)."""

import ipaddress
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdtypes.IN.SRV

from client.core.errors import BadAddress

DEFAULT_PORT: Final = 7370
"""Where a server listens when its administrator did not say otherwise."""
SRV_NAME: Final = "_lanyard._tcp"
MAX_SRV_RECORDS: Final = 16
"""Records that are looked at: an organisation has one server, or a few names for it."""

_HOST: Final = re.compile(r"(?!-)[\w-]{1,63}(?:\.[\w-]{1,63})*\.?", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Address:
    """Host (name or IP address, without brackets) and port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server that was found without being asked who it is: a hint, not an identity."""

    address: str
    name: str
    source: str
    """``dns`` or ``network``."""


Browse: TypeAlias = Callable[[str, float], Awaitable[tuple[FoundServer, ...]]]
"""Looks for servers of a domain ("" for this computer's own) for some seconds; finding nothing is no error."""


def parse_address(text: str) -> Address:
    """Read ``host``, ``host:port``, ``192.0.2.1``, ``2001:db8::1`` or ``[2001:db8::1]:port``. Raises BadAddress."""
    typed = text.strip()
    host, port = typed, ""
    if typed.startswith("["):
        host, closed, rest = typed[1:].partition("]")
        port = rest.removeprefix(":")
        if not closed or (rest and not rest.startswith(":")) or not _is_ipv6(host):
            raise BadAddress(
                f"{text!r} is not an address; an IPv6 address reads [2001:db8::1]:7370."
            )
    elif typed.count(":") == 1:
        host, _, port = typed.partition(":")
    if ":" in host:
        if not _is_ipv6(host):
            raise BadAddress(f"{text!r} is not an address.")
    elif not _HOST.fullmatch(host):
        raise BadAddress(f"{text!r} is not an address; type a name such as chat.example.com.")
    if typed.endswith(":") and not _is_ipv6(typed):
        raise BadAddress(f"{text!r} ends where the port should stand.")
    return Address(host.rstrip("."), _parse_port(port, text) if port else DEFAULT_PORT)


async def find_by_srv(
    domain: str, timeout_s: float, resolver: dns.asyncresolver.Resolver | None = None
) -> tuple[FoundServer, ...]:
    """Servers that the domain announces in DNS, best first; nothing when there are none or nobody answers."""
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


def _parse_port(port: str, text: str) -> int:
    if port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16:
        return int(port)
    raise BadAddress(f"{text!r} has no valid port; a port is a number from 1 to 65535.")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
