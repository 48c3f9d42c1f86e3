# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a machine is named, with how to mend it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from server import machine
from server.config import Config, ListenSection
from server.findings import Finding, Severity


def config(port: int, *addresses: str) -> Config:
    return Config(listen=ListenSection(addresses=addresses or ("127.0.0.1",), port=port))


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_a_free_port_is_good_and_is_free_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    for _ in range(2):
        found = only(list(machine.check_ports(config(port), is_running=False)))
        assert found.severity is Severity.GOOD


def test_a_taken_port_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = only(list(machine.check_ports(config(port), is_running=False)))
        assert found.severity is Severity.FAULT
        assert f"127.0.0.1 port {port} is taken" in found.sentence
        assert "ss -ltnp" in found.mend
        running = only(list(machine.check_ports(config(port), is_running=True)))
        assert running.severity is Severity.GOOD


def test_a_server_that_does_not_answer_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    found = only(list(machine.check_ports(config(port), is_running=True)))
    assert found.severity is Severity.FAULT


def test_an_address_of_another_machine_is_a_fault() -> None:
    found = only(list(machine.check_ports(config(7370, "192.0.2.77"), is_running=False)))
    assert "no such address" in found.sentence


def test_everywhere_is_tried_on_both_families() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    found = list(machine.check_ports(config(port, "*"), is_running=False))
    assert found[0].sentence == f"0.0.0.0 port {port} is free."
    assert {finding.severity for finding in found} == {Severity.GOOD}


def test_any_free_port_needs_no_check() -> None:
    assert list(machine.check_ports(config(0), is_running=False)) == []


def test_a_clock_that_went_back_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    now_s = time.time()
    assert machine.check_clock([path, tmp_path / "gone"], now_s).severity is Severity.GOOD
    found = machine.check_clock([path], now_s - 7200)
    assert found.severity is Severity.FAULT
    assert "2.0 hours behind" in found.sentence


@pytest.mark.parametrize(
    ("free_bytes", "severity"),
    [(10 << 30, Severity.GOOD), (1 << 30, Severity.WARNING), (50 << 20, Severity.FAULT)],
)
def test_a_full_disk_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free_bytes: int,
    severity: Severity,
) -> None:
    usage = SimpleNamespace(free=free_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    (tmp_path / "sub").mkdir()
    found = only(list(machine.check_disk([tmp_path, tmp_path / "sub", tmp_path / "gone"])))
    assert found.severity is severity
    assert bool(found.mend) == (severity is not Severity.GOOD)


def test_too_few_descriptors_name_the_units_setting() -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for process in (None, os.getpid()):
        found = machine.check_descriptors(limit + 1, process)
        assert found.severity is Severity.WARNING
        assert f"LimitNOFILE={limit + 1 + machine.SPARE_DESCRIPTORS}" in found.mend
        assert machine.check_descriptors(1, process).severity is Severity.GOOD


def test_a_process_takes_the_descriptors_that_it_may() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert machine.raise_descriptor_limit(400)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400 + machine.SPARE_DESCRIPTORS
        assert machine.raise_descriptor_limit(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400 + machine.SPARE_DESCRIPTORS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
