# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets this device in without a password: token, key, certificate. Files that only their owner may read; never logged."""

from pathlib import Path
from typing import Final

import msgspec

from client.core.profile import write_private
from protocol.identity import (
    DeviceIdentity,
    certificate_from_pem,
    certificate_to_pem,
    certified_key,
    new_request,
    read_certificate,
    validity_ms,
)
from protocol.ids import UserId
from protocol.keys import IdentityError, key_from_pem, key_to_pem, new_key, public_key

RENEW_AFTER_PART: Final = 0.5
"""A certificate is renewed after this part of its life: a computer that is used once in a while keeps it valid."""


class Ticket(msgspec.Struct, frozen=True):
    """For Resume."""

    user: UserId
    token: bytes


class Credentials:
    """The secrets of one profile. Small files, written rarely: on the caller's thread."""

    def __init__(self, folder: Path) -> None:
        self._key_path = folder / "device.key"
        self._certificate_path = folder / "device.crt"
        self._ticket_path = folder / "session.token"
        self._certificate: bytes | None = None
        self._ticket: Ticket | None = None
        self._load()

    @property
    def ticket(self) -> Ticket | None:
        """What Resume takes."""
        return self._ticket

    @property
    def certificate(self) -> bytes | None:
        """The device's certificate, DER, when it fits the key."""
        return self._certificate

    @property
    def chain_files(self) -> tuple[Path, Path] | None:
        """Certificate and key as ssl loads them; None, too, when somebody has removed them while we run."""
        files = self._certificate_path, self._key_path
        if self._certificate is None or not all(path.is_file() for path in files):
            return None
        return files

    @property
    def can_resume(self) -> bool:
        """Whether a sign-in without password may be tried."""
        return self._ticket is not None or self._certificate is not None

    def keep_token(self, user: UserId, token: bytes) -> None:
        """Keep the token of the session; an empty one leaves the old one valid."""
        if token:
            self._ticket = Ticket(user, token)
            write_private(self._ticket_path, msgspec.msgpack.encode(self._ticket))

    def certificate_request(self) -> bytes:
        """A request for the device's certificate; the key is made when there is none."""
        try:
            key = key_from_pem(self._key_path.read_bytes())
        except (FileNotFoundError, IdentityError):
            key = new_key()
            write_private(self._key_path, key_to_pem(key))
        return new_request(key)

    def keep_certificate(self, certificate: bytes) -> None:
        """Keep what the organisation issued. Raises IdentityError when it is not for this device's key."""
        if certified_key(certificate) != public_key(key_from_pem(self._key_path.read_bytes())):
            raise IdentityError("The certificate that was issued is not for this device's key.")
        write_private(self._certificate_path, certificate_to_pem(certificate))
        self._certificate = certificate

    def is_renewal_due(self, now_ms: int) -> bool:
        """Whether a certificate should be asked for. ``now_ms``: the server's time."""
        if self._certificate is None:
            return True
        begin_ms, end_ms = validity_ms(self._certificate)
        return now_ms >= begin_ms + (end_ms - begin_ms) * RENEW_AFTER_PART

    def forget_certificate(self) -> None:
        """The certificate is not accepted any more."""
        self._certificate = None
        self._certificate_path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Sign-out: nothing here lets anybody in any more."""
        self._certificate = None
        self._ticket = None
        for path in (self._ticket_path, self._certificate_path, self._key_path):
            path.unlink(missing_ok=True)

    def _load(self) -> None:
        """Read what is there; what can't be read counts as lost, and a password brings it back."""
        try:
            self._ticket = msgspec.msgpack.decode(self._ticket_path.read_bytes(), type=Ticket)
        except (FileNotFoundError, msgspec.MsgspecError):
            pass
        try:
            certificate = certificate_from_pem(self._certificate_path.read_bytes())
            key = key_from_pem(self._key_path.read_bytes())
            identity = read_certificate(certificate)
            if certified_key(certificate) == public_key(key) and isinstance(
                identity, DeviceIdentity
            ):
                self._certificate = certificate
        except (FileNotFoundError, IdentityError):
            pass
