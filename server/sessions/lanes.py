# SPDX-License-Identifier: GPL-3.0-or-later
"""Dear requests of one session wait for each other, and each for a turn of the reactor of its own: one client that asks for much at
once keeps itself waiting, and nobody else."""

from collections.abc import Awaitable, Callable

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import SessionId
from protocol.messages.kinds import Reply
from server.services.caller import Caller
from server.services.doors import Sleep
from server.store.waiting import Turn


class Lanes:
    """One lane for each session that has dear requests under way. How many wait in it, MAX_REQUESTS_IN_FLIGHT bounds."""

    def __init__(self, sleep: Sleep, is_here: Callable[[Caller], bool]) -> None:
        """``is_here``: whether a session goes on; for one that is over nothing is worked out any more."""
        self._sleep = sleep
        self._is_here = is_here
        self._lanes: dict[SessionId, Turn] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    async def answer(self, caller: Caller, ask: Callable[[], Reply | Awaitable[Reply]]) -> Reply:
        """The answer, in its turn. Raises RequestRefused."""
        lane = self._lanes.get(caller.session)
        if lane is None:
            lane = self._lanes[caller.session] = Turn()
        try:
            async with lane:
                await self._sleep(0)
                if not self._is_here(caller):
                    raise RequestRefused(ErrorCode.SESSION_ENDED, "The session is over.")
                answer = ask()
                return answer if isinstance(answer, Reply) else await answer
        finally:
            if not lane.is_taken:
                self._lanes.pop(caller.session, None)
