# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is signed in, and reaching them: the services' audience."""

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from protocol.errors import ErrorCode
from protocol.ids import DeviceId, SessionId, UserId
from protocol.messages.kinds import Push
from protocol.server_connection import push_frame
from server.services.caller import Caller


class Present(Protocol):
    """A session that is signed in."""

    @property
    def id(self) -> SessionId:
        """Its own."""

    @property
    def caller(self) -> Caller:
        """Whose it is."""

    @property
    def is_behind(self) -> bool:
        """Whether more waits to be read than an outbox may hold."""

    def send_frame(self, frame: bytes) -> None:
        """Send an encoded push, or drop it when the client is behind."""

    def end(self, reason: ErrorCode, sentence: str) -> None:
        """Tell the client that its session is over, and close the connection."""


class Online:
    """All signed-in sessions. Implements Audience."""

    def __init__(self) -> None:
        self._users: dict[UserId, tuple[Present, ...]] = {}
        self._sessions: dict[SessionId, Present] = {}
        self._arrivals: list[Callable[[Caller], object]] = []
        self._departures: list[Callable[[Caller], object]] = []

    # What sessions report

    def arrived(self, session: Present) -> None:
        """A session is signed in."""
        caller = session.caller
        self._sessions[caller.session] = session
        self._users[caller.user] = (*self._users.get(caller.user, ()), session)
        for listener in self._arrivals:
            listener(caller)

    def departed(self, session: Present) -> None:
        """A session is over; harmless when repeated."""
        caller = session.caller
        if self._sessions.pop(caller.session, None) is None:
            return
        left = tuple(other for other in self._users[caller.user] if other is not session)
        if left:
            self._users[caller.user] = left
        else:
            del self._users[caller.user]
        for listener in self._departures:
            listener(caller)

    def on_arrival(self, listener: Callable[[Caller], object]) -> None:
        """Have the listener called after a session was signed in."""
        self._arrivals.append(listener)

    def on_departure(self, listener: Callable[[Caller], object]) -> None:
        """Have the listener called after a session is over."""
        self._departures.append(listener)

    # Audience

    def push(
        self, users: Iterable[UserId], message: Push, *, except_session: SessionId | None = None
    ) -> None:
        """Send a push to every session of these users but one; it is encoded once, and only if there is one."""
        frame = b""
        online = self._users
        for user in users:
            for session in online.get(user, ()):
                if session.id != except_session:
                    frame = frame or push_frame(message)
                    session.send_frame(frame)

    def push_frame(
        self, users: Iterable[UserId], frame: bytes, *, except_session: SessionId | None = None
    ) -> None:
        """The same with a frame that is encoded already."""
        online = self._users
        for user in users:
            for session in online.get(user, ()):
                if session.id != except_session:
                    session.send_frame(frame)

    def push_frame_to(self, sessions: Iterable[SessionId], frame: bytes) -> None:
        """Send an encoded frame to just these sessions; unknown ones are passed over."""
        for id in sessions:
            session = self._sessions.get(id)
            if session is not None:
                session.send_frame(frame)

    def push_to_all(self, message: Push) -> None:
        """Send a push to every session; it is encoded once."""
        frame = push_frame(message)
        for session in tuple(self._sessions.values()):
            session.send_frame(frame)

    def has(self, caller: Caller) -> bool:
        """Whether the session is signed in and not over."""
        return caller.session in self._sessions

    def is_behind(self, caller: Caller) -> bool:
        """Whether the session has more unread than its outbox may hold; one that is over has nothing to read."""
        session = self._sessions.get(caller.session)
        return session is not None and session.is_behind

    def is_online(self, user: UserId) -> bool:
        """Whether the user has a session."""
        return user in self._users

    def sessions_of(self, user: UserId) -> Collection[SessionId]:
        """The user's sessions."""
        return tuple(session.caller.session for session in self._users.get(user, ()))

    def devices_of(self, user: UserId) -> Collection[DeviceId]:
        """The devices of the user's sessions."""
        return {session.caller.device for session in self._users.get(user, ())}

    def session_count(self) -> int:
        """Signed-in sessions."""
        return len(self._sessions)

    def user_count(self) -> int:
        """Users with at least one session."""
        return len(self._users)

    def end_sessions(
        self,
        *,
        users: Collection[UserId] = (),
        device: DeviceId | None = None,
        session: SessionId | None = None,
        except_session: SessionId | None = None,
        reason: ErrorCode,
        sentence: str,
    ) -> int:
        """End the sessions that meet every condition given; how many."""
        meant = [
            one
            for one in self._candidates(users, session)
            if (not users or one.caller.user in users)
            and (device is None or one.caller.device == device)
            and one.caller.session != except_session
        ]
        if not users and device is None and session is None:
            return 0
        for one in meant:
            one.end(reason, sentence)
        return len(meant)

    def _candidates(
        self, users: Collection[UserId], session: SessionId | None
    ) -> Iterable[Present]:
        if session is not None:
            return [self._sessions[session]] if session in self._sessions else []
        if users:
            return [one for user in users for one in self._users.get(user, ())]
        return list(self._sessions.values())
