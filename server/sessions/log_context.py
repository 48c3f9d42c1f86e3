# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose request a log line belongs to: bound while bytes of a session are worked on, and in every coroutine begun there."""

import logging
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from protocol.ids import SessionId, UserId, format_id


class LogContext(Struct, frozen=True):
    """What is said of a session in the log."""

    address: str
    session: SessionId | None = None
    user: UserId | None = None

    def __str__(self) -> str:
        if self.session is None or self.user is None:
            return self.address
        return f"user {format_id(self.user)} session {format_id(self.session)} at {self.address}"


current: Final[ContextVar[LogContext | None]] = ContextVar("lanyard_session", default=None)
"""The session whose request is being worked on."""


def add_context(record: logging.LogRecord) -> bool:
    """A filter for log handlers: gives each record a ``session`` to be formatted; empty outside of any."""
    context = current.get()
    record.session = str(context) if context is not None else ""
    return True
