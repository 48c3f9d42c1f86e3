# SPDX-License-Identifier: GPL-3.0-or-later
"""The organisation's authority at work: its keys from the folder, certificates for devices and for the server itself."""

import ipaddress
import logging
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from protocol import identity, keys
from protocol.errors import ErrorCode, RequestRefused
from protocol.identity import IpAddress, Issuer, ServerIdentity
from protocol.ids import DeviceId, UserId, format_id
from protocol.keys import IdentityError
from server.config import CertificateSection
from server.failures import Exit, Failure
from server.organisation import FOLDER_MODE, Organisation, read_private, write_private

log = logging.getLogger("lanyard.authority")

RENEW_AT_FRACTION: Final = 1 / 3
"""Of the lifetime left: time for three attempts to be noticed by somebody, even of a week's certificate."""


class Authority:
    """Issues certificates in the organisation's name. Holds the authority's key: keep it inside the server."""

    def __init__(self, organisation: Organisation, options: CertificateSection) -> None:
        """Read the keys. Raises Failure when one is missing, open to others or broken."""
        self._organisation = organisation
        self._options = options
        self._read()

    def reload(self, options: CertificateSection) -> None:
        """Read the keys again and work by these options. Raises Failure, and then everything is as before."""
        self._read()
        self._options = options

    def _read(self) -> None:
        organisation = self._organisation
        certificate = read_certificate_file(organisation.authority_certificate)
        server_certificate = read_certificate_file(organisation.server_certificate)
        server_key = read_key_file(organisation.server_key)
        key = read_key_file(organisation.authority_key)
        try:
            issuer = Issuer(certificate, key)
        except IdentityError as error:
            raise Failure(f"{organisation.keys}: {error}", Exit.CONFIG) from error
        if identity.certified_key(server_certificate) != keys.public_key(server_key):
            raise Failure(
                f"{organisation.server_key} does not belong to {organisation.server_certificate}.",
                Exit.CONFIG,
            )
        self.certificate, self.server_certificate = certificate, server_certificate
        self.organisation_id = identity.fingerprint(certificate)
        """Fingerprint of the authority: what clients pin."""
        self._issuer, self._server_key = issuer, server_key

    def issue(
        self, csr: bytes, user: UserId, device: DeviceId, now_ms: int
    ) -> tuple[bytes, bytes, int]:
        """A certificate for a user's device: DER, serial number, end. Raises RequestRefused for a request that can't be used."""
        try:
            issued = self._issuer.device_certificate(
                identity.read_request(csr),
                user,
                device,
                serial=secrets.token_bytes(identity.SERIAL_BYTES),
                now_ms=now_ms,
                days=self._options.device_days,
            )
        except IdentityError as error:
            raise RequestRefused(ErrorCode.INVALID, str(error)) from error
        log.info("certificate issued for device %s of user %s", format_id(device), format_id(user))
        return issued.certificate, issued.serial, issued.not_after_ms

    def wants_renewal(self, now_ms: int) -> bool:
        """Whether the server's certificate comes to its end, or does not name what the configuration does."""
        begins_ms, ends_ms = identity.validity_ms(self.server_certificate)
        if ends_ms - now_ms < (ends_ms - begins_ms) * RENEW_AT_FRACTION:
            return True
        names, addresses = split_names(self._options.names)
        named = identity.read_certificate(self.server_certificate)
        return not isinstance(named, ServerIdentity) or not (
            {name.lower() for name in names} <= {name.lower() for name in named.names}
            and set(addresses) <= set(named.addresses)
        )

    def renew_server(self, now_ms: int) -> None:
        """Give the server a new certificate for the same key and put it in its file. Raises Failure, IdentityError, OSError."""
        self.server_certificate = _issue_server(
            self._issuer, self._server_key, self._options, now_ms
        )
        chain = _chain(self.server_certificate, self.certificate)
        write_private(self._organisation.server_certificate, chain)
        _, ends_ms = identity.validity_ms(self.server_certificate)
        days = (ends_ms - now_ms) // 86_400_000
        log.info("the server's certificate was renewed for %d days", days)


def create(organisation: Organisation, name: str, options: CertificateSection, now_ms: int) -> None:
    """Make the keys of a new organisation in its folder. Raises Failure for a name that can't stand in a certificate."""
    authority_key, server_key = keys.new_key(), keys.new_key()
    serial = secrets.token_bytes(identity.SERIAL_BYTES)
    authority = identity.new_authority(authority_key, name, serial, now_ms)
    server = _issue_server(Issuer(authority, authority_key), server_key, options, now_ms)
    organisation.keys.mkdir(mode=FOLDER_MODE)
    write_private(organisation.authority_key, keys.key_to_pem(authority_key))
    write_private(organisation.authority_certificate, identity.certificate_to_pem(authority))
    write_private(organisation.server_key, keys.key_to_pem(server_key))
    write_private(organisation.server_certificate, _chain(server, authority))


def read_certificate_file(path: Path) -> bytes:
    """The first certificate of a file as DER. Raises Failure when the file is missing or holds no certificate."""
    try:
        return identity.certificate_from_pem(path.read_bytes())
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror}.", Exit.CONFIG) from error
    except IdentityError as error:
        raise Failure(f"{path}: {error}", Exit.CONFIG) from error


def read_key_file(path: Path) -> bytes:
    """A private key as PKCS #8. Raises Failure when the file is missing, open to others or broken."""
    try:
        return keys.key_from_pem(read_private(path))
    except IdentityError as error:
        raise Failure(f"{path}: {error}", Exit.CONFIG) from error


def split_names(names: Iterable[str]) -> tuple[list[str], list[IpAddress]]:
    """Tell host names and IP addresses apart."""
    hosts: list[str] = []
    addresses: list[IpAddress] = []
    for name in names:
        try:
            addresses.append(ipaddress.ip_address(name))
        except ValueError:
            hosts.append(name)
    return hosts, addresses


def _chain(certificate: bytes, authority: bytes) -> bytes:
    """The server's certificate and the authority's: a client that comes for the first time learns from TLS what it pins."""
    return identity.certificate_to_pem(certificate) + identity.certificate_to_pem(authority)


def _issue_server(issuer: Issuer, key: bytes, options: CertificateSection, now_ms: int) -> bytes:
    hosts, addresses = split_names(options.names)
    try:
        issued = issuer.server_certificate(
            keys.public_key(key),
            hosts,
            addresses,
            serial=secrets.token_bytes(identity.SERIAL_BYTES),
            now_ms=now_ms,
            days=options.server_days,
        )
    except IdentityError as error:
        raise Failure(f"certificate.names: {error}", Exit.CONFIG) from error
    return issued.certificate
