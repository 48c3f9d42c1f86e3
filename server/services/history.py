# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a conversation, page by page, as far as a member may see them."""

from protocol.errors import ErrorCode, RequestRefused
from protocol.limits import MAX_HISTORY_BYTES
from protocol.messages.chat import GetHistory, History
from server.services.caller import Caller
from server.services.delivery import as_event
from server.services.doors import StoreDoor
from server.services.rooms import Rooms
from server.store import events as store


class Histories:
    """Reads what is stored. What was edited or recalled is stored as it is to be shown."""

    def __init__(self, read: StoreDoor, rooms: Rooms) -> None:
        self._read = read
        self._rooms = rooms

    async def get_history(self, caller: Caller, request: GetHistory) -> History:
        """A run of events after or before a number. Numbers that the caller may not see do not exist."""
        if (request.after is None) == (request.before is None):
            raise RequestRefused(ErrorCode.INVALID, "Exactly one of after and before is given.")
        conversation, member = await self._rooms.membership(request.conversation, caller.user)
        first, sight = member.first, conversation.sight_of(member)
        if request.before is not None:
            high = min(request.before - 1, sight)
            low = max(first, high - request.limit + 1)
            page = store.before
        else:
            low = max(first, (request.after or 0) + 1)
            high = min(sight, low + request.limit - 1)
            page = store.after
        found = await self._read(
            page, conversation.key, conversation.stamp, low, high, MAX_HISTORY_BYTES
        )
        events = tuple(as_event(conversation.id, event) for event in found)
        return History(conversation.id, events, first, sight)
