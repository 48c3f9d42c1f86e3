# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an organisation's folder is named, with how to mend it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol import keys
from server import authority, checks
from server.config import CertificateSection, Config
from server.findings import Finding, Severity
from server.organisation import Organisation, write_private
from server.store.migrate import migrate

NOW_MS = 1_900_000_000_000
DAY_MS = 86_400_000
CONFIG = Config(certificate=CertificateSection(names=("chat.example",), server_days=90))


@pytest.fixture
def organisation(tmp_path: Path) -> Organisation:
    tmp_path.chmod(0o700)
    made = Organisation(tmp_path)
    authority.create(made, "Example", CONFIG.certificate, NOW_MS)
    return made


def worst(findings: list[Finding]) -> Finding:
    return max(findings, key=lambda finding: finding.severity)


def of_keys(organisation: Organisation, now_ms: int = NOW_MS) -> Finding:
    return worst(list(checks.check_keys(organisation, CONFIG, now_ms)))


def test_a_new_organisation_has_no_findings(organisation: Organisation) -> None:
    assert of_keys(organisation).severity is Severity.GOOD
    assert worst(list(checks.check_folder(organisation))).severity is Severity.GOOD


@pytest.mark.parametrize(("mode", "severity"), [(0o755, Severity.WARNING), (0o777, Severity.FAULT)])
def test_a_folder_open_to_others(organisation: Organisation, mode: int, severity: Severity) -> None:
    organisation.folder.chmod(mode)
    found = worst(list(checks.check_folder(organisation)))
    assert found.severity is severity
    assert found.mend == f"chmod 700 {organisation.folder}"


@pytest.mark.parametrize(
    ("days", "severity", "sentence"),
    [
        (10, Severity.GOOD, ""),
        (70, Severity.WARNING, "ends in 20 days and was not renewed"),
        (91, Severity.FAULT, "certificate expired 1 days ago"),
        (-3, Severity.FAULT, "the clock is behind"),
        (25 * 365 - 100, Severity.FAULT, "certificate expired"),
    ],
)
def test_certificates_end(
    organisation: Organisation, days: int, severity: Severity, sentence: str
) -> None:
    found = of_keys(organisation, NOW_MS + days * DAY_MS)
    assert found.severity is severity
    assert sentence in found.sentence


def test_the_authority_is_replaced_before_it_ends(organisation: Organisation) -> None:
    late = list(checks.check_keys(organisation, CONFIG, NOW_MS + (25 * 365 - 100) * DAY_MS))
    assert any("authority ends in 100 days" in finding.sentence for finding in late)


def break_mode(organisation: Organisation) -> None:
    organisation.server_key.chmod(0o644)


def break_key(organisation: Organisation) -> None:
    write_private(organisation.server_key, keys.key_to_pem(keys.new_key()))


def break_file(organisation: Organisation) -> None:
    write_private(organisation.authority_key, b"rubbish")


def lose_file(organisation: Organisation) -> None:
    organisation.authority_certificate.unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (break_mode, "can be read by others (mode 0644)"),
        (break_key, "does not belong to"),
        (break_file, "authority.key.pem: The key can't be read"),
        (lose_file, "authority.crt.pem can't be read"),
    ],
)
def test_a_broken_key_is_named(
    organisation: Organisation, damage: Callable[[Organisation], None], sentence: str
) -> None:
    damage(organisation)
    found = of_keys(organisation)
    assert found.severity is Severity.FAULT
    assert sentence in found.sentence
    assert found.mend


def test_a_certificate_of_another_organisation_is_named(
    organisation: Organisation, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Organisation(tmp_path / "other")
    authority.create(other, "Other", CONFIG.certificate, NOW_MS)
    write_private(organisation.server_certificate, other.server_certificate.read_bytes())
    write_private(organisation.server_key, other.server_key.read_bytes())
    assert "is not the organisation's" in of_keys(organisation).sentence


def test_a_new_name_is_noted(organisation: Organisation) -> None:
    config = Config(certificate=CertificateSection(names=("new.example", "192.0.2.1")))
    found = worst(list(checks.check_keys(organisation, config, NOW_MS)))
    assert found.severity is Severity.NOTE
    assert "does not name new.example, 192.0.2.1 yet" in found.sentence


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "lanyard.db"
    migrate(path)
    path.chmod(0o600)
    return path


def of_database(path: Path) -> Finding:
    return worst(list(checks.check_database(path)))


def test_a_new_database_is_whole(database: Path) -> None:
    assert of_database(database).severity is Severity.GOOD


def test_a_missing_an_open_and_a_damaged_database(database: Path) -> None:
    database.chmod(0o644)
    assert of_database(database).mend == f"chmod 600 {database}"
    database.chmod(0o600)
    data = bytearray(database.read_bytes())
    data[4096:8192] = b"x" * 4096
    database.write_bytes(data)
    assert "is damaged" in of_database(database).sentence
    database.unlink()
    assert "No such file" in of_database(database).sentence


def test_a_database_of_another_time(database: Path) -> None:
    def set_schema(number: int) -> None:
        with contextlib.closing(sqlite3.connect(database)) as opened:
            opened.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (b"%d" % number,))
            opened.commit()

    set_schema(1)
    assert of_database(database).severity is Severity.NOTE
    set_schema(999)
    assert "Install the version that wrote it" in of_database(database).mend
