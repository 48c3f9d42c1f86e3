# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens TLS connections. Tests pass another Dial that joins a link to a scripted server in memory."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from client.core import trust
from client.core.addresses import Address
from client.core.errors import ServerUnreachable
from client.core.link import Link
from protocol.identity import fingerprint

CONNECT_TIMEOUT_S: Final = 10.0
"""TCP and TLS together: a server in the same building answers in milliseconds, over a VPN in a second or two."""
_NOT_OF_THIS_AUTHORITY: Final = frozenset((18, 19, 20, 21, 24, 7))
"""X509_V_ERR codes that say: signed by somebody else."""


class Dial(Protocol):
    """Joins a link to a server and returns the certificates that the server showed, its own first."""

    async def __call__(
        self,
        address: Address,
        make_link: Callable[[], Link],
        authority: bytes | None,
        chain_files: tuple[Path, Path] | None,
    ) -> tuple[Link, list[bytes]]:
        """Connect. ``authority`` None: whoever answers. Raises ServerUnreachable, IdentityChanged."""
        ...


async def dial_tls(
    address: Address,
    make_link: Callable[[], Link],
    authority: bytes | None,
    chain_files: tuple[Path, Path] | None,
) -> tuple[Link, list[bytes]]:
    """Connect by TCP and TLS 1.3; the server's name or address must stand in its certificate."""
    loop = asyncio.get_running_loop()
    if authority is None:
        context = trust.curious_context()
    else:
        try:
            context = trust.pinned_context(authority, chain_files)
        except (OSError, ssl.SSLError) as error:
            raise ServerUnreachable(
                f"This device's certificate can't be used: {_cause(error)}."
            ) from error
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, link = await loop.create_connection(
                make_link, address.host, address.port, ssl=context, server_hostname=address.host
            )
    except ssl.SSLCertVerificationError as error:
        if authority is not None and error.verify_code in _NOT_OF_THIS_AUTHORITY:
            raise trust.changed(fingerprint(authority), b"") from error
        raise ServerUnreachable(
            f"The server's certificate is not for {address.host}: {error.verify_message}"
        ) from error
    except TimeoutError as error:
        raise ServerUnreachable(f"{address} does not answer.") from error
    except ssl.SSLError as error:
        raise ServerUnreachable(
            f"{address} does not speak TLS as a Lanyard server does: {error.reason}"
        ) from error
    except (OSError, UnicodeError) as error:
        raise ServerUnreachable(f"{address} can't be reached: {_cause(error)}") from error
    return link, trust.shown_chain(link.transport_fact("ssl_object"))


def _cause(error: Exception) -> str:
    """What the system says; asyncio joins several attempts into one error without a number."""
    if isinstance(error, socket.gaierror):  # its numbers are those of getaddrinfo(3)
        return (error.strerror or str(error)).lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error)
