# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a server is: addresses as people type them. Nothing is looked up here."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from client.core.errors import BadAddress
from protocol.version import DEFAULT_PORT

_HOST: Final = re.compile(r"(?!-)[\w-]{1,63}(?:\.[\w-]{1,63})*\.?", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Address:
    """Host (name or IP address, without brackets) and port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


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
