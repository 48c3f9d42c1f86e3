# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: finding servers, looking at one, trusting one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from client.core import trust
from client.core.addresses import parse_address
from client.core.dial import Dial
from client.core.discovery import Browse, FoundServer
from client.core.errors import Offline, Refused, ServerNotTrusted, ServerUnreachable
from client.core.line import Line
from client.core.link import Link
from client.core.store import meta
from client.core.store.database import Database
from client.core.store.meta import Trust
from client.core.trust import ServerIdentity
from protocol import limits
from protocol.identity import fingerprint


@dataclass(frozen=True, slots=True)
class TrustedServer:
    """The organisation that is pinned here, and where its server is."""

    address: str
    organisation: str
    fingerprint: bytes


class Servers:
    """Which server, and whether it is the right one."""

    def __init__(
        self,
        *,
        database: Database,
        line: Line,
        dial: Dial,
        browsers: Sequence[Browse],
        software: str,
    ) -> None:
        self._database = database
        self._line = line
        self._dial = dial
        self._browsers = browsers
        self._software = software
        self._pinned: Trust | None = None

    @property
    def trusted(self) -> TrustedServer | None:
        """What is pinned here."""
        if self._pinned is None:
            return None
        return TrustedServer(
            self._pinned.address,
            self._pinned.organisation,
            fingerprint(self._pinned.authority),
        )

    async def load(self) -> None:
        """Read what is pinned."""
        self._pinned = await self._database.run(meta.load, meta.TRUST)
        self._line.trusts(self._pinned)

    async def find(self, domain: str = "", timeout_s: float = 3.0) -> tuple[FoundServer, ...]:
        """Servers that announce themselves, in DNS and on this network; finding none is no error."""
        found = await asyncio.gather(*(browse(domain, timeout_s) for browse in self._browsers))
        by_address = {each.address: each for group in reversed(found) for each in group}
        return tuple(
            each for group in found for each in group if by_address.pop(each.address, None)
        )

    async def probe(self, address: str) -> ServerIdentity:
        """Look at a server without trusting it. Raises BadAddress, ServerUnreachable."""
        wanted = parse_address(address)

        def make_link() -> Link:
            return Link(self._software, lambda push: None)

        link, chain = await self._dial(wanted, make_link, None, None)
        try:
            async with asyncio.timeout(limits.GREETING_TIMEOUT_S):
                welcome = await link.greeted()
        except (Offline, Refused, TimeoutError) as error:
            raise ServerUnreachable(
                f"{wanted} does not greet as a Lanyard server does: {error}"
            ) from error
        finally:
            link.close()
        seen = trust.shown_identity(str(wanted), chain, welcome)
        pinned = self.trusted
        return replace(
            seen, is_trusted=pinned is not None and pinned.fingerprint == seen.fingerprint
        )

    async def trust(self, identity: ServerIdentity) -> None:
        """Pin an organisation at first use, and remember where its server is. Raises IdentityChanged when another is pinned."""
        pinned = self.trusted
        if pinned is not None and pinned.fingerprint != identity.fingerprint:
            raise trust.changed(pinned.fingerprint, identity.fingerprint)
        latest_ms = self._pinned.latest_server_ms if self._pinned is not None else 0
        await self._keep(
            Trust(identity.authority, identity.organisation, identity.address, latest_ms)
        )

    async def use(self, address: str) -> None:
        """The same organisation at another address. Raises BadAddress, ServerNotTrusted."""
        if self._pinned is None:
            raise ServerNotTrusted("No server is trusted yet.")
        await self._keep(
            Trust(
                self._pinned.authority,
                self._pinned.organisation,
                str(parse_address(address)),
                self._pinned.latest_server_ms,
            )
        )

    async def _keep(self, pinned: Trust) -> None:
        await self._database.run(meta.save, meta.TRUST, pinned)
        self._pinned = pinned
        self._line.trusts(pinned)
