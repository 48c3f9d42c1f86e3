# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket over a real Unix socket: requests, orders, refusals, and who is let in."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.limits import MAX_GREETING_FRAME_BYTES
from protocol.messages.admin import GetServerStatus, ServerStatus, SetPolicy
from protocol.messages.kinds import Reply, Request
from protocol.messages.session import ListDevices, Policy, SignOut, Welcome
from server.control import MAX_CONNECTIONS, Control
from server.failures import Exit, Failure
from server.operator_line import NoServer, OperatorLine, give_order
from server.orders import Order, OrderAnswer, Reload, Reloaded, Restore
from server.services.caller import OPERATOR, Caller
from tests.guards.logs import ExpectedLog
from tests.support.reactors import ReactorThread

STATUS = ServerStatus("lanyard", 1, 2, 3, 4, 5, 6, 7, 8)


class Server:
    """A server behind a control socket that notes what it is asked."""

    def __init__(self, thread: ReactorThread, path: Path) -> None:
        self.path = path
        self.thread = thread
        self.asked: list[tuple[Caller, object]] = []
        self.control = Control(
            thread.reactor,
            path,
            welcome=lambda version, capabilities: Welcome(version, capabilities, "Example"),
            answer=self.answer,
            carry_out=self.carry_out,
        )

    async def answer(self, caller: Caller, request: Request[Reply]) -> Reply:
        self.asked.append((caller, request))
        if isinstance(request, GetServerStatus):
            return STATUS
        if isinstance(request, SetPolicy):
            raise RequestRefused(ErrorCode.FORBIDDEN, "Not today.")
        raise RuntimeError("a fault of the server")

    async def carry_out(self, order: Order) -> OrderAnswer:
        self.asked.append((Caller(OPERATOR, b"", b""), order))
        if isinstance(order, Restore):
            raise Failure("There is no such database.")
        return Reloaded(("log.level",))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with ReactorThread() as thread:
        made = Server(thread, tmp_path / "control.sock")
        thread.call(made.control.start)
        yield made
        thread.wait(made.control.stop)
    assert not made.path.exists()


def test_the_operator_asks_without_a_password(server: Server) -> None:
    with OperatorLine(server.path, "test") as line:
        assert line.ask(GetServerStatus()) == STATUS
        assert line.ask(GetServerStatus()) == STATUS
    assert {caller.is_operator for caller, _ in server.asked} == {True}


def test_a_refusal_arrives_as_one(server: Server) -> None:
    with OperatorLine(server.path, "test") as line:
        with pytest.raises(RequestRefused, match=r"Not today\.") as caught:
            line.ask(SetPolicy(Policy()))
        assert caught.value.code is ErrorCode.FORBIDDEN
        with pytest.raises(RequestRefused, match="operator"):
            line.ask(SignOut())
        assert line.ask(GetServerStatus()) == STATUS


def test_a_fault_ends_the_connection_and_is_logged(
    server: Server, expected_log: ExpectedLog
) -> None:
    expected_log("lanyard.control", "could not be carried out")
    with OperatorLine(server.path, "test") as line, pytest.raises(NoServer, match="went away"):
        line.ask(ListDevices())


def test_an_order_is_carried_out_and_answered(server: Server) -> None:
    assert give_order(server.path, Reload()) == Reloaded(("log.level",))
    with pytest.raises(RequestRefused, match="no such database"):
        give_order(server.path, Restore("/nowhere"))


def test_only_the_owner_finds_the_door_open(server: Server) -> None:
    assert server.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_another_user_is_hung_up_on(server: Server, expected_log: ExpectedLog) -> None:
    expected_log("lanyard.control", "user 65534, .* refused")
    server.path.chmod(0o666)  # a careless administrator
    for parent in server.path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    answers: list[bytes] = []

    def ask_as_nobody() -> None:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(server.path))
            try:
                answers.append(link.recv(100))
            except ConnectionResetError:
                answers.append(b"")

    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.setuid(65534)
            ask_as_nobody()
            status = 0 if answers == [b""] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert server.asked == []


@pytest.mark.parametrize(
    "rubbish",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(8), (MAX_GREETING_FRAME_BYTES + 1).to_bytes(4, "big")],
    ids=["http", "empty-frames", "too-large"],
)
def test_rubbish_is_hung_up_on(server: Server, rubbish: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(server.path))
        link.sendall(rubbish)
        try:
            while link.recv(1000):
                pass
        except ConnectionResetError:
            pass
    with OperatorLine(server.path, "test") as line:
        assert line.ask(GetServerStatus()) == STATUS


def test_the_number_of_connections_is_bounded(server: Server, expected_log: ExpectedLog) -> None:
    expected_log("lanyard.control", "refused")
    lines = [OperatorLine(server.path, "test") for _ in range(MAX_CONNECTIONS)]
    with pytest.raises(NoServer):
        OperatorLine(server.path, "test")
    for line in lines:
        line.close()


def test_a_command_that_waits_is_told_when_the_server_stops(tmp_path: Path) -> None:
    failed: list[str] = []
    with ReactorThread() as thread:
        server = Server(thread, tmp_path / "control.sock")
        thread.call(server.control.start)
        line = OperatorLine(server.path, "test")

        def stop_soon() -> None:
            thread.wait(server.control.stop)

        stopping = threading.Thread(target=stop_soon)
        stopping.start()
        try:
            while True:  # bounded: the server is about to stop
                line.ask(GetServerStatus())
        except NoServer as error:
            failed.append(error.sentence)
        stopping.join()
        line.close()
    assert len(failed) == 1


def test_where_no_server_runs_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="No server runs") as caught:
        OperatorLine(tmp_path / "control.sock", "test")
    assert caught.value.exit_code == Exit.UNAVAILABLE
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "control.sock"))
    with pytest.raises(NoServer, match="No server runs"):
        give_order(tmp_path / "control.sock", Reload())


def test_a_leftover_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with ReactorThread() as thread:
        server = Server(thread, path)
        thread.call(server.control.start)
        with OperatorLine(path, "test") as line:
            assert line.ask(GetServerStatus()) == STATUS
        thread.wait(server.control.stop)
