# SPDX-License-Identifier: GPL-3.0-or-later
"""`init`: a new organisation, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol import identity
from protocol.identity import ServerIdentity
from server.authority import read_certificate_file
from server.commands.init import names_of_this_machine
from server.failures import Exit
from server.organisation import Organisation
from tests.server.commands.conftest import Command


def test_everything_is_there_and_private(lanyard: Command, tmp_path: Path) -> None:
    (tmp_path / "office").mkdir()  # an empty folder is as good as none
    made = lanyard(
        "init", tmp_path / "office", "--name", "Büro", "--names", "büro.example, 192.0.2.1"
    )
    organisation = Organisation(tmp_path / "office")
    assert made["organisation"] == "Büro"
    assert len(made["password"]) == 19
    names = sorted(path.name for path in organisation.folder.iterdir())
    assert names == ["config.toml", "keys", "lanyard.db"]
    for path in organisation.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    named = identity.read_certificate(read_certificate_file(organisation.server_certificate))
    assert isinstance(named, ServerIdentity)
    assert named.names == ("xn--bro-hoa.example",)
    assert [str(address) for address in named.addresses] == ["192.0.2.1"]
    assert organisation.load_config().certificate.names == ("büro.example", "192.0.2.1")
    (admin,) = lanyard("user", "list", "--dir", organisation.folder)["people"]
    assert (admin["login"], admin["must_change_password"]) == ("admin", True)
    assert [role["role"] for role in admin["roles"]] == ["Administrator"]


@pytest.mark.parametrize(
    ("options", "stdin", "code"),
    [
        (("--password-file", "-"), "short", Exit.BAD_DATA),
        (("--names", "a..b"), "", Exit.CONFIG),
        (("--admin", ""), "", Exit.USAGE),
        (("--name", ""), "", Exit.USAGE),
        (("--port", "-1"), "", Exit.CONFIG),
    ],
)
def test_a_failure_leaves_nothing(
    lanyard: Command, tmp_path: Path, options: tuple[str, ...], stdin: str, code: Exit
) -> None:
    refused = lanyard("init", tmp_path / "office", *options, stdin=stdin, code=code)
    assert refused["error"]
    assert list(tmp_path.iterdir()) == []


def test_this_machine_knows_its_names() -> None:
    names = names_of_this_machine()
    assert {"localhost", "127.0.0.1", "::1"} <= set(names)
    assert len(set(names)) == len(names)
