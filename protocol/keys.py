# SPDX-License-Identifier: GPL-3.0-or-later
"""Private and public keys as bytes (DER), and as text (PEM) for files. No files here; a new key draws on the system's randomness."""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import ProtocolError

CURVE: Final = ec.SECP256R1
"""P-256: in every TLS library, and the fastest of them to sign with."""


class IdentityError(ProtocolError):
    """A key, request or certificate can't be used; the message says which and why."""


def new_key() -> bytes:
    """A fresh private key, PKCS #8."""
    return encode_private_key(ec.generate_private_key(CURVE()), serialization.Encoding.DER)


def public_key(key: bytes) -> bytes:
    """The public half of a private key (SubjectPublicKeyInfo)."""
    return encode_public_key(load_private_key(key).public_key())


def key_to_pem(key: bytes) -> bytes:
    """A private key as text, for a file that nobody else may read."""
    return encode_private_key(load_private_key(key), serialization.Encoding.PEM)


def key_from_pem(text: bytes) -> bytes:
    """Read a private key's text. Raises IdentityError."""
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"The key can't be read: {error}") from error
    return encode_private_key(_required_private(key), serialization.Encoding.DER)


def load_private_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a private key. Raises IdentityError."""
    try:
        key = serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"The key can't be read: {error}") from error
    return _required_private(key)


def load_public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """Read a public key. Raises IdentityError."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"The public key can't be read: {error}") from error
    return required_kind(key)


def required_kind(key: object) -> ec.EllipticCurvePublicKey:
    """The public key, when it is of the kind that everybody here uses. Raises IdentityError."""
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, CURVE):
        return key
    raise IdentityError("The key is of another kind; an ECDSA key on P-256 is needed.")


def encode_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def encode_private_key(key: ec.EllipticCurvePrivateKey, encoding: serialization.Encoding) -> bytes:
    """PKCS #8, unencrypted."""
    return key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _required_private(key: object) -> ec.EllipticCurvePrivateKey:
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVE):
        return key
    raise IdentityError("The key is of another kind; an ECDSA key on P-256 is needed.")
