# SPDX-License-Identifier: GPL-3.0-or-later
"""The line to the Lanyard server: a blocking driver of the protocol, over TLS with the organisation's pinned identity, or over the
control socket in the organisation's folder on the server itself. No rules in here."""

import hashlib
import ipaddress
import os
import secrets
import socket
import ssl
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ldapsync import passwords
from ldapsync.config import ServerConfig
from ldapsync.refusals import ServerError, ServerRefused
from protocol.client_connection import ClientConnection
from protocol.errors import ErrorCode, LocalProtocolError
from protocol.events import (
    ConnectionEvent,
    ConnectionFailed,
    GoodbyeReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.identity import fingerprint, fingerprint_hex, fingerprint_words, is_issued_by
from protocol.ids import ID_BYTES
from protocol.keys import IdentityError
from protocol.messages.kinds import ReplyT_co, Request
from protocol.messages.session import DeviceInfo, SignIn, SignInByCertificate, SignOut
from protocol.version import DEFAULT_PORT

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 600.0
"""For one request: committing a run of 100,000 people takes a while."""
SOCKET_NAME: Final = "control.sock"
_READ_BYTES: Final = 256 << 10
_ENCODING_DER: Final = 2
_DEVICE: Final = b"lanyard-ldapsync device"


class ServerLink:
    """A signed-in session. Use it in a ``with`` statement; it must not be left idle for long."""

    def __init__(self, link: socket.socket, software: str) -> None:
        """Take a connected socket and wait for the server's greeting. Raises ServerError."""
        self._socket = link
        self._connection = ClientConnection(
            time.monotonic(), software=software, request_timeout_s=ANSWER_TIMEOUT_S
        )
        self._is_local = not isinstance(link, ssl.SSLSocket)
        welcome = None
        while welcome is None:
            for event in self._next_events():
                if isinstance(event, WelcomeReceived):
                    welcome = event.welcome
        self.organisation = welcome.organisation_id
        """The organisation's identity."""
        self.organisation_name = welcome.organisation

    @classmethod
    def open(cls, config: ServerConfig, software: str) -> Self:
        """Connect and sign in. Raises ServerError, ServerRefused, SecretMissing."""
        if config.folder:
            link = cls(_connected_locally(Path(config.folder)), software)
            return link._signed_in(SignInByCertificate(_device("operator")))
        if not (config.address and config.fingerprint and config.login):
            raise ServerError(
                "[server] in ldapsync.toml needs address, fingerprint and login, or on the server itself folder."
            )
        password = passwords.fetch(config, "[server]")
        if not password:
            raise ServerError("The password of [server] is empty.")
        link = cls(_connected(config.address, config.fingerprint), software)
        return link._signed_in(SignIn(config.login, password, _device(config.login)))

    def _signed_in(self, request: Any) -> Self:
        try:
            signed_in = self.ask(request)
            if signed_in.must_change_password:
                raise ServerError(
                    "The account of [server] has a one-time password; change it first."
                )
        except BaseException:
            self._socket.close()
            raise
        return self

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
        """Sign out, so that no device of this program stays behind, and hang up."""
        try:
            if not self._is_local and self._connection.can_request:
                self._socket.settimeout(CONNECT_TIMEOUT_S)
                self.ask(SignOut())
            self._connection.say_goodbye(time.monotonic())
            self._socket.sendall(self._connection.data_to_send())
        except (OSError, ServerError):
            pass  # the server has hung up: there is nothing left to say
        finally:
            self._socket.close()

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer to a request. Raises ServerRefused, and ServerError when the server goes away meanwhile."""
        try:
            number = self._connection.request(request, time.monotonic())
        except LocalProtocolError as error:
            raise ServerError(f"The server can't be asked this: {error}.") from error
        while True:  # bounded by the request's own timeout
            for event in self._next_events():
                if isinstance(event, ReplyReceived) and event.number == number:
                    return event.message  # type: ignore[return-value]  # a reply to this request
                if isinstance(event, RequestFailed) and event.number == number:
                    if event.code is ErrorCode.TIMED_OUT:
                        raise ServerError(event.sentence)
                    raise ServerRefused(event.sentence, event.code.value)

    def _next_events(self) -> list[ConnectionEvent]:
        connection = self._connection
        try:
            self._socket.sendall(connection.data_to_send())
            at = connection.timer_at()
            if at is None:
                raise ServerError("The server closed the connection.")
            self._socket.settimeout(max(0.01, at - time.monotonic()))
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            events = connection.timer_fired(time.monotonic())
        except OSError as error:
            raise ServerError(f"The server went away: {_cause(error)}.") from error
        else:
            if not data:
                raise ServerError("The server went away before it answered.")
            events = connection.receive(data, time.monotonic())
        for event in events:
            if isinstance(event, ConnectionFailed):
                raise ServerError(f"The connection to the server failed: {event.sentence}")
            if isinstance(event, GoodbyeReceived):
                raise ServerError(f"The server hung up. {event.goodbye.sentence}".strip())
        return events


def is_same_fingerprint(given: str, found: bytes) -> bool:
    """Whether somebody wrote down this fingerprint, in digits or in words."""
    digits = "".join(letter for letter in given if letter.isalnum()).lower()
    return digits == found.hex() or given.lower().split() == fingerprint_words(found).split()


def parse_address(text: str) -> tuple[str, int]:
    """``host``, ``host:port``, ``[2001:db8::1]:port`` or a bare IPv6 address. Raises ServerError."""
    host, port = text.strip(), str(DEFAULT_PORT)
    is_ip6 = host.startswith("[") or host.count(":") > 1
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if is_ip6:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            host = ""
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ServerError(f"{text!r} in [server] is no address; write host or host:port.")
    return host, int(port)


def _connected(address: str, pinned: str) -> ssl.SSLSocket:
    """A TLS connection to a server whose authority has the pinned fingerprint. Raises ServerError."""
    where = parse_address(address)
    curious = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    curious.check_hostname = False
    curious.verify_mode = ssl.CERT_NONE  # for looking only: nothing is said on this connection
    with _handshake(where, curious) as seen:
        chain = _shown_chain(seen)
    authority = _pinned_authority(chain, pinned, address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority)
    return _handshake(where, context)


def _handshake(where: tuple[str, int], context: ssl.SSLContext) -> ssl.SSLSocket:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    host, port = where
    try:
        raw = socket.create_connection(where, timeout=CONNECT_TIMEOUT_S)
    except OSError as error:
        raise ServerError(
            f"The Lanyard server {host}:{port} can't be reached: {_cause(error)}."
        ) from error
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raw.close()
        raise ServerError(
            f"The certificate of {host}:{port} can't be accepted: {error.verify_message}."
        ) from error
    except OSError as error:
        raw.close()
        raise ServerError(
            f"{host}:{port} does not speak as a Lanyard server does: {_cause(error)}."
        ) from error


def _pinned_authority(chain: list[bytes], pinned: str, address: str) -> bytes:
    try:
        for each in chain[1:]:
            if is_same_fingerprint(pinned, fingerprint(each)) and is_issued_by(chain[0], each):
                return each
        shown = fingerprint_hex(fingerprint(chain[-1])) if chain else "none"
    except IdentityError:
        shown = "unreadable"
    raise ServerError(
        f"{address} is not the server that is pinned in [server]: its organisation's fingerprint is {shown}. "
        "Compare it with what `lanyard-server run` prints there before you change the configuration."
    )


def _shown_chain(seen: ssl.SSLSocket) -> list[bytes]:
    """The certificates that the server sent, its own first, not verified."""
    found: Any = seen
    if sys.version_info >= (3, 13):
        return list(found.get_unverified_chain())
    # COMPAT before 3.13 the method exists without a public name.
    chain = found._sslobj.get_unverified_chain()  # noqa: SLF001
    return [each.public_bytes(_ENCODING_DER) for each in chain or ()]


def _connected_locally(folder: Path) -> socket.socket:
    """``folder`` is the organisation's, or the control socket itself where the configuration puts it elsewhere."""
    path = folder if folder.is_socket() else folder / SOCKET_NAME
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(CONNECT_TIMEOUT_S)
    try:
        link.connect(os.fspath(path))
    except OSError as error:
        link.close()
        raise ServerError(
            f"No server answers at {path}, or this user may not speak to it: {_cause(error)}."
        ) from error
    return link


def _device(login: str) -> DeviceInfo:
    """This computer, to the server: the same each time, so that runs don't fill the account's list of devices."""
    host = socket.gethostname() or "ldapsync"
    seed = b"\0".join((_DEVICE, host.encode(), login.encode()))
    id = hashlib.sha256(seed).digest()[:ID_BYTES]
    if login == "operator":
        id = secrets.token_bytes(ID_BYTES)
    return DeviceInfo(id, f"lanyard-ldapsync on {host}", "cli", sys.platform)


def _cause(error: OSError) -> str:
    return error.strerror.lower() if error.strerror else str(error) or type(error).__name__
