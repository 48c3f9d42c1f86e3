# SPDX-License-Identifier: GPL-3.0-or-later
"""Dear requests of one session wait for each other, and each for a turn of the reactor of its own: one client that asks for much at
once keeps itself waiting, and nobody else."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import SessionId
from protocol.messages.kinds import Reply
from server.services.caller import Caller
from server.services.doors import Sleep
from server.store.waiting import Turn

LOOK_AGAIN_S: Final = 0.05
"""How often it is looked whether a slow reader has caught up: about what its network takes to empty a buffer."""


class Presence(Protocol):
    """Who is signed in, and how far they have read."""

    def has(self, caller: Caller) -> bool:
        """Whether the session is signed in and not over."""

    def is_behind(self, caller: Caller) -> bool:
        """Whether the session has more unread than its outbox may hold."""


class Lanes:
    """One lane for each session that has dear requests under way. How many wait in it, MAX_REQUESTS_IN_FLIGHT bounds."""

    def __init__(self, sleep: Sleep, presence: Presence) -> None:
        self._sleep = sleep
        self._presence = presence
        self._lanes: dict[SessionId, Turn] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    async def answer(self, caller: Caller, ask: Callable[[], Reply | Awaitable[Reply]]) -> Reply:
        """The answer, in its turn, and not before the answers before it were read. Raises RequestRefused."""
        lane = self._lanes.get(caller.session)
        if lane is None:
            lane = self._lanes[caller.session] = Turn()
        try:
            async with lane:
                await self._sleep(0)
                while self._presence.is_behind(caller):
                    await self._sleep(LOOK_AGAIN_S)
                if not self._presence.has(caller):
                    raise RequestRefused(ErrorCode.SESSION_ENDED, "The session is over.")
                answer = ask()
                return answer if isinstance(answer, Reply) else await answer
        finally:
            if not lane.is_taken:
                self._lanes.pop(caller.session, None)
