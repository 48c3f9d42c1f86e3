# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can be told: the services' view of the signed-in sessions. Built by sessions/online.py."""

from collections.abc import Collection, Iterable
from typing import Protocol

from protocol.errors import ErrorCode
from protocol.ids import DeviceId, SessionId, UserId
from protocol.messages.kinds import Push


class Audience(Protocol):
    """All signed-in sessions. Nothing in here waits; what can't be delivered is dropped."""

    def push(
        self, users: Iterable[UserId], message: Push, *, except_session: SessionId | None = None
    ) -> None:
        """Send a push to every session of these users but one; it is encoded once."""

    def push_frame(
        self, users: Iterable[UserId], frame: bytes, *, except_session: SessionId | None = None
    ) -> None:
        """The same with a frame that is encoded already (number 0, with its length)."""

    def push_frame_to(self, sessions: Iterable[SessionId], frame: bytes) -> None:
        """Send an encoded frame to just these sessions; unknown ones are passed over."""

    def push_to_all(self, message: Push) -> None:
        """Send a push to every session; it is encoded once."""

    def is_online(self, user: UserId) -> bool:
        """Whether the user has a session."""

    def sessions_of(self, user: UserId) -> Collection[SessionId]:
        """The user's sessions."""

    def devices_of(self, user: UserId) -> Collection[DeviceId]:
        """The devices of the user's sessions."""

    def session_count(self) -> int:
        """Signed-in sessions."""

    def user_count(self) -> int:
        """Users with at least one session."""

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
        """End the sessions that meet every condition given (at least one of users, device, session); how many.

        Each is told SessionEnded with the reason and closed. They count as gone when this returns.
        """


def end_sessions_of_closed(audience: Audience, users: Collection[UserId]) -> int:
    """End the sessions of people whose accounts were closed; how many."""
    return audience.end_sessions(
        users=users,
        reason=ErrorCode.ACCOUNT_DISABLED,
        sentence="Your account was closed. If that is a mistake, ask your administrator.",
    )
