# SPDX-License-Identifier: GPL-3.0-or-later
"""login, logout, status, servers, password: who is signed in, and where."""

import asyncio
from typing import Final, Self

from client.cli import show
from client.cli.commands.passwords import Passwords
from client.cli.commands.trust import the_server
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser
from client.cli.records.account import AccountRecord, DoneRecord, ServerRecord, StatusRecord
from client.cli.records.record import Who
from client.cli.refusals import failure_of
from client.core.app import Core
from client.core.errors import CoreError, Offline, PasswordChangeRequired
from client.core.events import Event, PasswordChangeAsked, SignedIn
from client.core.status import Account, Phase
from protocol.ids import format_id

_EXITS: Final = {
    Phase.STOPPED: Exit.UNREACHABLE,
    Phase.SIGNED_OUT: Exit.NOT_SIGNED_IN,
    Phase.OFFLINE: Exit.UNREACHABLE,
    Phase.CONNECTING: Exit.UNREACHABLE,
    Phase.MUST_CHANGE_PASSWORD: Exit.NOT_SIGNED_IN,
    Phase.SYNCING: Exit.OK,
    Phase.CONNECTED: Exit.OK,
    Phase.UNTRUSTED: Exit.TRUST,
}
_WORDS: Final = {
    Phase.STOPPED: "not connected",
    Phase.SIGNED_OUT: "signed out",
    Phase.OFFLINE: "offline",
    Phase.CONNECTING: "connecting",
    Phase.MUST_CHANGE_PASSWORD: "waits for a new password",
    Phase.SYNCING: "syncing",
    Phase.CONNECTED: "connected",
    Phase.UNTRUSTED: "not the server that is trusted",
}


# ----------------------------------------------------------------------------------------------- login


def declare_login(parser: Parser) -> None:
    """login [SERVER] [LOGIN]"""
    parser.set_defaults(run=login)
    add = parser.add_argument
    add(
        "server",
        metavar="SERVER",
        nargs="?",
        help="address, such as chat.example.com or 192.0.2.7:7370; without it, the one that is trusted or found",
    )
    add(
        "login", metavar="LOGIN", nargs="?", help="the account's login; without it, it is asked for"
    )
    add(
        "--fingerprint",
        metavar="DIGITS",
        help="trust a server with this fingerprint without asking (64 digits, or its 12 words)",
    )
    add(
        "--password-file",
        metavar="FILE",
        help="read the password from the first line of a file (- for standard input)",
    )
    add(
        "--new-password-file",
        metavar="FILE",
        help="where the new password is when the first one has to be changed",
    )


async def login(desk: Desk) -> None:
    """Sign in, and bring the local copy up to date."""
    core, options = desk.core, desk.options
    if (me := core.account.me) is not None and core.status.connection.phase is not Phase.SIGNED_OUT:
        _check_is_same(desk, me)
    await the_server(desk, options.server, options.fingerprint)
    name = options.login or (me.login if me else "") or await _ask_login(desk)
    passwords = Passwords(desk, options.password_file, options.new_password_file)
    password = await passwords.current(f"Password of {name}: ")
    with FirstPassword(core) as first:
        try:
            account = await core.account.sign_in(name, password)
        except PasswordChangeRequired:
            new = await passwords.new(password, min_chars=first.min_chars)
            await core.account.change_password(password, new)
            await first.until_signed_in(desk.timeout_s)
            account = desk.account
    try:
        await desk.need_server()
    except Offline as error:
        desk.note(f"Signed in, but not everything has arrived yet: {error}")
    desk.put(_account_record(desk, account), f"Signed in as {show.one_line(account.name)}.")


