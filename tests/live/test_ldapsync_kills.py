# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of the tool and of the server at every step of apply: a run counts whole or not at all, and the next one finishes the work."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ldapsync.exits import Exit
from tests.support.ldap_company import Company
from tests.support.server_process import ServerProcess, make_organisation
from tests.support.slapd import Slapd
from tests.support.sync_office import SyncOffice

LAST_STEPS = 10
"""Of what the tool sends in one apply: from the sign-in to the goodbye."""
ENDS_WITHIN_S = 60.0
APPLICATION_DATA = 23
"""A TLS record that holds what programs say (RFC 8446 section 5.1)."""


class Wire:
    """A port that leads to the server: counts what the tool sends, and does something before or after it has passed."""

    def __init__(self, server: ServerProcess) -> None:
        self.count = 0
        self.at = 0
        self.happens: Callable[[], None] = lambda: None
        self.is_before = False
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="wire")
        self._thread.start()

    def arm(self, at: int, happens: Callable[[], None], *, is_before: bool) -> None:
        """Let it happen at the record of this number, counted from now: before it reaches the server, or after."""
        self.count, self.at, self.happens, self.is_before = 0, at, happens, is_before

    def disarm(self) -> None:
        """Only count."""
        self.arm(0, lambda: None, is_before=False)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                tool, _ = self._listening.accept()
            except OSError:
                return
            with tool, contextlib.suppress(OSError):
                self._join(tool)

    def _join(self, tool: socket.socket) -> None:
        with socket.create_connection(self._server.address) as server:
            answers = threading.Thread(target=_copy, args=(server, tool), name="wire back")
            answers.start()
            try:
                self._pass_records(tool, server)
            finally:
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_WR)
                answers.join()

    def _pass_records(self, tool: socket.socket, server: socket.socket) -> None:
        with tool.makefile("rb") as stream:
            while len(head := stream.read(5)) == 5:
                body = stream.read(int.from_bytes(head[3:], "big"))
                self.count += head[0] == APPLICATION_DATA
                is_now = self.count == self.at and head[0] == APPLICATION_DATA
                if is_now and self.is_before:
                    self.happens()
                server.sendall(head + body)
                if is_now and not self.is_before:
                    self.happens()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncOffice]:
    folder = tmp_path_factory.mktemp("kills")
    organisation = make_organisation(folder / "office")
    with Slapd(folder / "slapd", Company(100)) as slapd, ServerProcess(organisation) as server:
        made = SyncOffice(folder, slapd, server)
        made.run("apply", code=Exit.OK)
        yield made


@pytest.fixture
def wire(office: SyncOffice) -> Iterator[Wire]:
    if office.server._process is None:
        office.server.start()
    made = Wire(office.server)
    office.configure(port=made.port)
    yield made
    office.configure()
    made.close()


def titles(office: SyncOffice) -> set[str]:
    """Of the people whose titles a test changes."""
    people = office.people()
    assert office.slapd.company is not None
    return {people[one.anchor].places[0].title for one in office.slapd.company.people[:4]}


def change_titles(office: SyncOffice, title: str) -> None:
    assert office.slapd.company is not None
    for one in office.slapd.company.people[:4]:
        office.slapd.set(one.dn, title=title)


def steps_of_apply(office: SyncOffice, wire: Wire) -> range:
    """The last of what the tool sends, by number."""
    change_titles(office, "step 0")
    wire.disarm()
    office.run("apply", code=Exit.OK)
    return range(wire.count - LAST_STEPS + 1, wire.count + 1)


def end_of(tool: subprocess.Popen[str]) -> tuple[int, Any]:
    said = tool.communicate(timeout=ENDS_WITHIN_S)
    return tool.returncode, said


def check_whole(office: SyncOffice, wire: Wire, old: str, new: str) -> None:
    """All of the run or nothing of it; and the next run brings the rest."""
    assert titles(office) in ({old}, {new})
    wire.disarm()
    office.run("apply", code=Exit.OK)
    assert titles(office) == {new}
    office.run("plan", code=Exit.OK)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
def test_the_tool_is_killed_at_every_step(office: SyncOffice, wire: Wire, is_before: bool) -> None:
    codes = []
    old = "step 0"
    for step in steps_of_apply(office, wire):
        change_titles(office, new := f"step {step}")
        victim = Victim()
        wire.arm(step, victim.kill, is_before=is_before)
        code, _ = end_of(victim.is_(office.start("apply")))
        codes.append(code)
        check_whole(office, wire, old, new)
        old = new
    assert codes.count(-signal.SIGKILL) >= LAST_STEPS - 1


class Victim:
    """A process that is killed from another thread, maybe before it is known here."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._is_known = threading.Event()

    def is_(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        """Say who."""
        self._process = process
        self._is_known.set()
        return process

    def kill(self) -> None:
        """Kill it, and come back when it is dead."""
        assert self._is_known.wait(ENDS_WITHIN_S)
        assert self._process is not None
        self._process.kill()
        self._process.wait(ENDS_WITHIN_S)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
def test_the_server_is_killed_at_every_step(
    office: SyncOffice, wire: Wire, is_before: bool
) -> None:
    """The tool finds out what became of the run, and says it; or says that it doesn't know."""
    codes = []
    old = "step 0"
    for step in steps_of_apply(office, wire):
        change_titles(office, new := f"step {step}")
        is_dead = threading.Event()

        def kill(is_dead: threading.Event = is_dead) -> None:
            office.server.kill()
            is_dead.set()

        wire.arm(step, kill, is_before=is_before)
        tool = office.start("apply")
        assert is_dead.wait(ENDS_WITHIN_S)
        office.server.start()  # as its supervisor does
        code, said = end_of(tool)
        codes.append(code)
        assert code in (Exit.OK, Exit.SERVER), said
        if code == Exit.OK:
            assert titles(office) == {new}, said
        elif "nothing was changed" in str(said):
            assert titles(office) == {old}, said
        check_whole(office, wire, old, new)
        old = new
    assert Exit.OK in codes
    assert Exit.SERVER in codes
    assert office.server.stop() == 0
    assert "Traceback" not in office.server.logged()
