# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of people, for those who may see them. They are set by whoever administers people (source_changes.py)."""

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.people import GetPhoto, PhotoOf
from server.services.caller import Caller
from server.services.doors import StoreDoor
from server.services.people import Directory
from server.store import directory as store


class Portraits:
    """Hands photos out."""

    def __init__(self, directory: Directory, read: StoreDoor) -> None:
        self._directory = directory
        self._read = read

    async def get_photo(self, caller: Caller, request: GetPhoto) -> PhotoOf:
        """Somebody's photo. Raises RequestRefused for whom the caller may not see."""
        entry = self._directory.tree.people.get(request.user)
        if entry is None or not self._directory.may_see(caller.user, request.user):
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such person.")
        if not entry.portrait:
            return PhotoOf(request.user)
        jpeg = await self._read(store.portrait, entry.portrait)
        return PhotoOf(request.user, entry.person.photo, jpeg)
