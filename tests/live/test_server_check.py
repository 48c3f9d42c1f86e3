# SPDX-License-Identifier: GPL-3.0-or-later
"""`check` on a real organisation: what was broken is found, named, and the exit code says how bad it is."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol import identity, keys
from protocol.identity import Issuer
from server.authority import read_certificate_file, read_key_file
from server.failures import Exit
from server.organisation import Organisation, write_private
from tests.support.server_process import (
    ServerProcess,
    copy_organisation,
    lanyard_json,
    lanyard_server,
    make_organisation,
)

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make_organisation(tmp_path_factory.mktemp("made") / "office")


@pytest.fixture
def organisation(original: Organisation, tmp_path: Path) -> Organisation:
    return copy_organisation(original, tmp_path / "office")


def faults(organisation: Organisation) -> list[dict[str, Any]]:
    report = lanyard_json("check", organisation.folder, code=Exit.FAULTS)
    assert report["severity"] == "fault"
    found: list[dict[str, Any]] = report["findings"]
    return [finding for finding in found if finding["severity"] == "fault"]


def test_all_is_well_with_a_new_organisation(organisation: Organisation) -> None:
    said = lanyard_server("check", organisation.folder).stdout
    assert said.endswith("0 faults, 0 warnings.\n")


def expire(organisation: Organisation) -> None:
    authority = read_certificate_file(organisation.authority_certificate)
    issued = Issuer(authority, read_key_file(organisation.authority_key)).server_certificate(
        keys.public_key(read_key_file(organisation.server_key)),
        ["localhost"],
        [],
        serial=secrets.token_bytes(16),
        now_ms=time.time_ns() // 1_000_000 - 100 * DAY_MS,
        days=90,
    )
    write_private(organisation.server_certificate, identity.certificate_to_pem(issued.certificate))


def open_key(organisation: Organisation) -> None:
    organisation.authority_key.chmod(0o644)


def damage_database(organisation: Organisation) -> None:
    path = organisation.folder / "lanyard.db"
    data = bytearray(path.read_bytes())
    data[8192:16384] = bytes(8192)
    path.write_bytes(data)


def misspell(organisation: Organisation) -> None:
    text = organisation.config_file.read_text(encoding="utf-8")
    organisation.config_file.write_text(text.replace("port = 0", "prot = 0"))


@pytest.mark.parametrize(
    ("damage", "subject", "sentence"),
    [
        (expire, "certificate", "certificate expired 10 days ago"),
        (open_key, "keys", "can be read by others"),
        (damage_database, "database", "is damaged"),
        (misspell, "config", "Did you mean port?"),
    ],
)
def test_what_is_broken_is_named_with_its_mend(
    organisation: Organisation,
    damage: Callable[[Organisation], None],
    subject: str,
    sentence: str,
) -> None:
    damage(organisation)
    found = faults(organisation)
    assert any(each["subject"] == subject and sentence in each["sentence"] for each in found)
    assert all(each["mend"] for each in found)


def test_a_port_in_use_is_named(organisation: Organisation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        text = organisation.config_file.read_text(encoding="utf-8")
        organisation.config_file.write_text(text.replace("port = 0", f"port = {port}"))
        (found,) = faults(organisation)
        assert f"port {port} is taken" in found["sentence"]


def test_an_expired_certificate_is_mended_by_starting(organisation: Organisation) -> None:
    expire(organisation)
    with ServerProcess(organisation) as server:
        report = lanyard_json("check", organisation.folder)
        subjects = {finding["subject"]: finding["sentence"] for finding in report["findings"]}
        assert subjects["server"] == f"Process {server.ready['process']} serves 0 sessions."
        server.stop()
