# SPDX-License-Identifier: GPL-3.0-or-later
"""`check`: one report of everything, with an exit code for how bad it is. The single checks: test_checks.py, test_machine.py."""

from __future__ import annotations

from server.commands.check import look_over
from server.failures import Exit
from server.findings import Severity
from server.organisation import FolderLock, Organisation
from tests.server.commands.conftest import Command


def test_a_new_organisation_is_well(lanyard: Command, organisation: Organisation) -> None:
    report = lanyard("check", organisation.folder)
    assert report["severity"] == "note"
    subjects = {finding["subject"] for finding in report["findings"]}
    assert subjects >= {"config", "folder", "keys", "certificate", "database", "server", "disk"}


def test_how_bad_it_is_shows_in_the_exit_code(lanyard: Command, organisation: Organisation) -> None:
    organisation.folder.chmod(0o755)
    assert lanyard("check", organisation.folder, code=Exit.REFUSED)["severity"] == "warning"
    organisation.server_key.chmod(0o666)
    report = lanyard("check", organisation.folder, code=Exit.FAULTS)
    assert report["severity"] == "fault"


def test_a_wrong_configuration_does_not_hide_the_rest(organisation: Organisation) -> None:
    organisation.config_file.write_text("[listen]\nprot = 1\n", encoding="utf-8")
    organisation.folder.joinpath("lanyard.db").write_bytes(b"rubbish")
    faults = {each.subject for each in look_over(organisation) if each.severity is Severity.FAULT}
    assert {"config", "database"} <= faults


def test_a_server_that_hangs_is_a_fault(organisation: Organisation) -> None:
    lock = FolderLock(organisation)
    lock.acquire()
    (found,) = [each for each in look_over(organisation) if each.subject == "server"]
    lock.release()
    assert found.severity is Severity.FAULT
    assert "does not answer" in found.sentence
