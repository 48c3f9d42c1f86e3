# SPDX-License-Identifier: GPL-3.0-or-later
"""The composition root: builds the server on one organisation's folder and one reactor, opens it, drains it, closes it.

An App answers from ``open`` to ``close``, and has a port after ``listen``; commands use it without one. It is built anew for another
database; what outlives that is in running.py.
"""

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.kinds import Reply, Request
from protocol.messages.session import Policy, Welcome
from server.assembly import Assembly, Choices, Doors
from server.authority import Authority
from server.clock import ReactorClock
from server.config import EVERYWHERE, Config
from server.failures import Exit, Failure
from server.organisation import FILE_MODE, Organisation
from server.services.caller import Caller
from server.services.pace import Pace
from server.services.refusals import refusal_of
from server.software import software
from server.store.database import Database
from server.store.errors import StoreError
from server.store.events import insert_events
from server.store.migrate import MigrationError, migrate
from server.store.writer import Writer
from server.transport.guard import Guard, GuardLimits
from server.transport.tcp import Listener, ListenFailed
from server.transport.tls import ServerTls, TlsUnusable

if TYPE_CHECKING:
    from server.ldap import Ldap

log = logging.getLogger("lanyard.app")

HEAVY_THREADS: Final = max(1, min(4, (os.cpu_count() or 1) - 1))
"""For hashing passwords and searching large trees: never the core on which the reactor turns."""
DRAIN_TIMEOUT_S: Final = 5.0
"""For clients to hear that the server stops; who has not by then finds out by the closed connection."""
DRAIN_LOOK_S: Final = 0.02
RECONNECT_MS_PER_SESSION: Final = 2
"""Clients come back at 500 a second at most: half of what one core can greet."""
MIN_RECONNECT_MS: Final = 1_000
"""A restart takes about that."""


