# SPDX-License-Identifier: GPL-3.0-or-later
"""The port under attack: a clear error or a closed connection, whatever comes; memory stays bounded, and
a colleague who is signed in meanwhile notices nothing."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import resource
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from protocol import codec, limits
from protocol.errors import ErrorCode
from protocol.frames import COMPRESSED, FrameReader, pack_frame
from protocol.ids import direct_conversation_id, uuid7
from protocol.messages import admin, chat, session
from protocol.messages.content import Text
from protocol.messages.kinds import Error, Message, Request
from tests.support import strategies
from tests.support.server_process import (
    ADMIN,
    PASSWORD,
    TIMEOUT_S,
    Caller,
    ServerProcess,
    make_organisation,
    wait_until,
)

CHANGES_PER_MESSAGE: Final = 6
HALF_OPEN: Final = 1_500
MAX_QUESTIONS: Final = 50_000
"""More than the sockets between here and there hold."""
ALLOWED_GROWTH_BYTES: Final = 96 << 20
"""Of the server's memory, by any test here: far below what an attack without bounds would take."""


def memory_bytes(server: ServerProcess) -> int:
    """What the server holds in memory now."""
    assert server._process is not None
    status = Path(f"/proc/{server._process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, flags=re.MULTILINE)
    return int(kilobytes) << 10


_sources = itertools.cycle(f"127.0.0.{number}" for number in range(2, 40))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    organisation = make_organisation(tmp_path_factory.mktemp("attacked") / "office")
    with ServerProcess(organisation) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.logged()


@pytest.fixture
def witness(server: ServerProcess) -> Iterator[Witness]:
    """Somebody at work; has to be served before, during and after the test."""
    before_bytes = memory_bytes(server)
    with Caller(server) as caller:
        at_work = Witness(caller)
        at_work.works()
        yield at_work
        at_work.works()
    assert memory_bytes(server) - before_bytes < ALLOWED_GROWTH_BYTES


class Witness:
    """A colleague who writes to themselves and is answered each time, in order."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.signed_in = caller.sign_in(device=secrets.token_bytes(16))
        me = self.signed_in.user
        self._conversation = direct_conversation_id(me, me)
        self._peer = me
        self._last = 0

    def works(self) -> None:
        """Post, and be told that it is stored."""
        id = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
        text = codec.encode_content(Text("still here"))
        posted = self._caller.ask(chat.Post(self._conversation, id, text, peer=self._peer))
        assert posted.seq > self._last
        self._last = posted.seq


class Attacker:
    """A connection that says what it likes, from one of many addresses."""

    def __init__(self, server: ServerProcess) -> None:
        self.socket: socket.socket = socket.create_connection(
            server.address, TIMEOUT_S, source_address=(next(_sources), 0)
        )
        self._reader = FrameReader(max_body_bytes=1 << 24, max_inflated_bytes=1 << 24)
        self._reader.may_inflate = True

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def start_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def say(self, *messages: tuple[int, Message]) -> None:
        self.write(b"".join(pack_frame(codec.encode_body(*each)) for each in messages))

    def write(self, data: bytes) -> None:
        """Send; a server that has hung up meanwhile is what this is about."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def hear(self) -> list[codec.ServerEnvelope]:
        """What the server says next; nothing when it has hung up."""
        heard: list[codec.ServerEnvelope] = []
        while not heard:  # bounded by the socket's timeout
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return []
            if not data:
                return []
            for body in self._reader.feed(data):
                found = codec.decode_from_server(body)
                assert isinstance(found, codec.ServerEnvelope)
                heard.append(found)
        return heard

    def hear_to_the_end(self) -> list[codec.ServerEnvelope]:
        """Everything until the server hangs up."""
        heard: list[codec.ServerEnvelope] = []
        while more := self.hear():
            heard += more
        return heard

    def sign_in(self, request: Request[session.SignedIn], *capabilities: str) -> session.SignedIn:
        self.say((0, session.Hello(1, 1, capabilities)))
        (greeting,) = self.hear()
        assert isinstance(greeting.message, session.Welcome)
        self.say((1, request))
        answer = self.hear()[0].message
        assert isinstance(answer, session.SignedIn), answer
        return answer


def goodbye_of(heard: list[codec.ServerEnvelope]) -> session.Goodbye:
    assert heard, "the server hung up without a word"
    message = heard[-1].message
    assert isinstance(message, session.Goodbye)
    return message


@pytest.fixture(scope="module")
def resume(server: ServerProcess) -> session.Resume:
    """Signing in without the price of a password."""
    device = session.DeviceInfo(secrets.token_bytes(16), "attacker")
    with Attacker(server) as attacker:
        attacker.start_tls()
        signed_in = attacker.sign_in(session.SignIn(ADMIN, PASSWORD, device))
    return session.Resume(signed_in.user, device, signed_in.token)


def test_noise_instead_of_tls(server: ServerProcess, witness: Witness) -> None:
    dice = random.Random(1)
    for _ in range(60):
        with Attacker(server) as attacker:
            attacker.write(b"\x16" + dice.randbytes(dice.randint(5, 3000)))
            with contextlib.suppress(ConnectionError):
                while attacker.socket.recv(4096):  # an alert, perhaps
                    pass
    witness.works()


def test_noise_inside_tls(server: ServerProcess, witness: Witness) -> None:
    dice = random.Random(2)
    for _ in range(60):
        with Attacker(server) as attacker:
            attacker.start_tls()
            attacker.write(b"\x00\x00" + dice.randbytes(70_000))
            reason = goodbye_of(attacker.hear_to_the_end()).reason
            assert reason in {"bad_frame", "frame_too_large"}
    witness.works()


@pytest.mark.parametrize(
    "header", [0x7FFFFFFF, limits.MAX_FRAME_BYTES + 1, COMPRESSED | 0x7FFFFFFF]
)
def test_frames_that_are_too_long(
    server: ServerProcess, witness: Witness, resume: session.Resume, header: int
) -> None:
    with Attacker(server) as stranger, Attacker(server) as colleague:
        colleague.start_tls()
        colleague.sign_in(resume, "zstd")
        stranger.start_tls()
        for attacker in (stranger, colleague):
            attacker.write(header.to_bytes(4, "big"))
            assert goodbye_of(attacker.hear_to_the_end()).reason == "frame_too_large"
    witness.works()


def _changed(body: bytes, dice: random.Random) -> bytes:
    """A body cut, with a few bits flipped, or with a stretch of it doubled."""
    match dice.randrange(3):
        case 0:
            return body[: dice.randrange(len(body))]
        case 1:
            changed = bytearray(body)
            for _ in range(dice.randint(1, 4)):
                changed[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
            return bytes(changed)
        case _:
            at = dice.randrange(len(body))
            return body[:at] + body[at : at + 20] + body[at:]


@pytest.mark.timeout(300)
def test_every_message_truncated_and_mutated(
    server: ServerProcess, witness: Witness, resume: session.Resume
) -> None:
    """A colleague's program gone mad. What is by chance a valid request is carried out or refused."""
    dice = random.Random(3)
    for kind in codec.CLIENT_KINDS.values():
        if kind in {session.SignOut, session.RemoveDevice, session.ChangePassword}:
            continue  # what they do when they are understood is not what this is about
        number = 2 if issubclass(kind, Request) else 0
        body = codec.encode_body(number, strategies.smallest(kind))
        for _ in range(CHANGES_PER_MESSAGE):
            with Attacker(server) as attacker:
                attacker.start_tls()
                attacker.sign_in(resume)
                attacker.write(pack_frame(_changed(body, dice)))
                attacker.say((0, session.Goodbye()))
                for heard in attacker.hear_to_the_end():
                    if isinstance(heard.message, session.Goodbye):
                        assert ErrorCode(heard.message.reason)
        witness.works()


def test_requests_from_a_stranger(server: ServerProcess, witness: Witness) -> None:
    for kind in codec.CLIENT_KINDS.values():
        with Attacker(server) as attacker:
            attacker.start_tls()
            attacker.say((0, session.Hello(1, 1)))
            attacker.say((7 if issubclass(kind, Request) else 0, strategies.smallest(kind)))
            attacker.say((0, session.Goodbye()))
            for heard in attacker.hear_to_the_end():
                allowed = (session.Welcome, session.Pong, session.Goodbye, Error)
                assert isinstance(heard.message, allowed), heard
    witness.works()


def _raise_the_limit_of_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


@pytest.mark.timeout(120)
def test_half_open_and_dribbling_connections(server: ServerProcess, witness: Witness) -> None:
    """Who connects and says nothing, or a byte now and then, is gone after the time for a greeting."""
    _raise_the_limit_of_open_files(HALF_OPEN + 500)
    hello = pack_frame(codec.encode_body(0, session.Hello(1, 1, software="x" * 150)))
    with contextlib.ExitStack() as stack:
        dribbling = [stack.enter_context(Attacker(server)) for _ in range(20)]
        for attacker in dribbling:
            attacker.start_tls()
        silent = []
        for _ in range(HALF_OPEN):
            with contextlib.suppress(ConnectionError):  # above the guard's limits
                silent.append(stack.enter_context(Attacker(server)))
        with Caller(server) as newcomer:
            newcomer.sign_in(device=secrets.token_bytes(16))
        for at in range(len(hello)):
            for attacker in dribbling:
                attacker.write(hello[at : at + 1])
            witness.works()
            if all(_has_hung_up(attacker) for attacker in dribbling):
                break
            time.sleep(0.1)
        wait_until(lambda: all(_has_hung_up(attacker) for attacker in (*dribbling, *silent)))
    witness.works()


def _has_hung_up(attacker: Attacker) -> bool:
    """Whether the server closed the connection; what it said before is passed over."""
    attacker.socket.setblocking(False)
    try:
        while attacker.socket.recv(65536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


@pytest.mark.timeout(120)
def test_a_client_that_asks_and_never_reads(
    server: ServerProcess, witness: Witness, resume: session.Resume
) -> None:
    """Small questions with large answers: the server stops reading, or hangs up, before these fill its memory."""
    long_story = {f"field {n}": secrets.token_hex(limits.MAX_FIELD_CHARS // 2) for n in range(32)}
    person = admin.PutPerson(secrets.token_bytes(16), "wordy", "Wordy", custom=long_story)
    with Attacker(server) as attacker:
        attacker.start_tls()
        attacker.sign_in(resume)
        attacker.say((2, admin.ChangeDirectory((person,))))
        while attacker.hear()[-1].number != 2:
            pass
        before_bytes = memory_bytes(server)
        attacker.socket.settimeout(2.0)
        is_stopped = False
        for number in range(3, MAX_QUESTIONS):
            question = {"t": "get_directory", "padding": bytes(2_000)}
            try:
                attacker.socket.sendall(pack_frame(msgspec.msgpack.encode([number, question])))
            except OSError:
                is_stopped = True
                break
            if number % 100 == 0:
                assert memory_bytes(server) - before_bytes < ALLOWED_GROWTH_BYTES
        assert is_stopped or _has_hung_up(attacker), "the server went on answering"
        assert memory_bytes(server) - before_bytes < ALLOWED_GROWTH_BYTES
        witness.works()
