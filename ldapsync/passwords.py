# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords, fetched from where the configuration says: a file, the environment, the system's keyring. They are never logged."""

import os
import stat
from pathlib import Path

from ldapsync.config import Password
from ldapsync.failures import SecretMissing

_OTHERS = stat.S_IRWXG & ~stat.S_IRGRP | stat.S_IRWXO
"""A group may read a password (systemd and containers hand them over so); others may not."""


def fetch(place: Password, what: str) -> str:
    """The password that ``place`` points to; ``what`` names it in errors. Raises SecretMissing."""
    places = [place.password_file, place.password_env, place.password_keyring]
    if sum(map(bool, places)) != 1:
        raise SecretMissing(
            f"{what}: give one of password_file, password_env and password_keyring."
        )
    if place.password_file:
        secret = _from_file(Path(place.password_file), what)
    elif place.password_env:
        secret = os.environ.get(place.password_env, "")
    else:
        secret = _from_keyring(place.password_keyring, what)
    if not secret:
        where = next(filter(None, places))
        raise SecretMissing(f"{what}: {where} is empty or not set.")
    return secret


def _from_file(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SecretMissing(f"{what}: {path} is not UTF-8 text.") from error
    except OSError as error:
        raise SecretMissing(f"{what}: {path} can't be read: {error.strerror}.") from error
    if os.name == "posix" and mode & _OTHERS:
        raise SecretMissing(f"{what}: {path} may be read by others; chmod 600 {path}.")
    return text.partition("\n")[0].rstrip("\r")


def _from_keyring(entry: str, what: str) -> str:
    # Programs that don't use it start without it: its back ends take a while to load.
    import keyring
    import keyring.errors

    service, slash, user = entry.partition("/")
    if not slash:
        raise SecretMissing(f"{what}: write password_keyring as service/user.")
    try:
        return keyring.get_password(service, user) or ""
    except keyring.errors.KeyringError as error:
        raise SecretMissing(f"{what}: the keyring can't be read: {error}.") from error
