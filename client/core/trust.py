# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the server is: TLS under the organisation's pinned authority, and the first look at a server before it is trusted.

The time in certificates is judged by the server's clock, not by this computer's, which may be years off: TLS checks who signed
and for whom; the validity is checked against the time that the server states, which may never run back.
"""

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client.core.errors import IdentityChanged, ServerUnreachable
from protocol.identity import (
    ServerIdentity as ServerNames,
)
from protocol.identity import (
    fingerprint,
    fingerprint_hex,
    fingerprint_words,
    is_issued_by,
    read_certificate,
    validity_ms,
)
from protocol.keys import IdentityError
from protocol.messages.session import Welcome

CLOCK_SLACK_MS: Final = 24 * 60 * 60 * 1000
"""By how much a server's clock may step back when it is corrected."""
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (OpenSSL x509_vfy.h); the ssl module has no name for it."""
_ENCODING_DER: Final = 2


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What a server showed of itself. Nothing is trusted by looking."""

    address: str
    organisation: str
    """As the server calls it: a claim, until the fingerprint was compared."""
    authority: bytes
    """The organisation's certificate, DER."""
    fingerprint: bytes
    """Of the authority: the organisation's identity, SHA-256."""
    not_before_ms: int
    not_after_ms: int
    software: str
    is_trusted: bool = False
    """It is the organisation that is pinned here."""

    @property
    def words(self) -> str:
        """The fingerprint for reading aloud."""
        return fingerprint_words(self.fingerprint)

    @property
    def hex(self) -> str:
        """The fingerprint for the eye."""
        return fingerprint_hex(self.fingerprint)


def pinned_context(authority: bytes, chain_files: tuple[Path, Path] | None) -> ssl.SSLContext:
    """TLS to servers of one organisation, with the device's own certificate when there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority)
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    if chain_files is not None:
        certificate, key = chain_files
        context.load_cert_chain(certificate, key)
    return context


def curious_context() -> ssl.SSLContext:
    """TLS that believes anybody: for looking only. No password, token or certificate may pass through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown_identity(address: str, chain: list[bytes], welcome: Welcome) -> ServerIdentity:
    """Who the server says it is, as far as its certificates bear it out. Raises ServerUnreachable when they don't."""
    if not chain:
        raise ServerUnreachable(f"{address} shows no certificate; it is not a Lanyard server.")
    server = chain[0]
    try:
        if not isinstance(read_certificate(server), ServerNames):
            raise ServerUnreachable(f"{address} shows a certificate that is not a server's.")
        authority = next(
            each
            for each in chain
            if fingerprint(each) == welcome.organisation_id and is_issued_by(server, each)
        )
    except (IdentityError, StopIteration) as error:
        raise ServerUnreachable(
            f"{address} does not show the certificate of its organisation; its administrator can mend that."
        ) from error
    begin_ms, end_ms = validity_ms(authority)
    return ServerIdentity(
        address=address,
        organisation=welcome.organisation,
        authority=authority,
        fingerprint=fingerprint(authority),
        not_before_ms=begin_ms,
        not_after_ms=end_ms,
        software=welcome.software,
    )


def check_server(
    authority: bytes, certificate: bytes, welcome: Welcome, latest_server_ms: int
) -> None:
    """Judge a server that TLS let pass, before anything is said to it. Raises IdentityChanged or ServerUnreachable."""
    pinned = fingerprint(authority)
    if welcome.organisation_id != pinned:
        raise changed(pinned, welcome.organisation_id)
    try:
        is_server = isinstance(read_certificate(certificate), ServerNames)
    except IdentityError:
        is_server = False
    if not is_server:
        raise changed(pinned, b"")
    begin_ms, end_ms = validity_ms(certificate)
    now_ms = welcome.server_time_ms
    if now_ms < latest_server_ms - CLOCK_SLACK_MS:
        raise ServerUnreachable(
            "The server states a time long past; its clock has to be set before anybody signs in."
        )
    if not begin_ms <= now_ms <= end_ms:
        raise ServerUnreachable(
            "The server's certificate has expired; its administrator can renew it."
        )


def changed(expected: bytes, found: bytes) -> IdentityChanged:
    """The error for a server of another organisation."""
    return IdentityChanged(
        "The server's identity has changed. Do not sign in; tell IT.",
        expected=expected,
        found=found,
    )


def shown_chain(ssl_object: Any) -> list[bytes]:
    """The certificates that the peer sent, its own first, verified or not."""
    if ssl_object is None:
        return []
    if sys.version_info >= (3, 13):
        return list(ssl_object.get_unverified_chain())
    # COMPAT before 3.13 the method exists without a public name.
    chain = ssl_object._sslobj  # noqa: SLF001
    return [each.public_bytes(_ENCODING_DER) for each in chain.get_unverified_chain() or ()]
