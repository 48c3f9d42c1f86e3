# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks over an organisation's folder: rights, keys, certificates, database. Changes nothing."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from protocol import identity
from protocol.identity import ServerIdentity
from protocol.keys import IdentityError
from server.authority import RENEW_AT_FRACTION, read_certificate_file, read_key_file, split_names
from server.config import Config
from server.failures import Failure
from server.findings import Finding, fault, good, note, warning
from server.organisation import Organisation
from server.store.migrate import MigrationError, known_steps, schema_version
from server.store.snapshot import damages

DAY_MS: Final = 86_400_000
AUTHORITY_WARNING_DAYS: Final = 365
"""Replacing the authority means visiting all clients: a year to plan it."""


def check_folder(organisation: Organisation) -> Iterator[Finding]:
    """Whose the folder is and who else gets in."""
    status = organisation.folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        yield fault(
            "folder",
            f"{organisation.folder} belongs to user {status.st_uid}, this is user {os.geteuid()}.",
            "Run check and server as the same user that owns the folder.",
        )
    if mode & 0o022:
        sentence = f"{organisation.folder} can be written by others (mode {mode:04o})."
        yield fault("folder", sentence, f"chmod 700 {organisation.folder}")
    elif mode & 0o055:
        sentence = f"{organisation.folder} can be looked into by others (mode {mode:04o})."
        yield warning("folder", sentence, f"chmod 700 {organisation.folder}")
    else:
        yield good("folder", f"{organisation.folder} is its owner's alone.")


def check_keys(organisation: Organisation, config: Config, now_ms: int) -> Iterator[Finding]:
    """Keys are there, secret and belong to their certificates; certificates are good now and for a while."""
    is_sound = True
    for what, key_file, certificate_file in (
        ("authority", organisation.authority_key, organisation.authority_certificate),
        ("server", organisation.server_key, organisation.server_certificate),
    ):
        try:
            key = read_key_file(key_file)
            certificate = read_certificate_file(certificate_file)
            identity.Issuer(certificate, key)  # compares the two
        except Failure as error:
            is_sound = False
            yield fault("keys", error.sentence, "Mend what it says, or restore --keys a backup.")
        except IdentityError:
            is_sound = False
            sentence = f"{key_file} does not belong to {certificate_file}."
            yield fault("keys", sentence, "Bring both back from one backup: restore --keys.")
        else:
            yield good("keys", f"The {what}'s key is secret and belongs to its certificate.")
    if is_sound:
        yield from _check_certificates(organisation, config, now_ms)


def _check_certificates(
    organisation: Organisation, config: Config, now_ms: int
) -> Iterator[Finding]:
    authority = read_certificate_file(organisation.authority_certificate)
    server = read_certificate_file(organisation.server_certificate)
    if not identity.is_issued_by(server, authority):
        yield fault(
            "certificate",
            "The server's certificate is not the organisation's.",
            "Bring both back from one backup: restore --keys.",
        )
    yield _authority_time(authority, now_ms)
    yield _server_time(server, now_ms)
    named = identity.read_certificate(server)
    hosts, addresses = split_names(config.certificate.names)
    if isinstance(named, ServerIdentity):
        missing = {host.lower() for host in hosts} - {name.lower() for name in named.names}
        lacking = [*sorted(missing), *(str(a) for a in addresses if a not in named.addresses)]
        if lacking:
            yield note(
                "certificate",
                f"The certificate does not name {', '.join(lacking)} yet; the server renews it when it starts or reloads.",
            )


def _authority_time(authority: bytes, now_ms: int) -> Finding:
    begins_ms, ends_ms = identity.validity_ms(authority)
    days = (ends_ms - now_ms) // DAY_MS
    if now_ms < begins_ms:
        return _clock_behind("The organisation's authority")
    if now_ms > ends_ms:
        sentence = f"The organisation's authority expired {(now_ms - ends_ms) // DAY_MS} days ago."
        return fault(
            "certificate", sentence, "Look at the clock; otherwise make a new organisation."
        )
    if days < AUTHORITY_WARNING_DAYS:
        sentence = f"The organisation's authority ends in {days} days."
        return warning("certificate", sentence, "Plan a new one: all clients must be told of it.")
    return good("certificate", f"The organisation's authority is good for {days // 365} years.")


def _server_time(server: bytes, now_ms: int) -> Finding:
    begins_ms, ends_ms = identity.validity_ms(server)
    days = (ends_ms - now_ms) // DAY_MS
    if now_ms < begins_ms:
        return _clock_behind("The server's certificate")
    if now_ms > ends_ms:
        sentence = f"The server's certificate expired {(now_ms - ends_ms) // DAY_MS} days ago."
        return fault("certificate", sentence, "Start or reload the server: it renews it by itself.")
    if ends_ms - now_ms < (ends_ms - begins_ms) * RENEW_AT_FRACTION:
        sentence = f"The server's certificate ends in {days} days and was not renewed."
        return warning(
            "certificate", sentence, "Start or reload the server: it renews it by itself."
        )
    return good("certificate", f"The server's certificate is good for {days} days.")


def _clock_behind(what: str) -> Finding:
    sentence = f"{what} is not valid yet: the clock is behind the time at which it was made."
    return fault("clock", sentence, "Set the clock: timedatectl set-ntp true")


def check_database(path: Path) -> Iterator[Finding]:
    """The database is there, whole, private, and of a schema that this program knows. Reads all of it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        sentence = f"{path}: {error.strerror}."
        yield fault("database", sentence, "Bring it back: lanyard-server restore FILE")
        return
    if mode & 0o077:
        yield fault("database", f"{path} is open to others (mode {mode:04o}).", f"chmod 600 {path}")
    found = damages(path)
    if found:
        yield fault(
            "database",
            f"{path} is damaged: {'; '.join(found[:3])}.",
            "Stop the server, look at the disk (dmesg, smartctl), then: lanyard-server restore FILE",
        )
        return
    try:
        version, newest = schema_version(path), known_steps()[-1].number
    except MigrationError as error:
        yield fault("database", str(error), "Bring it back: lanyard-server restore FILE")
        return
    if version > newest:
        sentence = f"The database has schema {version}, this program knows {newest}."
        yield fault("database", sentence, "Install the version that wrote it, or a newer one.")
    elif version < newest:
        sentence = f"The database has schema {version}; the next start brings it to {newest}, after a copy."
        yield note("database", sentence)
    else:
        yield good("database", f"The database is whole and of schema {version}.")
