# SPDX-License-Identifier: GPL-3.0-or-later
"""The server put together in this process: it opens, listens, answers, reloads and closes; and what can't be opened says why."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from protocol.ids import ID_BYTES
from protocol.messages.admin import GetServerStatus, ServerStatus
from protocol.messages.session import Policy
from server import authority, config_file
from server.app import App
from server.assembly import Assembly
from server.config import CertificateSection, Config, ListenSection, PolicySection
from server.failures import Exit, Failure
from server.organisation import Organisation, write_private
from server.services.caller import OPERATOR, Caller
from tests.support.reactors import ReactorThread

CONFIG = Config(
    listen=ListenSection(addresses=("127.0.0.1",), port=0),
    certificate=CertificateSection(names=("localhost", "127.0.0.1")),
)
CALLER = Caller(OPERATOR, bytes(ID_BYTES), bytes(ID_BYTES))


@pytest.fixture
def thread() -> Iterator[ReactorThread]:
    with ReactorThread() as running:
        yield running


@pytest.fixture
def organisation(tmp_path: Path, thread: ReactorThread) -> Organisation:
    made = Organisation(tmp_path)
    write_private(made.config_file, config_file.render(CONFIG).encode())
    authority.create(
        made, "Example", CONFIG.certificate, App(made, CONFIG, thread.reactor).clock.now_ms()
    )
    return made


def test_it_opens_listens_answers_and_closes(
    organisation: Organisation, thread: ReactorThread
) -> None:
    app = App(organisation, CONFIG, thread.reactor)
    thread.wait(app.open)
    assert not app.addresses
    thread.wait(app.listen)
    ((host, port),) = app.addresses
    context = ssl.create_default_context(cafile=str(organisation.authority_certificate))
    with (
        socket.create_connection((host, port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        assert secure.version() == "TLSv1.3"
    status = thread.wait(app.answer, CALLER, GetServerStatus())
    assert isinstance(status, ServerStatus)
    assert (status.people, status.sessions) == (0, 0)
    assert thread.wait(app.close) == 0
    assert thread.wait(app.close) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=10)
    assert organisation.database(CONFIG).stat().st_mode & 0o777 == 0o600


def test_the_chain_that_tls_shows_holds_the_authority(
    organisation: Organisation, thread: ReactorThread
) -> None:
    text = organisation.server_certificate.read_bytes()
    assert text.count(b"BEGIN CERTIFICATE") == 2
    assert text.endswith(organisation.authority_certificate.read_bytes())


def test_another_configuration_is_taken_up_while_it_runs(
    organisation: Organisation, thread: ReactorThread
) -> None:
    app = App(organisation, CONFIG, thread.reactor)
    thread.wait(app.open)
    thread.wait(app.listen)
    fresh = msgspec.structs.replace(
        CONFIG,
        certificate=CertificateSection(names=("localhost", "127.0.0.1", "new.example")),
        policy=PolicySection(edit_within_s=7),
    )
    thread.call(app.use, fresh)
    context = ssl.create_default_context(cafile=str(organisation.authority_certificate))
    with (
        socket.create_connection(app.addresses[0], timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="new.example"),
    ):
        pass
    broken = organisation.server_key.read_bytes()
    organisation.server_key.write_bytes(b"rubbish")
    with pytest.raises(Failure, match=r"server\.key\.pem"):
        thread.call(app.use, CONFIG)
    organisation.server_key.write_bytes(broken)
    thread.wait(app.close)


def test_a_port_that_is_taken_leaves_an_app_that_can_be_closed(
    organisation: Organisation, thread: ReactorThread
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken = ListenSection(addresses=("127.0.0.1",), port=listening.getsockname()[1])
        config = msgspec.structs.replace(CONFIG, listen=taken)
        app = App(organisation, config, thread.reactor)
        thread.wait(app.open)
        with pytest.raises(Failure, match="can't be opened") as caught:
            thread.wait(app.listen)
        assert caught.value.exit_code == Exit.BUSY
        thread.wait(app.close)


@pytest.mark.parametrize("content", [b"rubbish" * 1000, None])
def test_a_database_that_cannot_be_used_says_so_and_leaves_nothing_open(
    organisation: Organisation, thread: ReactorThread, content: bytes | None
) -> None:
    path = organisation.database(CONFIG)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    app = App(organisation, CONFIG, thread.reactor)
    with pytest.raises(Failure, match=r"\w"):
        thread.wait(app.open)


def test_the_policy_of_the_configuration_holds_until_another_is_set(
    organisation: Organisation, thread: ReactorThread
) -> None:
    config = msgspec.structs.replace(CONFIG, policy=PolicySection(recall_within_s=11))
    app = App(organisation, config, thread.reactor)
    thread.wait(app.open)
    assembly = app._assembly
    assert isinstance(assembly, Assembly)
    assert assembly.policy.current == Policy(
        config.policy.edit_within_s, 11, True, config.sign_in.password_min_chars
    )
    thread.wait(app.close)
