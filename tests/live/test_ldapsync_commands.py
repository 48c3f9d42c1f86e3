# SPDX-License-Identifier: GPL-3.0-or-later
"""init, check, explain, test-login and watch against a real directory and a real server."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ldapsync.config_file import load
from ldapsync.exits import Exit
from protocol.messages.admin import ChangeDirectory, PutRole, Role
from tests.support.ldap_company import Company, Staff, entry_uuid, group_dn
from tests.support.server_process import Caller, ServerProcess, make_organisation, wait_until
from tests.support.slapd import PASSWORD, READER, Slapd
from tests.support.sync_office import SyncOffice

WITHIN_S = 30.0


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncOffice]:
    folder = tmp_path_factory.mktemp("commands")
    organisation = make_organisation(folder / "office")
    with Slapd(folder / "slapd", Company(100)) as slapd, ServerProcess(organisation) as server:
        with Caller(server) as caller:
            caller.sign_in()
            caller.ask(ChangeDirectory((PutRole(Role(bytes(15) + b"h", "Helpdesk")),)))
        made = SyncOffice(folder, slapd, server)
        made.run("apply", code=Exit.OK)
        yield made
        assert server.stop() == 0
        assert "Traceback" not in server.logged()


def staff(office: SyncOffice, number: int) -> Staff:
    assert office.slapd.company is not None
    return office.slapd.company.people[number]


# ------------------------------------------------------------------------------------------ looking


def test_init_proposes_what_can_be_used_as_it_is(
    office: SyncOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READER", PASSWORD)
    out = tmp_path / "ldapsync.toml"
    words = ["init", office.slapd.ldaps_url, "--bind-user", READER, "--password-env", "READER"]
    said = office.run(*words, "--ca-file", office.slapd.ca_file, "--out", out, code=Exit.OK)
    assert "OpenLDAP" in said.out
    assert said.out.count("anchor") == 3
    made = load(out)
    assert list(made.directories) == ["main"]
    again = office.run(*words, "--ca-file", office.slapd.ca_file, "--out", out, code=Exit.CONFIG)
    assert "was not touched" in again.err


def test_check_says_what_is_well_and_what_is_not(office: SyncOffice) -> None:
    said = office.run("check", "--json")
    checks = {one["check"]: one["level"] for one in said.data["findings"]["main"]}
    assert checks["server"] == "ok"
    assert not [one for one in said.data["findings"]["main"] if one["level"] == "problem"]


def test_check_names_a_server_that_is_not_there(office: SyncOffice) -> None:
    office.configure(url="ldaps://127.0.0.1:1")
    try:
        said = office.run("check", code=Exit.FINDINGS)
    finally:
        office.configure()
    assert "FAIL" in said.out


def test_explain_leads_from_the_entry_to_what_somebody_sees(office: SyncOffice) -> None:
    person = staff(office, 0)
    texts = [
        office.run("explain", word, code=Exit.OK).out
        for word in (person.uid, f"{person.uid}@example.com", person.dn, person.anchor)
    ]
    assert len(set(texts)) == 1
    for said in (
        person.dn,
        "matches",
        "team-0",
        "Helpdesk",
        group_dn("admins"),
        "same departments",
    ):
        assert said in texts[0]
    assert office.run("explain", "nobody at all").code == Exit.FINDINGS


def test_signing_in_is_tried_step_by_step(
    office: SyncOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = staff(office, 5)
    monkeypatch.setenv("THEIRS", person.password)
    said = office.run("test-login", person.uid, "--password-env", "THEIRS", code=Exit.OK)
    assert said.out.count("ok ") == 5
    monkeypatch.setenv("THEIRS", "another")
    said = office.run("test-login", person.uid, "--password-env", "THEIRS", code=Exit.FINDINGS)
    assert "wrong" in said.out
    monkeypatch.setenv("THEIRS", "")
    said = office.run("test-login", person.uid, "--password-env", "THEIRS", code=Exit.FINDINGS)
    assert "empty password" in said.out
    said = office.run("test-login", "*", "--password-env", "THEIRS", code=Exit.FINDINGS)
    assert "No entry matches" in said.out


def test_help_costs_nothing_and_mistakes_are_named(office: SyncOffice) -> None:
    assert office.run("plan", "--allow", "everything=1").code == Exit.USAGE
    assert office.run("apply", "nowhere.json").code == Exit.DECISION
    assert office.run("plan", "--directory", "other").code == Exit.CONFIG
    assert office.run("undo", "cafe1234").code == Exit.DECISION
    assert "0 done" in subprocess.run(
        [sys.executable, "-m", "ldapsync.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\n", " ")


# ------------------------------------------------------------------------------------------ watching


class Heard:
    """The lines of a running watch."""

    def __init__(self, tool: subprocess.Popen[str]) -> None:
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._tool = tool
        self.thread = threading.Thread(target=self._listen, name="heard")
        self.thread.start()

    def _listen(self) -> None:
        assert self._tool.stdout is not None
        for line in self._tool.stdout:
            self.lines.put(json.loads(line))

    def next(self) -> dict[str, Any]:
        return self.lines.get(timeout=WITHIN_S)


@contextmanager
def watching(office: SyncOffice) -> Iterator[Heard]:
    tool = office.start("watch", "--json")
    heard = Heard(tool)
    try:
        yield heard
    finally:
        tool.send_signal(signal.SIGTERM)
        code = tool.wait(WITHIN_S)
        heard.thread.join(WITHIN_S)
        assert tool.stdout is not None
        assert tool.stderr is not None
        errors = tool.stderr.read()
        tool.stdout.close()
        tool.stderr.close()
        assert (code, errors) == (0, "")


def test_what_changes_is_at_the_server_by_itself(office: SyncOffice) -> None:
    person, other, unit = staff(office, 20), staff(office, 21), staff(office, 22).unit
    office.slapd.set(other.dn, title="Before the watch")
    with watching(office) as heard:
        first = heard.next()
        assert first["event"] == "applied", first
        office.slapd.set(person.dn, title="Seen at once")
        wait_until(lambda: office.people()[person.anchor].places[0].title == "Seen at once")
        assert heard.next()["counts"] == {"update": 1}
        members = {one.name: set(one.members) for one in office.directory().groups}

        def has_members() -> bool:
            return {one.name: set(one.members) for one in office.directory().groups} == members

        office.slapd.move(person.dn, f"uid={person.uid}", unit)
        id = office.people()[person.anchor].id

        def is_moved() -> bool:
            departments = {one.id: one.anchor for one in office.directory().departments}
            (place,) = office.people()[person.anchor].places
            return departments[place.department] == staff_unit(office, unit)

        wait_until(is_moved)
        wait_until(has_members)  # the directory rewrites the groups without a word
        assert office.people()[person.anchor].id == id
        office.slapd.move(f"uid={person.uid},{unit}", f"uid={person.uid}", person.unit)
        wait_until(lambda: not is_moved())
        wait_until(has_members)
    office.slapd.set(person.dn, title=person.title)
    office.slapd.set(other.dn, title=other.title)
    office.run("apply", code=Exit.OK)


def staff_unit(office: SyncOffice, dn: str) -> str:
    """The anchor of a unit."""
    return entry_uuid(dn)


def test_a_watch_is_stopped_by_guards_as_apply_is(office: SyncOffice) -> None:
    """All at once, as when the configuration of a directory goes wrong: one unit's people are gone."""
    leavers = [staff(office, number) for number in range(40, 50)]
    office.configure(guards="[guards]\ndisable = { count = 0, percent = 0.0 }\n")
    try:
        with watching(office) as heard:
            office.slapd.delete(leavers[0].dn)
            event = heard.next()
            assert event["event"] == "guarded", event
            assert event["guards"][0]["guard"] == "disable"
    finally:
        office.configure()
    assert not office.people()[leavers[0].anchor].is_off_at_source
    office.run("apply", code=Exit.OK)
    assert office.people()[leavers[0].anchor].is_off_at_source
