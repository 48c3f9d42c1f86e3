# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server makes of certificate files, good and bad."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from server.transport.tls import TlsUnusable
from tests.support.ports import Certificates


def test_only_the_newest_tls_is_spoken(issued: Certificates) -> None:
    context = issued.server_tls().context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.num_tickets == 0


def test_a_file_that_is_missing_is_named(fresh: Certificates) -> None:
    fresh.key.unlink()
    with pytest.raises(TlsUnusable, match=r"server\.key can't be read: No such file or directory"):
        fresh.server_tls()


@pytest.mark.parametrize("name", ["certificate", "key", "authority"])
def test_a_file_of_another_kind_is_named(fresh: Certificates, name: str) -> None:
    path: Path = getattr(fresh, name)
    path.write_text("Dear all, the key is under the mat.")
    with pytest.raises(TlsUnusable, match=rf"{path.name}.* in PEM"):
        fresh.server_tls()


def test_a_key_of_another_certificate_is_noticed(fresh: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    fresh.key.write_bytes(other.key.read_bytes())
    with pytest.raises(TlsUnusable, match=r"server\.key does not belong to .*server\.pem"):
        fresh.server_tls()


def test_a_key_with_a_pass_phrase_does_not_make_the_server_ask(fresh: Certificates) -> None:
    protection = BestAvailableEncryption(b"secret")
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, protection
    )
    fresh.key.write_bytes(pem)
    with pytest.raises(TlsUnusable, match="protected by a pass phrase"):
        fresh.server_tls()


def test_a_failed_reload_keeps_the_old_context(fresh: Certificates) -> None:
    tls = fresh.server_tls()
    context = tls.context
    fresh.certificate.write_text("")
    with pytest.raises(TlsUnusable):
        tls.reload()
    assert tls.context is context
    fresh.issue_server()
    tls.reload()
    assert tls.context is not context
