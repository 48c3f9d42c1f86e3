# SPDX-License-Identifier: GPL-3.0-or-later
"""`backup` and `restore` of an organisation whose server does not run."""

from __future__ import annotations

from pathlib import Path

from server.failures import Exit
from server.organisation import FolderLock, Organisation
from tests.server.commands.conftest import ADMIN, Command


def logins(command: Command) -> list[str]:
    return [person["login"] for person in command("user", "list")["people"]]


def test_there_and_back(command: Command, organisation: Organisation) -> None:
    taken = command("backup")
    assert Path(taken["path"]).parent == organisation.folder / "backups"
    command("user", "add", "ann", "--name", "Ann")
    restored = command("restore", taken["path"])
    assert Path(restored["kept"]).exists()
    assert logins(command) == [ADMIN]


def test_to_another_machine(lanyard: Command, command: Command, tmp_path: Path) -> None:
    command("user", "add", "ann", "--name", "Ann")
    taken = command("backup", tmp_path / "x")
    new = tmp_path / "deep" / "moved"
    lanyard("restore", tmp_path / "x", "--dir", new)
    people = lanyard("user", "list", "--dir", new)["people"]
    assert [person["login"] for person in people] == [ADMIN, "ann"]
    assert new.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in new.parent.iterdir()) == ["moved"]
    again = lanyard("backup", tmp_path / "y", "--dir", new)
    assert again["organisation_id"] == taken["organisation_id"]


def test_without_keys_no_organisation_can_be_made(
    lanyard: Command, command: Command, tmp_path: Path
) -> None:
    command("backup", tmp_path / "x", "--no-keys")
    refused = lanyard("restore", tmp_path / "x", "--dir", tmp_path / "new", code=Exit.BAD_DATA)
    assert "holds no keys" in refused["error"]
    assert not (tmp_path / "new").exists()


def test_keys_come_back_when_asked_for(
    command: Command, organisation: Organisation, tmp_path: Path
) -> None:
    command("backup", tmp_path / "x")
    organisation.server_key.unlink()
    command("user", "list", code=Exit.CONFIG)
    command("restore", tmp_path / "x", "--keys")
    assert logins(command) == [ADMIN]


def test_another_organisations_backup_is_refused(
    lanyard: Command, command: Command, tmp_path: Path
) -> None:
    lanyard("init", tmp_path / "other", "--name", "Other", "--names", "localhost")
    lanyard("backup", tmp_path / "x", "--dir", tmp_path / "other")
    refused = command("restore", tmp_path / "x", code=Exit.BAD_DATA)
    assert "another organisation, Other" in refused["error"]


def test_a_folder_in_use_without_a_server_that_answers(
    command: Command, organisation: Organisation, tmp_path: Path
) -> None:
    command("backup", tmp_path / "x")  # a backup needs no lock
    lock = FolderLock(organisation)
    lock.acquire()
    command("backup", tmp_path / "y")
    command("restore", tmp_path / "x", code=Exit.UNAVAILABLE)
    command("restore", tmp_path / "x", "--keys", code=Exit.BUSY)
    lock.release()
