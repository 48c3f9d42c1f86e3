# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one command is carried out: the core, the person's terminal and the options, and how results are put before the person."""

import argparse
import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from client.cli import show
from client.cli.failures import Exit, Failure
from client.cli.records.account import NoteRecord
from client.cli.records.record import Record
from client.cli.refusals import ended
from client.cli.shown import Shown
from client.cli.terminal import Terminal
from client.core.app import Core
from client.core.errors import Offline
from client.core.events import Event, StatusChanged
from client.core.status import Account, Phase

TIMEOUT_S: Final = 20.0
"""How long the server may take when ``--timeout`` does not say: a slow link answers, and nobody waits longer for nothing."""


class Desk:
    """Given to the function of a command."""

    def __init__(
        self,
        core: Core,
        terminal: Terminal,
        options: argparse.Namespace,
        shown: Shown,
        profile: Path,
    ) -> None:
        self.core = core
        self.terminal = terminal
        self.options = options
        self.shown = shown
        self.profile = profile
        self.is_json = bool(options.json)
        self.paint = show.Paint(has_colour=terminal.has_colour and not self.is_json)
        self.width = terminal.width

    @property
    def timeout_s(self) -> float:
        """How long to wait for the server."""
        given: float | None = self.options.timeout
        return TIMEOUT_S if given is None else given

    @property
    def account(self) -> Account:
        """Who is signed in. Raises Failure when nobody is."""
        account = self.core.account.me
        if account is None:
            raise Failure(
                "Nobody is signed in here. Sign in with `lanyard-cli login SERVER LOGIN`.",
                Exit.NOT_SIGNED_IN,
            )
        return account

    def now(self) -> dt.datetime:
        """This computer's time, for telling today from yesterday."""
        return dt.datetime.now(dt.UTC).astimezone()

    # ------------------------------------------------------------------------------------------ results

    def put(self, record: Record, lines: str | Iterable[str]) -> None:
        """One result: the record for programs, the lines for people."""
        if self.is_json:
            self.terminal.out(record.encode())
            return
        for line in (lines,) if isinstance(lines, str) else lines:
            self.terminal.out(line)

    def put_table(
        self,
        records: Sequence[Record],
        columns: Sequence[show.Column],
        rows: Sequence[Sequence[str]],
        *,
        nothing: str,
    ) -> None:
        """Results in a table, one record for each row; ``nothing`` is said when there are none."""
        if self.is_json:
            for record in records:
                self.terminal.out(record.encode())
        elif not rows:
            self.terminal.out(nothing)
        else:
            for line in show.table(columns, rows, width=self.width, paint=self.paint):
                self.terminal.out(line)

    def note(self, sentence: str) -> None:
        """Say something about the command itself, on standard error."""
        self.terminal.err(NoteRecord(sentence).encode() if self.is_json else sentence)

    # ------------------------------------------------------------------------------------------- server

    async def need_server(self) -> None:
        """Connect, sign in and catch up. Raises Failure or CoreError when that can't be."""
        _ = self.account
        if self.options.offline:
            raise Failure("This needs the server, and --offline was given.", Exit.UNREACHABLE)
        await self._until_synchronised()

    async def prefer_server(self) -> bool:
        """The same where the local copy will do: False, and a note, when the server can't be reached."""
        missed = await self.try_server()
        if missed is not None and not self.options.offline:
            self.note(f"{ended(str(missed))} Shown is what this computer has.")
        return missed is None

    async def try_server(self) -> Offline | None:
        """The same where it matters little: why the server can't be reached, or None."""
        _ = self.account
        if self.options.offline:
            return Offline("--offline was given.")
        try:
            await self._until_synchronised()
        except Offline as error:
            return error
        return None

    async def _until_synchronised(self) -> None:
        """Without ``--timeout`` the first attempt that fails is the answer; with it, attempts go on."""
        core = self.core
        core.start()
        if core.status.connection.phase is Phase.CONNECTED:
            return
        before = core.status.connection.attempt
        failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def watch(event: Event) -> None:
            if not isinstance(event, StatusChanged) or failed.done():
                return
            connection = event.status.connection
            if connection.phase is Phase.OFFLINE and connection.attempt > before:
                failed.set_result(connection.sentence)

        stop_watching = core.on_event(watch)
        core.retry_now()
        arriving = asyncio.ensure_future(core.until_synchronised(timeout_s=self.timeout_s))
        waiting: set[asyncio.Future[Any]] = {arriving}
        if self.options.timeout is None:
            waiting.add(failed)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                raise Offline(failed.result())
            await arriving
        finally:
            stop_watching()
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)
