# SPDX-License-Identifier: GPL-3.0-or-later
"""All connections, signed in or not: begun when somebody connects, ended together when the server stops."""

from protocol.errors import ErrorCode
from server.sessions.session import Desk, Session, Wire


class Sessions:
    """Begins sessions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open: set[Session] = set()

    def __len__(self) -> int:
        return len(self._open)

    def accept(self, wire: Wire) -> Session:
        """A session for a new connection: what receives from it."""
        session = Session(wire, self._desk, self._open.discard)
        self._open.add(session)
        return session

    def say_goodbye(
        self, reason: ErrorCode | None, sentence: str, *, reconnect_over_ms: int = 0
    ) -> int:
        """Close every connection in order; how many. Clients come back spread over a time, not all at once."""
        sessions = list(self._open)
        for index, session in enumerate(sessions):
            reconnect_after_ms = reconnect_over_ms * (index + 1) // len(sessions)
            session.say_goodbye(reason, sentence, reconnect_after_ms)
        return len(sessions)