class App:
    """One server on one database."""

    def __init__(self, organisation: Organisation, config: Config, reactor: Any) -> None:
        """Reads and opens nothing yet. ``reactor``: Twisted's, running before ``open``."""
        self.clock = ReactorClock(reactor)
        self._organisation = organisation
        self._config = config
        self._reactor = reactor
        self._heavy = ThreadPool(0, HEAVY_THREADS, "heavy")
        self._guard = Guard(_limits(config))
        self._software = software()  # looking it up costs as much as half a handshake
        self._authority: Authority | None = None
        self._assembly: Assembly | None = None
        self._database: Database | None = None
        self._writer: Writer | None = None
        self._tls: ServerTls | None = None
        self._listener: Listener | None = None
        self._ldap: Ldap | None = None

    # Life

    async def open(self) -> None:
        """Open the organisation, so that requests are answered. Raises Failure, and then nothing stays open."""
        try:
            self._authority = Authority(self._organisation, self._config.certificate)
            self.renew_certificate()
            self._heavy.start()
            self._ldap = self._directories()
            await self._open_store(self._authority)
        except BaseException as error:
            await self.close()
            raise _for_administrator(error) from error

    async def _open_store(self, authority: Authority) -> None:
        path = self._organisation.database(self._config)
        migrate(path)
        path.chmod(FILE_MODE)
        from_thread = self._reactor.callFromThread
        self._database = Database(f"sqlite:{path}", call_from_thread=from_thread)
        self._writer = Writer(self._database, insert_events, call_from_thread=from_thread)
        doors = Doors(
            clock=self.clock,
            read=self._database.read,
            run=self._writer.run,
            append=self._writer.append,
            in_thread=self._in_thread,
            sleep=self._sleep,
            authority=authority,
            verifiers=self._ldap.verifiers if self._ldap is not None else {},
        )
        config = self._config
        choices = Choices(
            _policy(config), config.sign_in.token_days, self._software, pace=_pace(config)
        )
        assembly = Assembly(doors, choices, self.welcome)
        await assembly.open()
        self._assembly = assembly

    def _directories(self) -> "Ldap | None":
        """What config.toml says of LDAP. Raises Failure."""
        if not self._config.ldap:
            return None
        from server.ldap import Ldap  # the LDAP library is slow to import, and not everywhere

        return Ldap(
            self._config.ldap,
            self._organisation.folder,
            self._reactor,
            self.clock,
            self._anchor_of,
        )

    def _anchor_of(self, login: str) -> str:
        return self._opened.anchor_of(login)

    async def listen(self) -> None:
        """Take connections. Raises Failure, and then none are taken."""
        organisation, assembly = self._organisation, self._opened
        try:
            tls = ServerTls(
                organisation.server_certificate,
                organisation.server_key,
                organisation.authority_certificate,
            )
            listener = Listener(self._reactor, tls, self._guard, assembly.sessions.accept)
            listener.listen(_addresses(self._config))
        except (TlsUnusable, ListenFailed) as error:
            raise _for_administrator(error) from error
        self._tls, self._listener = tls, listener
        if self._ldap is not None:
            self._ldap.start()

    async def close(self, sentence: str = "The server stops.") -> int:
        """Send everybody home, write what is left and close; how many sessions it ended. Harmless when repeated."""
        ended = await self._drain(sentence)
        ldap, self._ldap = self._ldap, None
        if ldap is not None:
            # A child that synchronises must be gone before the store is.
            await deferToThreadPool(self._reactor, self._heavy, ldap.stop)
        assembly, self._assembly = self._assembly, None
        writer, self._writer = self._writer, None
        database, self._database = self._database, None
        try:
            if assembly is not None:
                await assembly.close()
        except StoreError as error:
            log.warning("not everything could be written at the end: %s", error)
        if writer is not None:
            await writer.close()
        if database is not None:
            database.close()
        if self._heavy.started and not self._heavy.joined:
            self._heavy.stop()
        return ended

    async def _drain(self, sentence: str) -> int:
        listener, self._listener = self._listener, None
        if listener is None:
            return 0
        assembly = self._opened
        ended = assembly.online.session_count()
        listener.stop_accepting()
        spread_ms = max(MIN_RECONNECT_MS, RECONNECT_MS_PER_SESSION * len(assembly.sessions))
        assembly.sessions.say_goodbye(ErrorCode.UNAVAILABLE, sentence, reconnect_over_ms=spread_ms)
        until = self.clock.now() + DRAIN_TIMEOUT_S
        while listener.connections and self.clock.now() < until:
            await self._sleep(DRAIN_LOOK_S)
        listener.shut_down()
        return ended

    @property
    def _opened(self) -> Assembly:
        if self._assembly is None:
            raise RequestRefused(ErrorCode.UNAVAILABLE, "The server is starting or stopping.")
        return self._assembly

    # What running.py and the commands want of it

    @property
    def organisation_id(self) -> bytes:
        """Identity of the organisation."""
        return self._issuing.organisation_id

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where connections are taken."""
        return tuple(self._listener.addresses) if self._listener is not None else ()

    async def answer(self, caller: Caller, request: Request[Reply]) -> Reply:
        """Answer a request that did not come through the port. Raises RequestRefused."""
        try:
            return await self._opened.dispatch.answer(caller, request)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None or refusal is error:
                raise
            raise refusal from error

    def session_closed(self, caller: Caller) -> None:
        """Whoever asked without the port is gone: what they began is forgotten."""
        if self._assembly is not None:
            self._assembly.sync_runs.session_closed(caller.session)

    def welcome(self, version: int, capabilities: tuple[str, ...]) -> Welcome:
        """What a client is greeted with."""
        return Welcome(
            version,
            capabilities,
            self._config.organisation.name,
            self.organisation_id,
            self._opened.epoch,
            self.clock.now_ms(),
            self._software,
        )

    def use(self, config: Config) -> None:
        """Go over to another configuration as far as that can be done while running. Raises Failure, and then the old one holds."""
        authority = self._issuing
        authority.reload(config.certificate)
        self.renew_certificate()
        self._reload_tls()
        self._config = config
        self._guard.limits = _limits(config)
        assembly = self._opened
        assembly.policy.default = _policy(config)
        assembly.auth.token_days = config.sign_in.token_days
        assembly.pace.use(_pace(config))

    def renew_certificate(self) -> None:
        """Give the server a new certificate when its own comes to its end or lacks a name. Raises Failure, OSError."""
        now_ms = self.clock.now_ms()
        if self._issuing.wants_renewal(now_ms):
            self._issuing.renew_server(now_ms)
            self._reload_tls()

    @property
    def _issuing(self) -> Authority:
        if self._authority is None:
            raise RequestRefused(ErrorCode.UNAVAILABLE, "The server is starting.")
        return self._authority

    def _reload_tls(self) -> None:
        if self._tls is not None:
            try:
                self._tls.reload()
            except TlsUnusable as error:
                raise _for_administrator(error) from error

    # Doors out of the reactor's turn

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._heavy, function, *arguments)

    def _sleep(self, delay_s: float) -> Deferred[None]:
        return deferLater(self._reactor, delay_s, lambda: None)


def _for_administrator(error: BaseException) -> BaseException:
    """What went wrong as a Failure, when its message is meant for an administrator; otherwise as it is."""
    codes: dict[type[BaseException], Exit] = {
        MigrationError: Exit.CONFIG,
        StoreError: Exit.IO_ERROR,
        TlsUnusable: Exit.CONFIG,
        ListenFailed: Exit.BUSY,
        OSError: Exit.IO_ERROR,
    }
    for kind, code in codes.items():
        if isinstance(error, kind):
            return Failure(str(error), code)
    return error


def _policy(config: Config) -> Policy:
    return Policy(
        edit_within_s=config.policy.edit_within_s,
        recall_within_s=config.policy.recall_within_s,
        has_read_receipts=config.policy.has_read_receipts,
        password_min_chars=config.sign_in.password_min_chars,
    )


def _limits(config: Config) -> GuardLimits:
    return GuardLimits(
        connections=config.limits.connections,
        connections_per_address=config.limits.connections_per_address,
    )


def _pace(config: Config) -> Pace:
    return Pace(config.limits.posts_per_s, config.limits.posts_at_once)


def _addresses(config: Config) -> list[tuple[str, int]]:
    port = config.listen.port
    if EVERYWHERE in config.listen.addresses:
        return [("", port)]
    return [(address, port) for address in config.listen.addresses]
