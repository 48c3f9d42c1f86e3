# SPDX-License-Identifier: GPL-3.0-or-later
"""How a connection to a directory is protected: the context that checks the certificate, and the name that it must bear."""

import ssl
from urllib.parse import urlsplit

from ldapsync.config import Access, Security
from ldapsync.failures import ConfigInvalid


def context_for(access: Access) -> ssl.SSLContext | None:
    """What wraps connections; None without TLS. Raises ConfigInvalid when a named file can't be used.

    Python checks names and IP addresses itself here. ldap3's own check, made for Pythons that could not, refuses
    certificates that match by IP address, and checks nothing at all unless it is told to.
    """
    if access.security is Security.PLAIN:
        return None
    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(
            f"ca_file: {access.ca_file} can't be used: {_words(error)}. It has to hold certificates in PEM form."
        ) from error
    if access.certificate_file:
        try:
            context.load_cert_chain(access.certificate_file, access.key_file or None, _no_password)
        except (OSError, ssl.SSLError) as error:
            raise ConfigInvalid(
                f"certificate_file: {access.certificate_file} can't be used: {_words(error)}."
                " Certificate and key have to belong together, in PEM form, the key without a password."
            ) from error
    if access.security is Security.UNCHECKED:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_password() -> str:
    """A key with a password is refused; without this OpenSSL would ask on the terminal."""
    return ""


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def host_of(url: str) -> str:
    """The host name or address in a URL."""
    return urlsplit(url).hostname or ""


def about_certificate(url: str, name: str, refusal: ssl.SSLCertVerificationError) -> str:
    """Why a certificate was refused, for an administrator."""
    return (
        f"{url}: the certificate is not to be trusted as that of {name}: {refusal.verify_message}."
        " Name the authority that issued it in ca_file, or the name that it bears in server_name."
    )
