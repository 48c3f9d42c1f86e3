# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses traffic to anything but this machine, and fails the test that tried.

Sockets of this process only: what runs in a process or a network namespace of its own is not seen.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Generator
from typing import Any

import pytest

GUARDED = {socket.AF_INET, socket.AF_INET6}


class Refusal(OSError):
    """This socket call would have left the machine."""


class Border:
    """Decides who may be spoken to; remembers what it refused."""

    def __init__(self) -> None:
        self.is_multicast_allowed = False
        self.refused: list[str] = []

    def check_address(self, sock: socket.socket, address: object) -> None:
        """Raise Refusal when `address` is another machine's."""
        if sock.family in GUARDED and isinstance(address, tuple) and not self._is_local(address[0]):
            raise self.refusal(f"traffic to {address[0]}")

    def check_name(self, host: object) -> None:
        """Raise Refusal when asking for `host` would ask a name server."""
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or name in {"", "localhost", socket.gethostname()}:
            return
        if name.endswith(".localhost") or _address(name) is not None:
            return
        if name.endswith(".invalid"):  # RFC 6761: exists so that it is never found
            raise socket.gaierror(socket.EAI_NONAME, f"{name} is not known")
        raise self.refusal(f"asking a name server for {name}")

    def refusal(self, what: str) -> Refusal:
        self.refused.append(what)
        return Refusal(f"tests speak to this machine only, not: {what}")

    def _is_local(self, host: object) -> bool:
        if host in {"", "localhost"}:
            return True
        address = _address(str(host))
        if address is None:
            return False
        if address.is_multicast:
            return self.is_multicast_allowed
        return address.is_loopback or address.is_unspecified


_BORDER = pytest.StashKey[Border]()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _guard_sockets(border: Border, patch: pytest.MonkeyPatch) -> None:
    """Let the calls of every socket that name an address pass the border first."""

    def guarded(name: str, position: int) -> None:
        call: Callable[..., Any] = getattr(socket.socket, name)

        def checked(sock: socket.socket, *args: Any) -> Any:
            if len(args) > abs(position) - (position < 0):
                border.check_address(sock, args[position])
            return call(sock, *args)

        patch.setattr(socket.socket, name, checked)

    guarded("connect", 0)
    guarded("connect_ex", 0)
    guarded("sendto", -1)  # sendto(data, address), sendto(data, flags, address)
    guarded("sendmsg", 3)  # sendmsg(buffers, ancillary, flags, address)


def _guard_names(border: Border, patch: pytest.MonkeyPatch) -> None:
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        call: Callable[..., Any] = getattr(socket, name)

        def checked(
            host: object, *args: Any, _call: Callable[..., Any] = call, **kwargs: Any
        ) -> Any:
            border.check_name(host)
            return _call(host, *args, **kwargs)

        patch.setattr(socket, name, checked)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "multicast: this test may send to a multicast group")
    border = config.stash[_BORDER] = Border()
    patch = pytest.MonkeyPatch()
    _guard_sockets(border, patch)
    _guard_names(border, patch)
    config.add_cleanup(patch.undo)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    border = item.config.stash[_BORDER]
    border.refused.clear()
    border.is_multicast_allowed = item.get_closest_marker("multicast") is not None
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield
    if refused := item.config.stash[_BORDER].refused:
        pytest.fail(f"refused: {', '.join(refused)}", pytrace=False)
