# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server with a real directory behind it: passwords that are kept there, and runs over the control socket."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.admin import ChangeDirectory, GetAdminDirectory, PutPerson
from protocol.messages.session import ChangePassword
from protocol.messages.sync import AddToRun, BeginRun, CommitRun, GetMarks, ListRuns, UndoRun
from server import config_file
from server.config import LdapSection
from server.failures import ConfigInvalid
from server.ldap import Ldap
from server.operator_line import OperatorLine
from tests.support.ldap_office import IN_PEOPLE, LdapOffice, ldap_office
from tests.support.server_process import Caller, ServerProcess, make_organisation, wait_until

SECRET = "the door is blue"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LdapOffice]:
    with ldap_office(tmp_path_factory.mktemp("ldap"), 3) as made:
        made.slapd.set(made.company.people[0].dn, userPassword=SECRET)
        yield made


@pytest.fixture
def server(office: LdapOffice, tmp_path: Path) -> Iterator[ServerProcess]:
    organisation = make_organisation(tmp_path / "office")
    (organisation.folder / "ldapsync.toml").write_text(office.slapd.toml(IN_PEOPLE))
    with organisation.config_file.open("a") as file:
        file.write("\n[ldap.main]\n")
    with ServerProcess(organisation) as running:
        yield running
        running.stop()


def line_to(server: ServerProcess) -> OperatorLine:
    return OperatorLine(server.organisation.folder / "control.sock", "test")


def test_a_run_over_the_control_socket_and_a_password_of_the_directory(
    server: ServerProcess, office: LdapOffice
) -> None:
    staff = office.company.people[0]
    person = PutPerson(
        secrets.token_bytes(16), staff.uid, staff.name, source="main", anchor=staff.anchor
    )
    with line_to(server) as left:
        version = left.ask(GetAdminDirectory(limit=1)).version
        left.ask(BeginRun("main", version))
    with line_to(server) as line:
        # Whoever began the first run has hung up: it is in nobody's way.
        wait_until(lambda: _begins(line, version))
        run = line.ask(BeginRun("main", version, marks={"cookie": b"1"})).run
        line.ask(AddToRun(run, 0, (person,)))
        done = line.ask(CommitRun(run))
        assert (done.created, done.version) == (1, version + 1)
        assert line.ask(GetMarks("main")).marks == {"cookie": b"1"}
        with Caller(server) as caller:
            with pytest.raises(RequestRefused) as caught:
                caller.sign_in(staff.uid, "something else")
            assert caught.value.code is ErrorCode.WRONG_CREDENTIALS
            signed_in = caller.sign_in(staff.uid.upper(), SECRET)
            assert (signed_in.user, signed_in.must_change_password) == (person.id, False)
            with pytest.raises(RequestRefused) as caught:
                caller.ask(ChangePassword(SECRET, "quite another 8"))
            assert caught.value.code is ErrorCode.FORBIDDEN
        # Somebody who has signed in is closed, not removed.
        undone = line.ask(UndoRun(run))
        assert undone.counts == {"person closed": 1}
        assert [each.kind for each in line.ask(ListRuns()).runs] == ["undo", "apply"]
        line.ask(ChangeDirectory(()))
        with Caller(server) as caller, pytest.raises(RequestRefused) as caught:
            caller.sign_in(staff.uid, SECRET)
        assert caught.value.code is ErrorCode.ACCOUNT_DISABLED


def _begins(line: OperatorLine, version: int) -> bool:
    try:
        line.ask(BeginRun("main", version))
    except RequestRefused:
        return False
    return True


def test_a_section_must_name_a_directory_that_is_there(tmp_path: Path, office: LdapOffice) -> None:
    (tmp_path / "ldapsync.toml").write_text(office.slapd.toml(IN_PEOPLE))
    for section, sentence in (
        ({"other": LdapSection()}, "no \\[directory.other\\]"),
        ({"main": LdapSection(file="missing.toml")}, "missing.toml"),
    ):
        with pytest.raises(ConfigInvalid, match=sentence):
            Ldap(section, tmp_path, None, None, str)  # type: ignore[arg-type]
    config = config_file.parse("[ldap.main]\nsign_in = false\nevery_minutes = 5\n")
    made = Ldap(config.ldap, tmp_path, None, None, str)  # type: ignore[arg-type]
    assert made.verifiers == {}
    made.stop()
