# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority at work: devices get certificates, the server renews its own in time, broken keys are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol import identity, keys
from protocol.errors import ErrorCode, RequestRefused
from protocol.identity import DeviceIdentity, ServerIdentity
from server import authority
from server.authority import Authority
from server.config import CertificateSection
from server.failures import Exit, Failure
from server.organisation import Organisation

NOW_MS = 1_900_000_000_000
DAY_MS = 86_400_000
OPTIONS = CertificateSection(names=("chat.example", "192.0.2.7"), server_days=90, device_days=30)
USER, DEVICE = bytes(16), bytes(range(16))


@pytest.fixture
def organisation(tmp_path: Path) -> Organisation:
    made = Organisation(tmp_path)
    authority.create(made, "Example", OPTIONS, NOW_MS)
    return made


def test_a_new_organisation_has_keys_that_only_the_owner_reads(organisation: Organisation) -> None:
    assert organisation.keys.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in organisation.key_files} == {0o600}
    named = identity.read_certificate(Authority(organisation, OPTIONS).server_certificate)
    assert isinstance(named, ServerIdentity)
    assert named.names == ("chat.example",)
    assert [str(address) for address in named.addresses] == ["192.0.2.7"]


def test_a_device_gets_a_certificate_for_its_key(organisation: Organisation) -> None:
    issuing = Authority(organisation, OPTIONS)
    key = keys.new_key()
    certificate, serial, not_after_ms = issuing.issue(
        identity.new_request(key), USER, DEVICE, NOW_MS
    )
    named = DeviceIdentity(USER, DEVICE, serial, not_after_ms)
    assert identity.read_certificate(certificate) == named
    assert identity.certified_key(certificate) == keys.public_key(key)
    assert identity.is_issued_by(certificate, issuing.certificate)
    assert not_after_ms == NOW_MS + 30 * DAY_MS


def test_a_broken_request_is_refused_with_a_code(organisation: Organisation) -> None:
    with pytest.raises(RequestRefused) as caught:
        Authority(organisation, OPTIONS).issue(b"rubbish", USER, DEVICE, NOW_MS)
    assert caught.value.code is ErrorCode.INVALID


def test_the_server_renews_when_a_third_is_left(organisation: Organisation) -> None:
    issuing = Authority(organisation, OPTIONS)
    before = identity.fingerprint(issuing.server_certificate)
    assert not issuing.wants_renewal(NOW_MS + 58 * DAY_MS)
    late_ms = NOW_MS + 61 * DAY_MS
    assert issuing.wants_renewal(late_ms)
    issuing.renew_server(late_ms)
    assert not issuing.wants_renewal(late_ms)
    again = Authority(organisation, OPTIONS)
    assert again.server_certificate == issuing.server_certificate
    assert identity.fingerprint(again.server_certificate) == before


def test_a_new_name_wants_a_new_certificate_and_a_dropped_one_does_not(
    organisation: Organisation,
) -> None:
    issuing = Authority(organisation, OPTIONS)
    issuing.reload(CertificateSection(names=("CHAT.example",)))
    assert not issuing.wants_renewal(NOW_MS)
    issuing.reload(CertificateSection(names=("chat.example", "other.example")))
    assert issuing.wants_renewal(NOW_MS)
    issuing.renew_server(NOW_MS)
    assert not issuing.wants_renewal(NOW_MS)


def test_a_name_that_cannot_be_one_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"certificate\.names: 'a\.\.b'") as caught:
        authority.create(Organisation(tmp_path), "X", CertificateSection(names=("a..b",)), NOW_MS)
    assert caught.value.exit_code == Exit.CONFIG
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["authority_key", "server_key"])
def test_a_key_of_another_organisation_is_noticed(organisation: Organisation, which: str) -> None:
    path: Path = getattr(organisation, which)
    path.write_bytes(keys.key_to_pem(keys.new_key()))
    with pytest.raises(Failure, match="does not belong") as caught:
        Authority(organisation, OPTIONS)
    assert caught.value.exit_code == Exit.CONFIG


def test_a_damaged_key_is_named(organisation: Organisation) -> None:
    organisation.server_key.write_bytes(b"rubbish")
    with pytest.raises(Failure, match=r"server\.key\.pem"):
        Authority(organisation, OPTIONS)
