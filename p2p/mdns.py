# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to zeroconf: a server announces itself in the local network (mDNS, RFC 6762/6763), clients find it.

What is heard may come from anybody. It is good for an address to try and for nothing more: who answers there, TLS proves.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import ifaddr
import zeroconf
from msgspec import Struct
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

log = logging.getLogger("lanyard.p2p")

SERVICE_TYPE: Final = "_lanyard-server._tcp.local."
"""RFC 6335 section 5.1 allows 15 characters between the underscores."""
POLL_INTERVAL_S: Final = 10.0
"""How often the network interfaces are looked at; a new one is used after two looks that agree, so that
a flapping Wi-Fi or VPN does not make us rebuild sockets all the time."""
FAREWELL_TIMEOUT_S: Final = 3.0
"""For telling the network that the server is gone; after that the records expire by themselves."""
RESOLVE_TIMEOUT_S: Final = 2.0
"""For asking a found server for its address; what has not answered by then is passed over."""
MAX_FOUND_SERVERS: Final = 16
"""Servers in one answer: more than that in one network segment is somebody's joke."""
MAX_ADDRESSES: Final = 16
"""Addresses announced, and taken from each found server."""
MAX_TEXT_BYTES: Final = 200
"""Of one announced text: fits the 255 bytes of a TXT string (RFC 6763 section 6.1) with its key."""


class Announced(Struct, frozen=True):
    """What the network is told about a server; all of it public."""

    organisation: str
    organisation_id: bytes
    port: int
    version: int
    """Newest protocol version."""


class FoundServer(Struct, frozen=True):
    """Where a server says it is. Not proven."""

    addresses: tuple[str, ...]
    """IP addresses in the order in which to try them, always the same: IPv4 first, link-local ones (with their scope) last."""
    port: int
    organisation: str = ""
    organisation_id: bytes = b""
    version: int = 0


class SettledAddresses:
    """Tells when the machine's addresses have changed for good. Pure: it is shown what each look found."""

    def __init__(self, first: Sequence[str]) -> None:
        self.current = tuple(first)
        self._last_seen = self.current

    def look(self, seen: Sequence[str]) -> bool:
        """Whether ``current`` has a new value: this look and the one before agree on it."""
        now = tuple(seen)
        has_settled = now == self._last_seen and now != self.current
        self._last_seen = now
        if has_settled:
            self.current = now
        return has_settled


