# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server in a child process, and a small blocking client that speaks to it over TLS."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from protocol.client_connection import ClientConnection
from protocol.errors import RequestRefused
from protocol.events import (
    ConnectionEvent,
    ConnectionFailed,
    GoodbyeReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.messages.kinds import ReplyT_co, Request
from protocol.messages.session import DeviceInfo, Goodbye, SignedIn, SignIn, Welcome
from server.organisation import Organisation

ADMIN: Final = "admin"
PASSWORD: Final = "a pass phrase of some length"
TIMEOUT_S: Final = 30.0


def lanyard_server(
    *arguments: str | Path, stdin: str = "", code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Checks its exit code, unless that is None."""
    done = subprocess.run(
        [sys.executable, "-m", "server.main", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert code is None or done.returncode == code, (arguments, done)
    return done


def lanyard_json(*arguments: str | Path, stdin: str = "", code: int | None = 0) -> Any:
    """The same with --json; the object that it printed."""
    return json.loads(lanyard_server(*arguments, "--json", stdin=stdin, code=code).stdout)


def make_organisation(folder: Path, *options: str) -> Organisation:
    """A new organisation with the administrator ADMIN, PASSWORD; its server takes any port on 127.0.0.1."""
    names = ("--names", "localhost,127.0.0.1", "--port", "0", "--admin", ADMIN)
    password = ("--password-file", "-", "--permanent")
    lanyard_server("init", folder, *names, *password, *options, stdin=PASSWORD)
    made = Organisation(folder)
    text = made.config_file.read_text(encoding="utf-8")
    text = text.replace('# addresses = ["*"]', 'addresses = ["127.0.0.1"]')
    made.config_file.write_text(text.replace("# announce = true", "announce = false"))
    return made


def copy_organisation(original: Organisation, folder: Path) -> Organisation:
    """The same organisation in another folder: faster than making one."""
    shutil.copytree(original.folder, folder)
    return Organisation(folder)


class ServerProcess:
    """``lanyard-server run`` from ``with`` to the end of it, or until it is stopped or killed."""

    def __init__(
        self, organisation: Organisation, environment: dict[str, str] | None = None
    ) -> None:
        self.organisation = organisation
        self.ready: dict[str, Any] = {}
        self.log = organisation.folder.parent / f"{organisation.folder.name}.log"
        self.ready_file = organisation.folder.parent / f"{organisation.folder.name}.ready"
        self._environment = os.environ | (environment or {})
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start and wait until it serves."""
        self.ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "server.main", "run", str(self.organisation.folder)]
        command += ["--ready-file", str(self.ready_file)]
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, text=True, env=self._environment
            )
        wait_until(lambda: self.ready_file.exists() or self._process_has_ended())
        if self._process_has_ended():
            code = self._process.wait()
            self._process = None
            raise AssertionError(f"the server ended with {code}:\n{self.logged()}")
        self.ready = json.loads(self.ready_file.read_text(encoding="utf-8"))

    def _process_has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.ready["addresses"][0]
        return host, port

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        code = self._process.wait(TIMEOUT_S)
        self._process = None
        return code

    def stop(self) -> int:
        """End it in order; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it without a warning."""
        self.signal(signal.SIGKILL)
        self.wait()

    def logged(self) -> str:
        """What it has logged and printed."""
        return self.log.read_text(encoding="utf-8")


class Caller:
    """One connection to a server over TLS; pins the organisation's authority from the folder."""

    def __init__(self, server: ServerProcess) -> None:
        organisation = server.organisation
        context = ssl.create_default_context(cafile=str(organisation.authority_certificate))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        raw = socket.create_connection(server.address, timeout=TIMEOUT_S)
        try:
            self.socket = context.wrap_socket(raw, server_hostname=server.address[0])
        except BaseException:
            raw.close()
            raise
        self.connection = ClientConnection(time.monotonic(), software="test")
        self.events: list[ConnectionEvent] = []
        self.welcome: Welcome = self._first(WelcomeReceived).welcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def sign_in(
        self, login: str = ADMIN, password: str = PASSWORD, device: bytes = bytes(16)
    ) -> SignedIn:
        """Sign in with a password."""
        return self.ask(SignIn(login, password, DeviceInfo(device, "test")))

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer. Raises RequestRefused, EOFError when the server is gone."""
        number = self.connection.request(request, time.monotonic())
        while True:  # bounded by the socket's timeout
            for event in self._more():
                if isinstance(event, ReplyReceived) and event.number == number:
                    return event.message  # type: ignore[return-value]  # a reply to this request
                if isinstance(event, RequestFailed) and event.number == number:
                    raise RequestRefused(event.code, event.sentence)
                self.events.append(event)

    def goodbye(self) -> Goodbye:
        """Wait for the server's goodbye."""
        received: GoodbyeReceived = self._first(GoodbyeReceived)
        return received.goodbye

    def _first(self, kind: type[Any]) -> Any:
        while True:  # bounded by the socket's timeout
            for event in [*self.events, *self._more()]:
                if isinstance(event, kind):
                    return event
                assert not isinstance(event, ConnectionFailed), event
                self.events.append(event)

    def _more(self) -> list[ConnectionEvent]:
        self.socket.sendall(self.connection.data_to_send())
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        return self.connection.receive(data, time.monotonic())


def wait_until(is_so: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def callers(server: ServerProcess, logins: Sequence[str]) -> Iterator[list[Caller]]:
    """Several people, each signed in with PASSWORD."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(Caller(server)) for _ in logins]
        for caller, login in zip(made, logins, strict=True):
            caller.sign_in(login)
        yield made
