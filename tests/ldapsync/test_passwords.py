# SPDX-License-Identifier: GPL-3.0-or-later
"""Where passwords come from, and that one which others may read is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from ldapsync.config import Password
from ldapsync.failures import SecretMissing
from ldapsync.passwords import fetch


def test_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text("päss word\r\nsecond line\n")
    assert fetch(Password(password_file=str(file)), "server") == "päss word"
    file.chmod(0o640)
    assert fetch(Password(password_file=str(file)), "server") == "päss word"
    file.chmod(0o644)
    with pytest.raises(SecretMissing, match="chmod 600"):
        fetch(Password(password_file=str(file)), "server")


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_SECRET", "from there")
    assert fetch(Password(password_env="OFFICE_SECRET"), "server") == "from there"
    with pytest.raises(SecretMissing, match="OTHER_SECRET is empty or not set"):
        fetch(Password(password_env="OTHER_SECRET"), "server")


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        return "kept" if (service, username) == ("lanyard", "reader") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.PasswordSetError


@pytest.fixture
def ring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("ring")
def test_from_the_keyring() -> None:
    assert fetch(Password(password_keyring="lanyard/reader"), "server") == "kept"
    for entry in ("lanyard/nobody", "lanyard"):
        with pytest.raises(SecretMissing):
            fetch(Password(password_keyring=entry), "server")


def test_exactly_one_place(tmp_path: Path) -> None:
    for place in (Password(), Password(password_file="a", password_env="b")):
        with pytest.raises(SecretMissing, match="give one of"):
            fetch(place, "server")
    with pytest.raises(SecretMissing, match="can't be read"):
        fetch(Password(password_file=str(tmp_path / "missing")), "server")
