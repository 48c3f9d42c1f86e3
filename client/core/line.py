# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a session with the trusted server for as long as the core runs.

Theory: one task walks round: have we somebody to sign in? connect; sign in; attend until the link ends; wait; again. A person's
sign-in is a ticket that the next round carries: it gets the outcome of exactly that attempt. Everything else that wants the task
to look again nudges it.
"""

import asyncio
import contextlib
import logging
from typing import Final

from client.core import signin, trust
from client.core.addresses import parse_address
from client.core.backoff import LONGEST_RETRY_S, Backoff
from client.core.board import Board
from client.core.clock import Clock
from client.core.credentials import Credentials
from client.core.dial import Dial
from client.core.errors import (
    CoreError,
    IdentityChanged,
    Offline,
    PasswordChangeRequired,
    ProfileOfAnother,
    Refused,
    ServerNotTrusted,
)
from client.core.events import CopyReset, PasswordChangeAsked, SignedIn, SignedOut
from client.core.feed import Feed
from client.core.link import Link
from client.core.session import Session
from client.core.signin import Password, Ticket
from client.core.status import Account, Phase
from client.core.store.database import Database
from client.core.store.meta import StoredAccount, Trust
from protocol import limits
from protocol.messages import session as wire
from protocol.messages.people import SetPresence

LOG = logging.getLogger("lanyard.core.line")

STABLE_AFTER_S: Final = 10.0
"""A session that lasted this long was a good one: the next failure starts the row of waits anew."""
PROBE_TIMEOUT_S: Final = 5.0
"""After a change of the network: an answer that takes longer will not come any more."""
CLOSE_TIMEOUT_S: Final = 2.0
"""From our goodbye until the transport must be gone."""


class Line:
    """The way to the server."""

    def __init__(
        self,
        *,
        session: Session,
        board: Board,
        feed: Feed,
        database: Database,
        credentials: Credentials,
        clock: Clock,
        dial: Dial,
        backoff: Backoff,
        device: wire.DeviceInfo,
        software: str,
    ) -> None:
        self._session = session
        self._board = board
        self._feed = feed
        self._database = database
        self._credentials = credentials
        self._clock = clock
        self._dial = dial
        self._backoff = backoff
        self._device = device
        self._software = software
        self._trust: Trust | None = None
        self._ticket: Ticket | None = None
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._password_changed = asyncio.Event()
        self._ended_by_server: tuple[str, str] | None = None
        self._hides_certificate = False
        self._retry_after_s = 0.0
        session.on_push(wire.SessionEnded, self._session_ended)

    # What the core calls

    def start(self) -> None:
        """Begin; harmless when repeated."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="lanyard line")
            self._task.add_done_callback(_report)

    async def stop(self) -> None:
        """Say goodbye and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._board.enter(Phase.STOPPED)

    def trusts(self, pinned: Trust | None) -> None:
        """Which organisation is trusted, and where its server is."""
        self._trust = pinned
        self._board.set(organisation=pinned.organisation if pinned else "")
        self.retry_now()

    def remembers(self, account: StoredAccount, login: str = "") -> Account:
        """Whose copy this is, as of the last sign-in."""
        shown = Account(
            user=account.user,
            name=account.name,
            login=login or account.login,
            device=self._device.id,
            permissions=frozenset(account.permissions),
            policy=account.policy,
        )
        self._session.belongs_to(account.user)
        self._board.set(account=shown)
        return shown

    def forgets(self) -> None:
        """The copy is nobody's any more."""
        self._session.belongs_to(None)
        self._board.set(account=None)

    def retry_now(self) -> None:
        """Somebody wants the server: do not wait any longer."""
        self._nudged.set()

    def network_changed(self) -> None:
        """Try at once; a link that stands must prove that it still leads somewhere."""
        self.retry_now()
        link = self._link
        if link is not None and self._session.is_open:
            task = asyncio.get_running_loop().create_task(self._probe(link), name="lanyard probe")
            task.add_done_callback(_report)

    async def sign_in(self, password: Password) -> Account:
        """Sign in as the person asks. Raises Refused, ServerUnreachable, IdentityChanged, PasswordChangeRequired..."""
        if self._ticket is not None:
            self._ticket.fail(Offline("Another sign-in took its place."))
        ticket = self._ticket = Ticket(password)
        self.start()
        if self._link is not None:
            self._link.close()
        self.retry_now()
        return await ticket.outcome

    async def change_password(self, change: wire.ChangePassword) -> None:
        """Set a new password; goes on with a sign-in that waited for it. Raises Refused, Offline."""
        link = self._link
        phase = self._board.status.connection.phase
        if link is None or not (phase is Phase.MUST_CHANGE_PASSWORD or self._session.is_open):
            raise Offline("The server can't be reached just now; sign in again.")
        await link.request(change)
        self._password_changed.set()

    async def sign_out(self) -> None:
        """End the session at the server when it can be reached, and forget what lets us in."""
        link = self._link
        if link is not None and self._session.is_open:
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await link.request(wire.SignOut())
            except (Offline, Refused, TimeoutError) as error:
                LOG.info("signed out without the server: %s", error)
        self._signed_out("", "")
        if link is not None:
            link.close()

    # The round

    async def _keep(self) -> None:
        try:
            while True:
                self._nudged.clear()
                ticket, self._ticket = self._ticket, None
                pinned = self._trust
                if pinned is None:
                    self._board.enter(Phase.STOPPED)
                    if ticket is not None:
                        ticket.fail(ServerNotTrusted("No server is trusted yet."))
                    await self._nudged.wait()
                elif ticket is None and not self._credentials.can_resume:
                    if self._board.status.connection.phase is not Phase.SIGNED_OUT:
                        self._board.enter(Phase.SIGNED_OUT)
                    await self._nudged.wait()
                else:
                    wait_s = await self._one_round(pinned, ticket)
                    if self._has_ticket():
                        continue
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._nudged.wait()
        finally:
            if self._ticket is not None:
                self._ticket.fail(Offline("The program is stopping."))

    def _has_ticket(self) -> bool:
        return self._ticket is not None

    async def _one_round(self, pinned: Trust, ticket: Ticket | None) -> float:
        """Connect, sign in, attend; returns how long to wait before the next round."""
        self._retry_after_s = 0.0
        try:
            await self._connect_and_attend(pinned, ticket)
        except IdentityChanged as error:
            _fail(ticket, error)
            self._board.enter(Phase.UNTRUSTED, sentence=str(error), retry_in_s=LONGEST_RETRY_S)
            return LONGEST_RETRY_S
        except CoreError as error:
            _fail(ticket, error)
            return self._missed(error, is_asked=ticket is not None)
        except BaseException:
            _fail(ticket, Offline("The program is stopping."))
            raise
        if not self._credentials.can_resume:
            return 0.0
        return self._missed(Offline("The connection was lost."), is_asked=False)

    def _missed(self, error: CoreError, *, is_asked: bool) -> float:
        """What a failed round means for the next one. ``is_asked``: a person tried and knows; nothing that worked is forgotten."""
        if isinstance(error, Refused):
            if error.code in signin.FINAL_CODES and not is_asked:
                self._signed_out(error.code.value, error.sentence)
                return 0.0
            self._retry_after_s = max(self._retry_after_s, error.retry_after_ms / 1000)
        if not self._credentials.can_resume:
            self._board.enter(Phase.SIGNED_OUT, reason=_code_of(error), sentence=str(error))
            return 0.0
        wait_s = self._backoff.next_s(at_least_s=self._retry_after_s)
        self._board.enter(
            Phase.OFFLINE,
            attempt=self._backoff.failures,
            retry_in_s=wait_s,
            reason=_code_of(error),
            sentence=str(error),
        )
        LOG.info("no connection, next attempt in %.1f s: %s", wait_s, error)
        return wait_s

    async def _connect_and_attend(self, pinned: Trust, ticket: Ticket | None) -> None:
        loop = asyncio.get_running_loop()
        address = parse_address(pinned.address)
        self._board.enter(Phase.CONNECTING, server=str(address), attempt=self._backoff.failures)
        shows_certificate = not self._hides_certificate and ticket is None
        chain_files = self._credentials.chain_files if shows_certificate else None
        self._hides_certificate = False

        def make_link() -> Link:
            return Link(self._software, self._session.pushed)

        link, chain = await self._dial(address, make_link, pinned.authority, chain_files)
        self._link = link
        opened_at: float | None = None
        try:
            welcome = await self._greet(link, chain, pinned, chain_files is not None)
            password = ticket.password if ticket is not None else None
            if chain_files is None and password is None and self._credentials.ticket is None:
                # The certificate was refused by TLS itself and nothing else is left.
                self._credentials.forget_certificate()
            signed_in = await signin.sign_in(link, self._device, self._credentials, password)
            opened_at = loop.time()
            await self._attend(link, welcome, signed_in, pinned, ticket)
        finally:
            self._link = None
            self._session.close()
            await _close(link)
            if opened_at is not None and loop.time() - opened_at >= STABLE_AFTER_S:
                self._backoff.reset()
            if link.goodbye is not None:
                self._retry_after_s = link.goodbye.reconnect_after_ms / 1000
        self._tell_why_it_ended(link)

    async def _greet(
        self, link: Link, chain: list[bytes], pinned: Trust, showed_certificate: bool
    ) -> wire.Welcome:
        try:
            async with asyncio.timeout(limits.GREETING_TIMEOUT_S):
                welcome = await link.greeted()
        except TimeoutError as error:
            raise Offline("The server does not greet.") from error
        except Offline:
            # In TLS 1.3 a certificate that the server does not accept (expired, revoked) ends the connection only now.
            self._hides_certificate = showed_certificate
            raise
        trust.check_server(pinned.authority, chain[0], welcome, pinned.latest_server_ms)
        self._clock.server_stated(welcome.server_time_ms)
        self._board.set(organisation=welcome.organisation, clock_ahead_s=self._clock.ahead_s())
        return welcome

    async def _attend(
        self,
        link: Link,
        welcome: wire.Welcome,
        signed_in: wire.SignedIn,
        pinned: Trust,
        ticket: Ticket | None,
    ) -> None:
        login = ticket.password.login if ticket is not None else ""
        try:
            was_reset = await self._database.run(signin.admit, welcome, signed_in, login)
        except ProfileOfAnother:
            await link.request(wire.SignOut())
            raise
        self._credentials.keep_token(signed_in.user, signed_in.token)
        self._clock.server_stated(signed_in.server_time_ms)
        self._password_changed.clear()
        if signed_in.must_change_password:
            await self._ask_for_password(link, signed_in, login, ticket)
        stored = StoredAccount(
            organisation_id=welcome.organisation_id,
            user=signed_in.user,
            login=login or (self._board.status.account.login if self._board.status.account else ""),
            name=signed_in.name,
            permissions=signed_in.permissions,
            policy=signed_in.policy,
        )
        account = self.remembers(stored)
        if was_reset:
            self._feed.publish(CopyReset())
        self._trust = Trust(
            pinned.authority, welcome.organisation, pinned.address, welcome.server_time_ms
        )
        self._nudged.clear()
        if not link.ended.is_set():
            self._board.enter(Phase.SYNCING)
            self._session.open(link)
            self._feed.publish(SignedIn(signed_in.user, signed_in.name))
        if ticket is not None:
            ticket.succeed(account)
        await link.ended.wait()

    async def _ask_for_password(
        self, link: Link, signed_in: wire.SignedIn, login: str, ticket: Ticket | None
    ) -> None:
        """Wait for the answer to the question, or for the end of the link."""
        sentence = "The account needs a password of its own before anything else."
        self._board.enter(Phase.MUST_CHANGE_PASSWORD, sentence=sentence)
        self._feed.publish(PasswordChangeAsked(login, signed_in.policy.password_min_chars))
        _fail(ticket, PasswordChangeRequired(sentence))
        answer = asyncio.ensure_future(self._password_changed.wait())
        end = asyncio.ensure_future(link.ended.wait())
        try:
            await asyncio.wait((answer, end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
            end.cancel()
        if not self._password_changed.is_set():
            raise Offline("The connection ended before the password was changed.")

    async def _probe(self, link: Link) -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await link.request(SetPresence())
        except TimeoutError:
            link.abort("The network has changed.")
        except (Offline, Refused):
            pass

    def _session_ended(self, push: wire.SessionEnded) -> None:
        self._ended_by_server = (push.reason, push.sentence)

    def _tell_why_it_ended(self, link: Link) -> None:
        """Raise what the end of the link means for the next round."""
        ended, self._ended_by_server = self._ended_by_server, None
        if ended is not None:
            self._signed_out(*ended)
            return
        code, sentence = link.failure
        if code is not None:
            raise Refused(code, sentence)
        if self._credentials.can_resume:
            raise Offline(sentence)

    def _signed_out(self, reason: str, sentence: str) -> None:
        self._session.close()
        self._credentials.forget()
        self._board.enter(Phase.SIGNED_OUT, reason=reason, sentence=sentence)
        self._feed.publish(SignedOut(reason, sentence))


def _fail(ticket: Ticket | None, error: CoreError) -> None:
    if ticket is not None:
        ticket.fail(error)


def _code_of(error: CoreError) -> str:
    return error.code.value if isinstance(error, Refused) else ""


async def _close(link: Link) -> None:
    link.close()
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await link.ended.wait()
    except TimeoutError:
        link.abort("The server did not close.")


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.critical("%s died of a fault of its own", task.get_name(), exc_info=error)
