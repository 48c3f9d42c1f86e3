# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd hears, over a real socket; and silence where it did not ask."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_each_state_is_told(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()}, 7)
    notifier.ready("Serving Example.")
    notifier.reloading()
    notifier.alive()
    notifier.stopping()
    heard = [manager.recv(1000).decode().splitlines() for _ in range(4)]
    assert heard[0] == ["READY=1", "STATUS=Serving Example."]
    assert heard[1][0] == "RELOADING=1"
    assert heard[1][1].removeprefix("MONOTONIC_USEC=").isdigit()
    assert heard[2] == ["WATCHDOG=1"]
    assert heard[3][0] == "STOPPING=1"


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel picks an abstract name
        name = "@" + listening.getsockname()[1:].decode()
        Notifier({"NOTIFY_SOCKET": name}, 7).alive()
        listening.settimeout(5)
        assert listening.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_said(tmp_path: Path) -> None:
    Notifier({}, 7).ready("x")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 7).ready("x")


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_when_it_is_ours(
    environment: dict[str, str], interval_s: float | None
) -> None:
    assert Notifier(environment, 7).watchdog_interval_s == interval_s