class FirstPassword:
    """The question for a password of one's own, and the sign-in that goes on after the answer."""

    def __init__(self, core: Core) -> None:
        self.min_chars = 0
        """How long the new password has to be, as the server says."""
        self._signed_in = asyncio.Event()
        self._forget = core.on_event(self._heard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._forget()

    def _heard(self, event: Event) -> None:
        if isinstance(event, PasswordChangeAsked):
            self.min_chars = event.min_chars
        elif isinstance(event, SignedIn):
            self._signed_in.set()

    async def until_signed_in(self, timeout_s: float) -> None:
        """Wait until the sign-in has gone on. Raises Failure."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._signed_in.wait()
        except TimeoutError:
            raise Failure(
                "The password is changed, but the server did not go on with the sign-in. "
                "Sign in again with the new password.",
                Exit.TIMED_OUT,
            ) from None


def _check_is_same(desk: Desk, me: Account) -> None:
    """Signing in again as the same person renews the session; another person needs another profile."""
    wanted = desk.options.login
    if wanted and wanted.casefold() != me.login.casefold():
        raise Failure(
            f"{show.one_line(me.name)} ({me.login}) is signed in here. `lanyard-cli logout --forget` first, "
            "or use another folder with --profile DIR.",
            Exit.PROFILE,
        )


async def _ask_login(desk: Desk) -> str:
    if not desk.terminal.is_interactive:
        raise Failure("Whose account? Give the login: `lanyard-cli login SERVER LOGIN`.")
    answer = (await desk.terminal.ask("Login: ")).strip()
    if not answer:
        raise Failure("No login was given.")
    return answer


def _account_record(desk: Desk, account: Account) -> AccountRecord:
    status = desk.core.status
    return AccountRecord(
        user=Who(format_id(account.user), account.login, account.name),
        device=format_id(account.device),
        organisation=status.organisation,
        server=status.connection.server,
        permissions=tuple(sorted(account.permissions)),
    )


# ---------------------------------------------------------------------------------------------- logout


def declare_logout(parser: Parser) -> None:
    """logout [--forget]"""
    parser.set_defaults(run=logout)
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove the local copy, what waits to be sent, and the trust in the server as well",
    )
    parser.add_argument(
        "--yes", action="store_true", help="with --forget: even if messages wait to be sent"
    )


async def logout(desk: Desk) -> None:
    """Sign out."""
    outgoing = desk.core.status.outgoing
    waiting = outgoing.queued + outgoing.failed
    if desk.options.forget:
        if waiting and not desk.options.yes:
            raise Failure(
                f"{show.count(waiting, 'message')} would be lost that wait on this computer: see "
                "`lanyard-cli outbox list`, or add --yes.",
            )
    else:
        _ = desk.account
    if desk.core.account.me is not None and not desk.options.offline:
        try:
            await desk.need_server()
        except CoreError as error:
            desk.note(
                f"{failure_of(error).sentence} This computer forgets its keys now; "
                "`lanyard-cli devices remove` on another one ends the session at the server."
            )
    await desk.core.account.sign_out(forget=desk.options.forget)
    desk.put(DoneRecord("logout", None), "Signed out.")


# ---------------------------------------------------------------------------------------------- status


def declare_status(parser: Parser) -> None:
    """status"""
    parser.set_defaults(run=status)
    parser.epilog = (
        "Exit code: 0 connected, 3 not signed in, 4 the server can't be reached, 6 not trusted."
    )


async def status(desk: Desk) -> int:
    """Say how things stand; the exit code says it as well."""
    core = desk.core
    failure: Failure | None = None
    if core.account.me is not None and not desk.options.offline:
        try:
            await desk.need_server()
        except (CoreError, Failure) as error:
            failure = failure_of(error)
    now = core.status
    phase = Phase.SIGNED_OUT if core.account.me is None else now.connection.phase
    me = core.account.me
    chats = [] if me is None else [one for one in await core.chats.all() if not one.is_over]
    trusted = core.servers.trusted
    record = StatusRecord(
        phase=phase.value,
        reason=now.connection.reason,
        sentence=failure.sentence if failure else now.connection.sentence,
        server=now.connection.server or (trusted.address if trusted else ""),
        organisation=now.organisation or (trusted.organisation if trusted else ""),
        user=None if me is None else Who(format_id(me.user), me.login, me.name),
        device=None if me is None else format_id(me.device),
        permissions=() if me is None else tuple(sorted(me.permissions)),
        chats=len(chats),
        unread=sum(chat.unread for chat in chats),
        mentions=sum(chat.mentions for chat in chats),
        queued=now.outgoing.queued,
        failed=now.outgoing.failed,
        clock_ahead_s=round(now.clock_ahead_s, 3),
        profile=str(desk.profile),
    )
    desk.put(record, _status_lines(desk, record, phase))
    if failure and phase in (Phase.CONNECTED, Phase.SYNCING):
        return failure.exit_code
    return Exit.OK if phase is Phase.STOPPED and desk.options.offline else _EXITS[phase]


def _status_lines(desk: Desk, record: StatusRecord, phase: Phase) -> list[str]:
    unread = show.count(record.unread, "message") if record.unread else "nothing"
    if record.mentions:
        unread += f", {show.count(record.mentions, 'mention')} of you"
    waiting = [f"{record.queued:,} to be sent"] if record.queued else []
    waiting += [f"{record.failed:,} refused (`lanyard-cli outbox list`)"] if record.failed else []
    clock = ""
    if desk.core.status.is_clock_wrong:
        way = "fast" if record.clock_ahead_s > 0 else "slow"
        clock = f"this computer is {show.span(record.clock_ahead_s)} {way}"
    who = f"{record.user.name} ({record.user.login})" if record.user else "nobody"
    style = show.Style.GOOD if _EXITS[phase] is Exit.OK else show.Style.WARNING
    lines = show.facts(
        [
            ("Signed in", who),
            ("Organisation", record.organisation),
            ("Server", record.server),
            ("Connection", _WORDS[phase]),
            ("Why", record.sentence if _EXITS[phase] is not Exit.OK else ""),
            ("Unread", unread if record.user else ""),
            ("Waiting here", ", ".join(waiting)),
            ("Clock", clock),
            ("Profile", record.profile),
        ],
        desk.paint,
    )
    painted = desk.paint(style, _WORDS[phase])
    return [
        line.replace(_WORDS[phase], painted) if "Connection" in line else line for line in lines
    ]


# --------------------------------------------------------------------------------------------- servers


def declare_servers(parser: Parser) -> None:
    """servers [DOMAIN]"""
    parser.set_defaults(run=servers)
    parser.add_argument(
        "domain",
        metavar="DOMAIN",
        nargs="?",
        default="",
        help="ask the name servers of this domain",
    )


async def servers(desk: Desk) -> None:
    """Find servers by DNS and on the local network."""
    found = await desk.core.servers.find(desk.options.domain)
    desk.put_table(
        [ServerRecord.of(one) for one in found],
        [show.Column("Address"), show.Column("Name", shrinks=True), show.Column("Found by")],
        [(one.address, one.name, one.source) for one in found],
        nothing="No server was found. Ask IT for its address.",
    )


# -------------------------------------------------------------------------------------------- password


def declare_password(parser: Parser) -> None:
    """password [--end-other-sessions]"""
    parser.set_defaults(run=password)
    add = parser.add_argument
    add(
        "--password-file",
        metavar="FILE",
        help="where the present password is (- for standard input)",
    )
    add("--new-password-file", metavar="FILE", help="where the new one is")
    add("--end-other-sessions", action="store_true", help="sign out on all other devices")


async def password(desk: Desk) -> None:
    """Change the password of the account."""
    account = desk.account
    passwords = Passwords(desk, desk.options.password_file, desk.options.new_password_file)
    old = await passwords.current(f"Present password of {account.login}: ")
    new = await passwords.new(old, min_chars=account.policy.password_min_chars)
    try:
        await desk.need_server()
    except PasswordChangeRequired:
        pass  # this is the change
    await desk.core.account.change_password(
        old, new, end_other_sessions=desk.options.end_other_sessions
    )
    desk.put(DoneRecord("password", None), "The password is changed.")
