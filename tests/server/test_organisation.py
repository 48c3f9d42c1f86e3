# SPDX-License-Identifier: GPL-3.0-or-later
"""The organisation's folder: what it is not, who may use it, one process at a time, secrets that stay so."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from server.config import Config, ControlSection, StoreSection
from server.failures import Exit, Failure
from server.organisation import FolderLock, Organisation, read_private, write_private


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_that_is_no_organisation_says_how_to_make_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(Failure, match=r"is not an organisation's folder.*init") as caught:
        Organisation(tmp_path / name).load_config()
    assert caught.value.exit_code == Exit.NO_INPUT


def test_paths_are_relative_to_the_folder_and_may_leave_it(tmp_path: Path) -> None:
    organisation = Organisation(tmp_path)
    assert organisation.database(Config()) == tmp_path / "lanyard.db"
    elsewhere = Config(store=StoreSection(url="sqlite:/srv/x.db", backup_folder="/mnt/b"))
    assert organisation.database(elsewhere) == Path("/srv/x.db")
    assert organisation.backups(elsewhere) == Path("/mnt/b")


@pytest.mark.parametrize("url", ["postgresql://db/lanyard", "sqlite:", "lanyard.db"])
def test_a_store_of_another_kind_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Failure, match="not a store of this version") as caught:
        Organisation(tmp_path).database(Config(store=StoreSection(url=url)))
    assert caught.value.exit_code == Exit.CONFIG


def test_a_socket_path_that_is_too_long_names_the_option(tmp_path: Path) -> None:
    config = Config(control=ControlSection(socket="x" * 120))
    with pytest.raises(Failure, match=r"control\.socket"):
        Organisation(tmp_path).control_socket(config)


def test_one_process_holds_the_folder(tmp_path: Path) -> None:
    organisation = Organisation(tmp_path)
    first, second = FolderLock(organisation), FolderLock(organisation)
    first.acquire()
    with pytest.raises(Failure, match=f"in use by process {os.getpid()}") as caught:
        second.acquire()
    assert caught.value.exit_code == Exit.BUSY
    assert second.holder() == os.getpid()
    first.release()
    assert second.holder() is None
    second.acquire()
    second.release()


def test_a_private_file_is_written_whole_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"one")
    write_private(path, b"two")
    assert read_private(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_a_key_that_others_can_read_is_no_key_any_more(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"secret")
    path.chmod(0o640)
    with pytest.raises(Failure, match=r"can be read by others \(mode 0640\).*chmod 600"):
        read_private(path)


def test_a_missing_key_points_to_the_backup(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"missing.*backup"):
        read_private(tmp_path / "key")
