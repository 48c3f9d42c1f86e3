# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of TLS: versions, certificates, and exchanging them while the server runs."""

import ssl
from pathlib import Path
from typing import Final

SESSION_TICKETS: Final = 0
"""A ticket costs about 90 us of the server at each sign-in, and resuming with one saves the signature only, not the key
exchange: 10 to 40 % of a handshake. Clients reconnect rarely enough."""


class TlsUnusable(Exception):
    """The server's certificate or key can't be used. The message is a sentence for the administrator."""


class ServerTls:
    """The context for new connections; connections that are open keep the one that they began with."""

    def __init__(self, certificate: Path, key: Path, authority: Path) -> None:
        """Read the server's certificate (PEM, with its chain), its key, and the authority that vouches for devices.
        Raises TlsUnusable."""
        self._certificate = certificate
        self._key = key
        self._authority = authority
        self.context = self._make_context()

    def reload(self) -> None:
        """Read the files again. Raises TlsUnusable, and then the old context stays in use."""
        self.context = self._make_context()

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
        context.num_tickets = SESSION_TICKETS
        for path in (self._certificate, self._key, self._authority):
            _check_readable(path)
        self._load_certificate(context)
        self._load_authority(context)
        # A device may show its certificate; one that the authority does not vouch for ends the handshake.
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        try:
            # A key with a pass phrase must not make the server ask on its terminal.
            context.load_cert_chain(self._certificate, self._key, password=_no_pass_phrase)
        except _PassPhraseWanted as error:
            raise TlsUnusable(
                f"The key {self._key} is protected by a pass phrase; write it without one."
            ) from error
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                sentence = f"The key {self._key} does not belong to {self._certificate}."
            else:
                sentence = (
                    f"{self._certificate} and {self._key} are not a certificate and its key in PEM "
                    f"({error.reason or error})."
                )
            raise TlsUnusable(sentence) from error

    def _load_authority(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(cafile=self._authority)
        except ssl.SSLError as error:
            raise TlsUnusable(
                f"{self._authority} is not a certificate in PEM ({error.reason or error})."
            ) from error


class _PassPhraseWanted(Exception):
    """OpenSSL asked for a pass phrase."""


def _no_pass_phrase() -> str:
    raise _PassPhraseWanted


def _check_readable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise TlsUnusable(f"{path} can't be read: {error.strerror}.") from error