class Announcer:
    """Announces one server for as long as ``run`` runs, and follows the machine through changes of its network."""

    def __init__(
        self,
        announced: Announced,
        *,
        interfaces: Sequence[str] = (),
        list_addresses: Callable[[], list[str]] | None = None,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        """``interfaces``: only by way of these addresses; otherwise all. ``list_addresses``: the addresses to announce."""
        self.announced = announced
        """May be replaced at any time, from any thread: the network is told at the next look."""
        self._interfaces = list(interfaces)
        self._list_addresses = list_addresses or local_addresses
        self._poll_interval_s = poll_interval_s

    async def run(self) -> None:
        """Announce until cancelled. A machine without a network is waited for."""
        addresses = SettledAddresses(self._list_addresses())
        while True:
            try:
                await self._announce(addresses)
            except (OSError, zeroconf.Error) as error:
                log.info("the server can't be announced now: %s", error)
            await asyncio.sleep(self._poll_interval_s)
            addresses.look(self._list_addresses())

    async def _announce(self, addresses: SettledAddresses) -> None:
        responder = _open(self._interfaces)
        told = self.announced
        try:
            info = _service_info(told, addresses.current)
            await (await responder.async_register_service(info, allow_name_change=True))
            log.info("announced in the local network as %s", info.name)
            while True:
                await asyncio.sleep(self._poll_interval_s)
                has_moved = addresses.look(self._list_addresses())
                if has_moved:
                    log.info("the machine's addresses changed: announced anew")
                    await responder.async_update_interfaces()
                if has_moved or told is not self.announced:
                    told = self.announced
                    info = _service_info(told, addresses.current, info.name)
                    await (await responder.async_update_service(info))
        finally:
            await _close(responder)


def _service_info(
    announced: Announced, addresses: Iterable[str], name: str = ""
) -> AsyncServiceInfo:
    identity = announced.organisation_id.hex()
    return AsyncServiceInfo(
        SERVICE_TYPE,
        name or f"Lanyard {identity[:8]}.{SERVICE_TYPE}",
        port=announced.port,
        server=f"lanyard-{identity[:16]}.local.",
        parsed_addresses=list(addresses)[:MAX_ADDRESSES],
        properties={
            "org": cut_text(announced.organisation),
            "id": identity,
            "v": str(announced.version),
        },
    )


async def find_servers(
    timeout_s: float, *, interfaces: Sequence[str] = (), wanted: int = MAX_FOUND_SERVERS
) -> list[FoundServer]:
    """The servers that answer within the time, in the order they were heard; done early once there are as many as wanted.

    An empty list where there is no network.
    """
    try:
        asker = _open(interfaces)
    except OSError as error:
        log.info("the local network can't be asked for servers: %s", error)
        return []
    hunt = _Hunt(asker, min(wanted, MAX_FOUND_SERVERS))
    try:
        browser = AsyncServiceBrowser(asker.zeroconf, SERVICE_TYPE, handlers=[hunt.heard])
        try:
            async with asyncio.timeout(timeout_s):
                await hunt.enough.wait()
        except TimeoutError:
            pass
        finally:
            await browser.async_cancel()
            await hunt.stop()
    finally:
        await _close(asker)
    return hunt.found


class _Hunt:
    """Asks each server that is heard of for its address, all at the same time: one that is silent holds up nobody."""

    def __init__(self, asker: AsyncZeroconf, wanted: int) -> None:
        self.found: list[FoundServer] = []
        self.enough = asyncio.Event()
        self._asker = asker
        self._wanted = wanted
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def heard(
        self,
        zeroconf: zeroconf.Zeroconf,
        service_type: str,
        name: str,
        state_change: zeroconf.ServiceStateChange,
    ) -> None:
        """What the browser calls for each change, with arguments by name, in the loop's thread."""
        is_new = state_change is not _REMOVED and name not in self._tasks
        if is_new and len(self._tasks) < MAX_FOUND_SERVERS:
            self._tasks[name] = asyncio.get_running_loop().create_task(self._resolve(name))

    async def stop(self) -> None:
        """End what is still under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _resolve(self, name: str) -> None:
        try:
            info = AsyncServiceInfo(SERVICE_TYPE, name)
            is_resolved = await info.async_request(self._asker.zeroconf, RESOLVE_TIMEOUT_S * 1000)
        except zeroconf.Error:  # a name that can't be one
            return
        if not is_resolved:
            return
        server = read_announcement(
            info.parsed_scoped_addresses(), info.port, info.decoded_properties
        )
        if server is not None and server not in self.found:
            self.found.append(server)
            if len(self.found) >= self._wanted:
                self.enough.set()


_REMOVED: Final = zeroconf.ServiceStateChange.Removed


def local_addresses() -> list[str]:
    """The machine's addresses under which others may reach it: neither loopback nor link-local; IPv4 first."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.is_loopback or address.is_link_local or address.is_multicast):
                found.append(address)
    return sorted({str(address) for address in found}, key=_place)[:MAX_ADDRESSES]


def cut_text(text: str) -> str:
    """The text cut to what one announced string may hold, between characters."""
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def read_announcement(
    addresses: Iterable[str], port: int | None, properties: dict[str, str | None]
) -> FoundServer | None:
    """What somebody announced, bounded and cleaned; None when there is no address to try."""
    usable = tuple(sorted(filter(_is_address, set(addresses)), key=_place))[:MAX_ADDRESSES]
    if not usable or port is None or not 0 < port < 65536:
        return None
    organisation = "".join(
        character for character in cut_text(properties.get("org") or "") if character.isprintable()
    )
    try:
        identity = bytes.fromhex(properties.get("id") or "")
    except ValueError:
        identity = b""
    version = properties.get("v") or ""
    return FoundServer(
        usable,
        port,
        organisation,
        identity if len(identity) == 32 else b"",
        int(version) if version.isascii() and version.isdigit() and len(version) < 6 else 0,
    )


def _open(interfaces: Sequence[str]) -> AsyncZeroconf:
    """Raises OSError where there is no network."""
    return AsyncZeroconf(interfaces=list(interfaces) or zeroconf.InterfaceChoice.All)


async def _close(opened: AsyncZeroconf) -> None:
    """Say farewell and close, in bounded time also while being cancelled."""
    try:
        async with asyncio.timeout(FAREWELL_TIMEOUT_S):
            await opened.async_unregister_all_services()
    except (TimeoutError, OSError, zeroconf.Error):
        pass
    await opened.async_close()


def _place(text: str) -> tuple[bool, int, int, str]:
    """Where an address stands among others; the records of an answer come in any order (RFC 1034 section 3.6)."""
    address = ipaddress.ip_address(text)
    return address.is_link_local, address.version, int(address), text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
