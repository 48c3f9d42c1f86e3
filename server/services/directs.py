# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations between two people: made when one of them opens one or writes first."""

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, UserId, direct_conversation_id
from protocol.messages.chat import ChatReply, ConversationKind, OpenDirect
from protocol.messages.content import Created
from server.services.caller import Caller
from server.services.chat_rules import ChatRules
from server.services.chat_views import ChatViews
from server.services.conversation import MEMBER, Conversation
from server.services.creation import Creation, NewRoom
from server.services.journal import Journal
from server.services.rooms import Rooms
from server.services.texts import encoded
from server.store import rooms as store


class Directs:
    """Opens direct conversations."""

    def __init__(
        self, journal: Journal, rooms: Rooms, rules: ChatRules, views: ChatViews, creation: Creation
    ) -> None:
        self._journal = journal
        self._rooms = rooms
        self._rules = rules
        self._views = views
        self._creation = creation

    async def open_direct(self, caller: Caller, request: OpenDirect) -> ChatReply:
        """The direct conversation with someone, made if there is none."""
        id = direct_conversation_id(caller.user, request.peer)
        await self.ensure(caller.user, request.peer)
        async with self._rooms.turn(id) as conversation:
            member = self._rules.member(conversation, caller.user)
            self._rules.check_may_post(conversation, member)
            if not member.has_spoken:
                await self._journal.run(store.mark_spoken, conversation.key, member.key)
                member.has_spoken = True
        return ChatReply(await self._views.chat(conversation, member))

    async def ensure(self, user: UserId, peer: UserId) -> Conversation:
        """The direct conversation with someone; made when the user may begin one."""
        id = direct_conversation_id(user, peer)
        existing = await self._rooms.load(id)
        if existing is not None:
            return existing
        key, peer_key = self._rules.key_of(user), self._known(peer)
        self._rules.check_may_open(user, peer)
        people = {user: key, peer: peer_key}
        room = NewRoom(
            id=id,
            kind=ConversationKind.DIRECT,
            members={person: (number, MEMBER) for person, number in people.items()},
            content=encoded(Created(members=tuple(people))),
            opened_by=user,
        )
        return await self._creation.create(room, user, key)

    @staticmethod
    def check_id(user: UserId, peer: UserId, id: ConversationId) -> None:
        """Whether this is the id of the conversation of these two. Raises RequestRefused(INVALID)."""
        if id != direct_conversation_id(user, peer):
            raise RequestRefused(
                ErrorCode.INVALID, "The conversation is not the one with this person."
            )

    def _known(self, peer: UserId) -> int:
        try:
            return self._rules.key_of(peer)
        except RequestRefused as error:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such person.") from error
