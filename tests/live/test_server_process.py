# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as a process: init, run, sign in over TLS, drain, kill, reload, and what systemd hears."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from pathlib import Path

import pytest

from p2p.mdns import find_servers
from protocol import identity
from protocol.identity import ServerIdentity
from protocol.messages.people import FindPeople
from server.failures import Exit
from server.organisation import Organisation
from tests.support.server_process import (
    ADMIN,
    Caller,
    ServerProcess,
    copy_organisation,
    lanyard_json,
    lanyard_server,
    make_organisation,
    wait_until,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make_organisation(tmp_path_factory.mktemp("made") / "office", "--name", "Example Ltd")


@pytest.fixture
def organisation(original: Organisation, tmp_path: Path) -> Organisation:
    return copy_organisation(original, tmp_path / "office")


def test_init_says_everything_once_and_the_one_time_password_works(tmp_path: Path) -> None:
    folder = tmp_path / "office"
    told = lanyard_json("init", folder, "--names", "127.0.0.1", "--port", "0", "--admin", "root")
    text = (folder / "config.toml").read_text(encoding="utf-8")
    text = text.replace('# addresses = ["*"]', 'addresses = ["127.0.0.1"]')
    (folder / "config.toml").write_text(text.replace("# announce = true", "announce = false"))
    with ServerProcess(Organisation(folder)) as server, Caller(server) as caller:
        assert server.ready["organisation_id"] == told["organisation_id"]
        assert caller.welcome.organisation_id.hex() == told["organisation_id"]
        assert caller.welcome.organisation == "Lanyard"
        assert caller.sign_in("root", told["password"]).must_change_password
        caller.close()
        server.stop()


def test_nothing_is_left_of_an_init_that_fails(tmp_path: Path) -> None:
    lanyard_server(
        "init", tmp_path / "office", "--password-file", "-", stdin="short", code=Exit.BAD_DATA
    )
    assert list(tmp_path.iterdir()) == []


def test_somebody_signs_in_and_sees_who_is_there(organisation: Organisation) -> None:
    lanyard_server("user", "add", "li.wei", "--name", "李伟", "--dir", organisation.folder)
    with ServerProcess(organisation) as server, Caller(server) as caller:
        signed_in = caller.sign_in()
        assert not signed_in.must_change_password
        assert "admin.people" in signed_in.permissions
        (found,) = caller.ask(FindPeople("李")).people
        assert found.login == "li.wei"
        caller.close()
        assert server.stop() == 0
        assert "Traceback" not in server.logged()


def test_the_ready_line_and_file_say_where(organisation: Organisation) -> None:
    with ServerProcess(organisation) as server:
        host, port = server.address
        assert f"ready: Example Ltd on {host}:{port}; fingerprint " in server.logged()
        assert server.ready["organisation"] == "Example Ltd"
        assert len(server.ready["fingerprint_words"].split()) == 12
        server.stop()
    assert not server.ready_file.exists()


def test_sigterm_says_goodbye_and_when_to_come_back(organisation: Organisation) -> None:
    with ServerProcess(organisation) as server, Caller(server) as caller:
        caller.sign_in()
        server.signal(signal.SIGTERM)
        goodbye = caller.goodbye()
        assert goodbye.reason == "unavailable"
        assert goodbye.reconnect_after_ms >= 1000
        caller.close()
        assert server.wait() == 0
    assert sorted(path.name for path in organisation.folder.iterdir()) == [
        "config.toml",
        "keys",
        "lanyard.db",
        "lock",
    ]


def test_after_kill_9_it_starts_again_on_what_was_acknowledged(organisation: Organisation) -> None:
    with ServerProcess(organisation) as server:
        lanyard_server("user", "add", "ann", "--name", "Ann", "--dir", organisation.folder)
        server.kill()
        server.start()
        people = lanyard_json("user", "list", "--dir", organisation.folder)["people"]
        assert {person["login"] for person in people} == {ADMIN, "ann"}
        assert server.stop() == 0


def test_a_second_server_on_the_folder_is_refused(organisation: Organisation) -> None:
    with ServerProcess(organisation) as server:
        again = ("run", organisation.folder, "--ready-file", server.ready_file)
        refused = lanyard_server(*again, code=Exit.BUSY)
        assert f"in use by process {server.ready['process']}" in refused.stderr
        assert server.ready_file.exists()
        with Caller(server) as caller:
            caller.sign_in()
        server.stop()


def test_a_port_that_is_taken_is_said_so(organisation: Organisation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        text = organisation.config_file.read_text(encoding="utf-8")
        organisation.config_file.write_text(text.replace("port = 0", f"port = {port}"))
        refused = lanyard_server("run", organisation.folder, code=Exit.BUSY)
        assert f"port {port}" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_key_that_others_can_read_stops_the_start(organisation: Organisation) -> None:
    organisation.authority_key.chmod(0o644)
    refused = lanyard_server("run", organisation.folder, code=Exit.CONFIG)
    assert f"chmod 600 {organisation.authority_key}" in refused.stderr


def served_names(server: ServerProcess) -> tuple[str, ...]:
    """The host names in the certificate that the server shows."""
    context = ssl.create_default_context(cafile=str(server.organisation.authority_certificate))
    with (
        socket.create_connection(server.address, timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    assert certificate is not None
    named = identity.read_certificate(certificate)
    assert isinstance(named, ServerIdentity)
    return named.names


def test_sighup_takes_new_names_and_options_without_ending_a_session(
    organisation: Organisation,
) -> None:
    with ServerProcess(organisation) as server, Caller(server) as caller:
        caller.sign_in()
        assert served_names(server) == ("localhost",)
        text = organisation.config_file.read_text(encoding="utf-8")
        text = text.replace('names = ["localhost"', 'names = ["chat.example", "localhost"')
        text = text.replace('# level = "info"', 'level = "debug"')
        organisation.config_file.write_text(text.replace("port = 0", "port = 7999"))
        server.signal(signal.SIGHUP)
        wait_until(lambda: served_names(server) == ("chat.example", "localhost"))
        assert caller.ask(FindPeople(ADMIN)).people
        logged = server.logged()
        assert "reloaded log.level: " in logged
        assert "listen.port has changed and needs a restart" in logged
        caller.close()
        server.stop()


def test_a_wrong_configuration_changes_nothing(organisation: Organisation) -> None:
    with ServerProcess(organisation) as server:
        before = organisation.config_file.read_text(encoding="utf-8")
        organisation.config_file.write_text(before.replace("[listen]", "[listne]"))
        server.signal(signal.SIGHUP)
        wait_until(lambda: "not reloaded" in server.logged())
        assert "Did you mean listen?" in server.logged()
        refused = lanyard_json("reload", "--dir", organisation.folder, code=Exit.CONFIG)
        assert "Did you mean listen?" in refused["error"]
        organisation.config_file.write_text(
            before.replace("# token_days = 90", "token_days = 30"), encoding="utf-8"
        )
        told = lanyard_json("reload", "--dir", organisation.folder)
        assert told == {"changed": ["sign_in.token_days: 90 -> 30"], "needs_restart": []}
        server.stop()


def test_systemd_hears_ready_reloading_and_stopping(
    organisation: Organisation, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}

        def hear(state: str) -> None:
            while state not in manager.recv(1000).decode():  # bounded by the socket's timeout
                pass

        with ServerProcess(organisation, environment) as server:
            hear("READY=1")
            hear("WATCHDOG=1")
            server.signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            hear("WATCHDOG=1")
            server.signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert server.wait() == 0


@pytest.mark.multicast
async def test_it_is_found_in_the_local_network(organisation: Organisation) -> None:
    text = organisation.config_file.read_text(encoding="utf-8")
    organisation.config_file.write_text(text.replace("announce = false", "announce = true"))
    with ServerProcess(organisation) as server:
        ours = bytes.fromhex(server.ready["organisation_id"])
        found: list[tuple[tuple[str, ...], int]] = []
        for _ in range(60):
            heard = await find_servers(0.5, interfaces=("127.0.0.1",))
            found = [(one.addresses, one.port) for one in heard if one.organisation_id == ours]
            if found:
                break
        host, port = server.address
        assert found == [((host,), port)]
        server.stop()


def test_run_speaks_json(organisation: Organisation, tmp_path: Path) -> None:
    with ServerProcess(organisation) as server:
        status = lanyard_json("status", "--dir", organisation.folder)
        assert status["sessions"] == 0
        assert status["people"] == 1
        assert json.dumps(server.ready)
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the command as somebody else")
def test_another_user_is_told_whose_folder_it_is(organisation: Organisation) -> None:
    for parent in [organisation.folder, *organisation.folder.parents[:3]]:
        parent.chmod(0o755)
    os.chown(organisation.folder, 65534, 65534)
    refused = lanyard_server("user", "list", "--dir", organisation.folder, code=Exit.NO_RIGHTS)
    assert "Run the command as that user" in refused.stderr
