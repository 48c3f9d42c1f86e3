# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who without asking anybody: keys, requests and certificates of one organisation, as bytes (DER).

The organisation's authority signs the server's certificate and short-lived certificates of devices; both name what they are in
a URI, so that a device is never taken for the server. No files and no clock here; key and signature draw on the system's randomness.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from protocol.ids import DeviceId, UserId, format_id, parse_id
from protocol.keys import (
    IdentityError,
    encode_public_key,
    load_private_key,
    load_public_key,
    required_kind,
)
from protocol.limits import MAX_CSR_BYTES
from protocol.words import spell

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

SERIAL_BYTES: Final = 16
"""RFC 5280 section 4.1.2.2 allows 20; 16 random bytes never repeat."""
FINGERPRINT_WORDS: Final = 12
"""132 of the 256 bits: more than anybody can search through, little enough to read aloud."""
AUTHORITY_DAYS: Final = 25 * 365
"""The authority is pinned by every client; replacing it means visiting them all."""
BACKDATED_DAYS: Final = 2
"""Certificates begin in the past, so that computers whose clocks are a day behind accept a fresh one."""
MAX_COMMON_NAME_CHARS: Final = 64
"""RFC 5280 appendix A.1, ub-common-name."""

_DAY_MS: Final = 24 * 60 * 60 * 1000
_SERVER_URI: Final = "urn:lanyard:server"
_USER_URI: Final = "urn:lanyard:user:"
_DEVICE_PART: Final = ":device:"


class DeviceIdentity(Struct, frozen=True):
    """A user's device, as its certificate names it."""

    user: UserId
    device: DeviceId
    serial: bytes
    not_after_ms: int


class ServerIdentity(Struct, frozen=True):
    """The organisation's server, as its certificate names it."""

    names: tuple[str, ...]
    addresses: tuple[IpAddress, ...]
    serial: bytes
    not_after_ms: int


class Issued(Struct, frozen=True):
    """A new certificate."""

    certificate: bytes
    serial: bytes
    not_after_ms: int


def new_authority(key: bytes, organisation: str, serial: bytes, now_ms: int) -> bytes:
    """The organisation's own certificate, which signs all others. ``serial``: SERIAL_BYTES random bytes."""
    private = load_private_key(key)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:MAX_COMMON_NAME_CHARS]),
            x509.NameAttribute(NameOID.COMMON_NAME, "Lanyard organisation authority"),
        ]
    )
    usage = _key_usage(signs_certificates=True)
    not_after_ms = now_ms + AUTHORITY_DAYS * _DAY_MS
    return _encoded(
        _blank(private.public_key(), name, serial, now_ms, not_after_ms)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(private, hashes.SHA256())
    )


