# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins clients to the office in memory, through real connections of the protocol, over wires that can be slow, deaf or cut."""

import asyncio
import functools
import secrets
from collections.abc import Callable
from pathlib import Path

from client.core.addresses import Address
from client.core.errors import ServerUnreachable
from client.core.link import Link
from protocol import identity, keys
from protocol.errors import RequestRefused
from protocol.events import (
    ConnectionFailed,
    GoodbyeReceived,
    HelloReceived,
    NoteReceived,
    RequestReceived,
)
from protocol.messages import session
from protocol.messages.kinds import Push, Reply, Request
from protocol.server_connection import ServerConnection
from tests.client.support.office import AUTHORITY, ISSUER, START_MS, Guest, Office


def organisation() -> tuple[bytes, bytes]:
    """The organisation's authority and its server's certificate."""
    return AUTHORITY, server_certificate()


@functools.cache
def server_certificate() -> bytes:
    """Made once: it takes a while."""
    issued = ISSUER.server_certificate(
        keys.public_key(keys.new_key()),
        ["office"],
        [],
        serial=secrets.token_bytes(identity.SERIAL_BYTES),
        now_ms=START_MS,
        days=100,
    )
    return issued.certificate


class Wire(asyncio.Transport):
    """The client's end of one connection, and the server's side of it."""

    def __init__(self, network: "Network", link: Link, certificate: bytes | None) -> None:
        super().__init__()
        self.certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._network = network
        self._link = link
        self._is_closing = False
        self._is_paused = False
        self._held: list[bytes] = []
        self.guest: Guest | None = None
        self.sent_bytes = 0
        self.cut_after_bytes: int | None = None
        self.is_deaf = False
        """What the client says does not arrive, and the other way round."""
        self.server = ServerConnection(self._loop.time(), self._welcome)

    # The client's end

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing and not self.is_deaf:
            self._carry(bytes(data), self._server_receives)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._loop.call_soon(self._end)

    def abort(self) -> None:
        self._loop.call_soon(self._end)

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        held, self._held = self._held, []
        for data in held:
            self._link.data_received(data)

    # The network

    def cut(self) -> None:
        """Both ends lose the other; what is under way is lost."""
        self._end()

    def _carry(self, data: bytes, receive: Callable[[bytes], None]) -> None:
        limit = self.cut_after_bytes
        if limit is not None and self.sent_bytes + len(data) >= limit:
            data = data[: max(0, limit - self.sent_bytes)]
            self.sent_bytes = limit
            self._later(receive, data)
            self._later(lambda data: self._end(), b"")
            return
        self.sent_bytes += len(data)
        self._later(receive, data)

    def _later(self, receive: Callable[[bytes], None], data: bytes) -> None:
        if self._network.latency_s:
            self._loop.call_later(self._network.latency_s, receive, data)
        else:
            self._loop.call_soon(receive, data)

    def _end(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self.server.lost()
        if self.guest is not None:
            self._network.office.guests.remove(self.guest)
            self.guest = None
        self._network.wires.remove(self)
        self._loop.call_soon(self._link.connection_lost, None)

    # The server's end

    def _server_receives(self, data: bytes) -> None:
        if self._is_closing:
            return
        for event in self.server.receive(data, self._loop.time()):
            match event:
                case RequestReceived(number, request):
                    delay_s = self._network.slowness(request)
                    if delay_s:
                        self._loop.call_later(delay_s, self._answer, number, request)
                    else:
                        self._answer(number, request)
                case NoteReceived(note):
                    if self.guest is not None:
                        self._network.office.take_note(self.guest, note)
                case GoodbyeReceived() | ConnectionFailed():
                    self._loop.call_soon(self._end)
                case HelloReceived():
                    pass
        self.flush()

    def _answer(self, number: int, request: Request[Reply]) -> None:
        if self._is_closing:
            return
        network = self._network
        office = network.office
        network.asked.append(request)
        try:
            network.before(request, self)
            if self.is_closing():
                return
            if isinstance(request, session.SignIn | session.Resume | session.SignInByCertificate):
                reply: Reply = self._sign_in(request)
            elif self.guest is None:
                raise AssertionError("a request before the sign-in passed the connection")
            else:
                reply = office.answer(self.guest, request)
            network.after(request, self)
        except RequestRefused as refusal:
            self.server.refuse(number, refusal.code, refusal.sentence, refusal.retry_after_ms)
        else:
            self.server.reply(number, reply)
        self.flush()

    def _sign_in(
        self, request: session.SignIn | session.Resume | session.SignInByCertificate
    ) -> session.SignedIn:
        signed_in = self._network.office.sign_in(request, self.certificate)
        self.guest = Guest(signed_in.user, request.device.id, self.push)
        self._network.office.guests.append(self.guest)
        return signed_in

    def push(self, push: Push) -> None:
        """Push, after the answer that is being made."""
        for each in self._network.pushed(push):
            self._loop.call_soon(self._push_now, each)

    def _push_now(self, push: Push) -> None:
        self.server.push(push)
        self.flush()

    def flush(self) -> None:
        """Send what the server's side has to say."""
        data = self.server.data_to_send()
        if data and not self._is_closing and not self.is_deaf:
            self._carry(data, self._client_receives)

    def _client_receives(self, data: bytes) -> None:
        if self._is_closing or not data:
            return
        if self._is_paused:
            self._held.append(data)
        else:
            self._link.data_received(data)

    def _welcome(self, version: int, capabilities: tuple[str, ...]) -> session.Welcome:
        office = self._network.office
        return session.Welcome(
            version=version,
            capabilities=capabilities,
            organisation="Example Works",
            organisation_id=identity.fingerprint(organisation()[0]),
            epoch=office.epoch,
            server_time_ms=office.now_ms,
        )


class Network:
    """All wires to the office, and their faults."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.wires: list[Wire] = []
        self.is_down = False
        self.latency_s = 0.0
        self.dialled = 0
        self.shown_certificates: list[bytes | None] = []
        self.asked: list[Request[Reply]] = []
        self.cut_next_after_bytes: int | None = None
        self.slowness: Callable[[Request[Reply]], float] = lambda request: 0.0
        self.before: Callable[[Request[Reply], Wire], None] = lambda request, wire: None
        """Called before a request is carried out; may refuse or cut."""
        self.after: Callable[[Request[Reply], Wire], None] = lambda request, wire: None
        """Called when it is carried out and not yet answered."""
        self.pushed: Callable[[Push], list[Push]] = lambda push: [push]
        """What becomes of a push."""

    async def dial(
        self,
        address: Address,
        make_link: Callable[[], Link],
        authority: bytes | None,
        chain_files: tuple[Path, Path] | None,
    ) -> tuple[Link, list[bytes]]:
        """What the core calls instead of TLS."""
        self.dialled += 1
        await asyncio.sleep(self.latency_s)
        if self.is_down:
            raise ServerUnreachable(f"{address} can't be reached: the cable is out")
        link = make_link()
        certificate = None
        if chain_files is not None:
            certificate = identity.certificate_from_pem(chain_files[0].read_bytes())
        self.shown_certificates.append(certificate)
        wire = Wire(self, link, certificate)
        wire.cut_after_bytes, self.cut_next_after_bytes = self.cut_next_after_bytes, None
        self.wires.append(wire)
        link.connection_made(wire)
        ours, certificate = organisation()
        return link, [certificate, ours]

    def cut(self) -> None:
        """Cut every wire."""
        for wire in tuple(self.wires):
            wire.cut()
