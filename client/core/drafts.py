# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps drafts here at once and at the server soon, so that they are on the user's other devices."""

from typing import Final

from client.core.errands import Errands
from client.core.errors import NotFound, Refused
from client.core.session import Session
from client.core.store import conversations, landing
from client.core.store.database import Database
from client.core.store.landing import Landing
from client.core.sync import Synchroniser
from protocol.ids import ConversationId
from protocol.messages.chat import Draft, GetChat, SetDraft

COLLECT_S: Final = 1.5
"""People pause between sentences, not between letters."""


class Drafts:
    """Drafts on their way to the server."""

    def __init__(
        self,
        session: Session,
        database: Database,
        synchroniser: Synchroniser,
        errands: Errands,
    ) -> None:
        self._session = session
        self._database = database
        self._synchroniser = synchroniser
        self._errand = errands.new("drafts", self._tell)
        self._is_waiting = False
        """For the server to tell of a conversation: before that, it takes no draft of ours."""
        session.on_open(self._errand.wake)
        synchroniser.on_landing(self._landed)

    async def set(self, conversation: ConversationId, draft: Draft) -> bool:
        """Keep a draft; an empty text removes it. Whether it differs. Raises NotFound."""
        if await self._database.run(conversations.find, conversation) is None:
            raise NotFound("There is no such conversation on this computer.")
        is_changed = await self._database.run(conversations.set_draft, conversation, draft)
        if is_changed:
            self._errand.wake(COLLECT_S)
        return is_changed

    async def _tell(self) -> None:
        if not self._session.is_open:
            return
        drafts = await self._database.run(conversations.drafts_to_tell)
        self._is_waiting = any(not is_known for _, _, is_known in drafts)
        for conversation, value, is_known in drafts:
            if not is_known:
                continue
            draft = conversations.decode_draft(value) or Draft()
            try:
                await self._session.request(SetDraft(conversation, draft))
            except Refused as refusal:
                if refusal.is_transient:
                    raise
            if await self._database.run(conversations.draft_told, conversation, value):
                reply = await self._session.request(GetChat(conversation))
                await self._synchroniser.land(landing.land_chat, reply.chat)

    def _landed(self, landed: Landing) -> None:
        if self._is_waiting and landed.chats:
            self._is_waiting = False
            self._errand.wake()