class Issuer:
    """The organisation's authority with its key: makes certificates."""

    def __init__(self, authority: bytes, key: bytes) -> None:
        """Raises IdentityError when the key is not the authority's."""
        self._key = load_private_key(key)
        self._certificate = _certificate(authority)
        if self._key.public_key() != self._certificate.public_key():
            raise IdentityError("The authority's key does not belong to its certificate.")

    def server_certificate(
        self,
        public_key: bytes,
        names: Sequence[str],
        addresses: Sequence[IpAddress],
        *,
        serial: bytes,
        now_ms: int,
        days: int,
    ) -> Issued:
        """A certificate for the server under all its host names and addresses. Raises IdentityError for a name that can't be one."""
        alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(_SERVER_URI)]
        alternatives += [x509.DNSName(_ascii_name(name)) for name in names]
        alternatives += [x509.IPAddress(address) for address in addresses]
        common_name = names[0] if names else "Lanyard server"
        uses = [ExtendedKeyUsageOID.SERVER_AUTH]
        return self._issue(public_key, common_name, alternatives, uses, serial, now_ms, days)

    def device_certificate(
        self,
        public_key: bytes,
        user: UserId,
        device: DeviceId,
        *,
        serial: bytes,
        now_ms: int,
        days: int,
    ) -> Issued:
        """A certificate for a user's device, good for signing in and, towards other devices, for both ends of a link."""
        uri = f"{_USER_URI}{format_id(user)}{_DEVICE_PART}{format_id(device)}"
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        alternatives = [x509.UniformResourceIdentifier(uri)]
        return self._issue(public_key, format_id(device), alternatives, uses, serial, now_ms, days)

    def _issue(
        self,
        public_key: bytes,
        common_name: str,
        alternatives: Sequence[x509.GeneralName],
        uses: list[x509.ObjectIdentifier],
        serial: bytes,
        now_ms: int,
        days: int,
    ) -> Issued:
        authority_end_ms = _milliseconds(self._certificate.not_valid_after_utc)
        not_after_ms = min(now_ms + days * _DAY_MS, authority_end_ms)
        if not_after_ms <= now_ms:
            raise IdentityError("The organisation's authority has expired.")
        common = x509.NameAttribute(NameOID.COMMON_NAME, common_name[:MAX_COMMON_NAME_CHARS])
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _blank(load_public_key(public_key), x509.Name([common]), serial, now_ms, not_after_ms)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(signer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        not_after_ms = _milliseconds(certificate.not_valid_after_utc)
        return Issued(_encoded(certificate), serial_of(certificate.serial_number), not_after_ms)


def new_request(key: bytes) -> bytes:
    """A device's request for a certificate. It proves that the sender has the key; the names are the server's to set."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lanyard device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(load_private_key(key), hashes.SHA256()).public_bytes(
        serialization.Encoding.DER
    )


def read_request(csr: bytes) -> bytes:
    """The public key for which a certificate is requested. Raises IdentityError when the request is broken or not signed by that key."""
    if len(csr) > MAX_CSR_BYTES:
        raise IdentityError(f"A certificate request holds at most {MAX_CSR_BYTES} bytes.")
    try:
        request = x509.load_der_x509_csr(csr)
        is_sound = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise IdentityError(f"The certificate request can't be read: {error}") from error
    if not is_sound:
        raise IdentityError("The certificate request is not signed by its own key.")
    return encode_public_key(required_kind(key))


def read_certificate(certificate: bytes) -> DeviceIdentity | ServerIdentity:
    """Whom a certificate names. Whether it is genuine, TLS or ``is_issued_by`` must have said; its time is the caller's to judge.

    Raises IdentityError when it is neither a device's nor the server's.
    """
    parsed = _certificate(certificate)
    serial = serial_of(parsed.serial_number)
    not_after_ms = _milliseconds(parsed.not_valid_after_utc)
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise IdentityError("The certificate names neither a device nor the server.") from error
    alternatives = extension.value
    uris = alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) == 1 and uris[0] == _SERVER_URI:
        return ServerIdentity(
            tuple(alternatives.get_values_for_type(x509.DNSName)),
            tuple(
                address
                for address in alternatives.get_values_for_type(x509.IPAddress)
                if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
            ),
            serial,
            not_after_ms,
        )
    if len(uris) == 1 and len(alternatives) == 1 and uris[0].startswith(_USER_URI):
        user, found, device = uris[0].removeprefix(_USER_URI).partition(_DEVICE_PART)
        if found:
            try:
                return DeviceIdentity(parse_id(user), parse_id(device), serial, not_after_ms)
            except ValueError as error:
                raise IdentityError(f"The certificate's device can't be read: {error}") from error
    raise IdentityError("The certificate names neither a device nor the server.")


def is_issued_by(certificate: bytes, authority: bytes) -> bool:
    """Whether the authority signed the certificate. Says nothing about time."""
    try:
        _certificate(certificate).verify_directly_issued_by(_certificate(authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def validity_ms(certificate: bytes) -> tuple[int, int]:
    """From when until when a certificate is good, Unix milliseconds."""
    parsed = _certificate(certificate)
    return _milliseconds(parsed.not_valid_before_utc), _milliseconds(parsed.not_valid_after_utc)


def certified_key(certificate: bytes) -> bytes:
    """The public key in a certificate (SubjectPublicKeyInfo)."""
    return encode_public_key(required_kind(_certificate(certificate).public_key()))


def fingerprint(certificate: bytes) -> bytes:
    """SHA-256 of the certificate's public key: stays the same when the certificate is renewed for the same key.

    Of the authority, this is the identity of the organisation.
    """
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certified_key(certificate))
    return digest.finalize()


def fingerprint_hex(value: bytes) -> str:
    """A fingerprint for the eye: groups of four digits."""
    digits = value.hex()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def fingerprint_words(value: bytes) -> str:
    """A fingerprint for reading aloud."""
    return " ".join(spell(value, FINGERPRINT_WORDS))


def serial_of(number: int) -> bytes:
    """A certificate's serial number as bytes, for keeping and comparing."""
    return number.to_bytes(max(SERIAL_BYTES, (number.bit_length() + 7) // 8), "big")


def certificate_to_pem(certificate: bytes) -> bytes:
    """A certificate as text, for a file."""
    return _certificate(certificate).public_bytes(serialization.Encoding.PEM)


def certificate_from_pem(text: bytes) -> bytes:
    """Read a certificate's text. Raises IdentityError."""
    try:
        return _encoded(x509.load_pem_x509_certificate(text))
    except ValueError as error:
        raise IdentityError(f"The certificate can't be read: {error}") from error


def _blank(
    key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    serial: bytes,
    now_ms: int,
    not_after_ms: int,
) -> x509.CertificateBuilder:
    """What all certificates have in common."""
    if len(serial) != SERIAL_BYTES:
        raise ValueError(f"a serial number takes {SERIAL_BYTES} bytes, not {len(serial)}")
    # Positive and always as long as it was: the first bit is the sign, the second stands.
    number = int.from_bytes(bytes((0x40 | serial[0] & 0x3F,)) + serial[1:], "big")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(number)
        .not_valid_before(_time(now_ms - BACKDATED_DAYS * _DAY_MS))
        .not_valid_after(_time(not_after_ms))
        .add_extension(identifier, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ascii_name(name: str) -> str:
    """A host name as it stands in certificates: internationalised labels in their ASCII form (RFC 5890)."""
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise IdentityError(f"{name!r} can't be a host name: {error}") from error


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as error:
        raise IdentityError(f"The certificate can't be read: {error}") from error


def _encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _time(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)


def _milliseconds(at: dt.datetime) -> int:
    return int(at.timestamp()) * 1000
