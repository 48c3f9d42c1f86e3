# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives one protocol.Connection on asyncio: bytes, timers, and requests as awaitables. Knows nothing of sign-in or reconnects."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, cast

from client.core.errors import Offline, Refused
from protocol import limits
from protocol.client_connection import ClientConnection
from protocol.errors import ErrorCode
from protocol.events import (
    ConnectionEvent,
    ConnectionFailed,
    GoodbyeReceived,
    PushReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.messages.kinds import Note, Push, Reply, ReplyT_co, Request
from protocol.messages.session import Goodbye, Welcome

LOG = logging.getLogger("lanyard.core.link")

MAX_CONCURRENT_REQUESTS: Final = limits.MAX_REQUESTS_IN_FLIGHT - 8
"""Requests under way at once: what was given up may still count at the server, so its limit is not used up."""


class Link(asyncio.Protocol):
    """One connection from its greeting to its end."""

    def __init__(self, software: str, on_push: Callable[[Push], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_push = on_push
        self._connection = ClientConnection(self._loop.time(), software=software)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answers: dict[int, asyncio.Future[Reply]] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._welcome: asyncio.Future[Welcome] = self._loop.create_future()
        self._welcome.add_done_callback(_look_at)
        self._is_closing = False
        self.ended = asyncio.Event()
        """Set when the transport is gone."""
        self.goodbye: Goodbye | None = None
        """What the server said before it closed."""
        self.failure: tuple[ErrorCode | None, str] = (None, "The connection was lost.")
        """Why it ended, once it has."""

    # What the core calls

    async def greeted(self) -> Welcome:
        """The server's greeting. Raises Offline or Refused when there is none."""
        return await asyncio.shield(self._welcome)

    async def request(self, message: Request[ReplyT_co]) -> ReplyT_co:
        """Ask and wait. Raises Refused, or Offline when the connection ends before the answer."""
        async with self._slots:
            if self._is_closing or not self._connection.can_request:
                raise Offline("The server can't be reached just now.")
            number = self._connection.request(message, self._loop.time())
            answer: asyncio.Future[Reply] = self._loop.create_future()
            self._answers[number] = answer
            self._flush()
            try:
                return cast("ReplyT_co", await answer)
            finally:
                self._answers.pop(number, None)

    def note(self, message: Note) -> bool:
        """Tell; whether it was sent."""
        if self._is_closing or not self._connection.can_request:
            return False
        self._connection.note(message)
        self._flush()
        return True

    def close(self) -> None:
        """Say goodbye and close."""
        if self._transport is None or self._is_closing:
            return
        self._is_closing = True
        self._connection.say_goodbye(self._loop.time())
        self._flush()
        self._transport.close()

    def abort(self, sentence: str) -> None:
        """Drop the connection at once."""
        self._is_closing = True
        self.failure = (None, sentence)
        self._connection.lost()
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Take nothing from the server for a while: what came is not digested yet."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def transport_fact(self, name: str) -> Any:
        """What asyncio knows of the transport, such as ``ssl_object``."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._take(self._connection.receive(data, self._loop.time()))

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.lost()
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if error is not None and self.failure[0] is None and self.goodbye is None:
            self.failure = (None, f"The connection was lost: {error}.")
        code, sentence = self.failure
        reason = Refused(code, sentence) if code is not None else Offline(sentence)
        if not self._welcome.done():
            self._welcome.set_exception(reason)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Offline(sentence))
        self.ended.set()

    # Private

    def _take(self, events: list[ConnectionEvent]) -> None:
        for event in events:
            match event:
                case ReplyReceived(number, _, message):
                    answer = self._answers.get(number)
                    if answer is not None and not answer.done():
                        answer.set_result(message)
                case PushReceived(message):
                    self._on_push(message)
                case RequestFailed(number, _, code, sentence, retry_after_ms):
                    answer = self._answers.get(number)
                    if answer is not None and not answer.done():
                        answer.set_exception(Refused(code, sentence, retry_after_ms=retry_after_ms))
                case WelcomeReceived(welcome):
                    self._welcome.set_result(welcome)
                case GoodbyeReceived(goodbye):
                    self.goodbye = goodbye
                    reason = ErrorCode.parse(goodbye.reason) if goodbye.reason else None
                    self.failure = (reason, goodbye.sentence or "The server closed the connection.")
                case ConnectionFailed(code, sentence):
                    LOG.info("< connection failed: %s: %s", code.value, sentence)
                    self.failure = (code, sentence)
                case _:
                    raise AssertionError(f"a client connection reported {event!r}")
        self._flush()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        data = self._connection.data_to_send()
        if data and not transport.is_closing():
            transport.write(data)
        if self._connection.is_closed():
            transport.close()
        self._arm()

    def _arm(self) -> None:
        """Keep a timer that fires no later than the connection wants; one that is early asks again and moves on."""
        due_at = self._connection.timer_at()
        if due_at is None:
            return
        if self._timer is not None:
            if self._timer.when() <= due_at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due_at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._take(self._connection.timer_fired(self._loop.time()))
        if self._connection.is_closed() and self._transport is not None:
            # A peer that is not there does not answer a close either.
            self._transport.abort()


def _look_at(welcome: asyncio.Future[Welcome]) -> None:
    """Nobody may be waiting for the greeting of a link that is given up."""
    if not welcome.cancelled():
        welcome.exception()
