# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: making and changing groups. All of it needs the server, which decides and tells everybody."""

from collections.abc import Callable, Iterable

from client.core.chats import ChatsRoom
from client.core.errors import Refused, Unsendable
from client.core.session import Session
from client.core.store import landing
from client.core.sync import Synchroniser
from client.core.views import ChatView
from protocol.errors import ErrorCode
from protocol.ids import ConversationId, UserId
from protocol.limits import MAX_MEMBERS_PER_REQUEST, MAX_NAME_CHARS
from protocol.messages.chat import (
    ChangeGroup,
    ChangeMembers,
    CreateGroup,
    GetChat,
    SetMemberRole,
)
from protocol.messages.content import MemberRole


class GroupsRoom:
    """Groups and their members."""

    def __init__(
        self,
        *,
        session: Session,
        synchroniser: Synchroniser,
        chats: ChatsRoom,
        new_id: Callable[[], bytes],
    ) -> None:
        self._session = session
        self._synchroniser = synchroniser
        self._chats = chats
        self._new_id = new_id

    async def create(self, title: str, members: Iterable[UserId]) -> ChatView:
        """A new group with us as its owner. Raises Refused, Offline, Unsendable."""
        request = CreateGroup(self._new_id(), _title(title), _people(members))
        reply = await self._session.request(request)
        await self._synchroniser.land(landing.land_chat, reply.chat)
        return await self._chats.get(reply.chat.conversation)

    async def add(self, conversation: ConversationId, people: Iterable[UserId]) -> None:
        """Bring people in. Raises Refused, Offline."""
        await self._session.request(
            ChangeMembers(conversation, self._new_id(), add=_people(people))
        )
        await self._refresh(conversation)

    async def remove(self, conversation: ConversationId, people: Iterable[UserId]) -> None:
        """Take people out. Raises Refused, Offline."""
        await self._session.request(
            ChangeMembers(conversation, self._new_id(), remove=_people(people))
        )
        await self._refresh(conversation)

    async def leave(self, conversation: ConversationId) -> None:
        """Go. What we could see stays readable. Raises Refused, Offline."""
        await self.remove(conversation, (self._session.me,))

    async def set_role(
        self, conversation: ConversationId, people: Iterable[UserId], role: MemberRole
    ) -> None:
        """Change what people may do. Making somebody else owner makes us an admin. Raises Refused, Offline."""
        await self._session.request(
            SetMemberRole(conversation, self._new_id(), _people(people), role)
        )
        await self._refresh(conversation)

    async def rename(self, conversation: ConversationId, title: str) -> None:
        """Give it another title. Raises Refused, Offline, Unsendable."""
        await self._session.request(ChangeGroup(conversation, self._new_id(), title=_title(title)))
        await self._refresh(conversation)

    async def set_readers_only(self, conversation: ConversationId, is_readers_only: bool) -> None:
        """Let only owner and admins write, or everybody. Raises Refused, Offline."""
        await self._session.request(
            ChangeGroup(conversation, self._new_id(), is_readers_only=is_readers_only)
        )
        await self._refresh(conversation)

    async def _refresh(self, conversation: ConversationId) -> None:
        """Have the result here before the call returns; the pushes bring the same."""
        try:
            reply = await self._session.request(GetChat(conversation))
        except Refused as refusal:
            if refusal.code is ErrorCode.NOT_FOUND:
                return  # we have left it
            raise
        await self._synchroniser.land(landing.land_chat, reply.chat)


def _title(title: str) -> str:
    title = title.strip()
    if not 0 < len(title) <= MAX_NAME_CHARS:
        raise Unsendable(f"A title has 1 to {MAX_NAME_CHARS} characters.")
    return title


def _people(people: Iterable[UserId]) -> tuple[UserId, ...]:
    chosen = tuple(dict.fromkeys(people))
    if len(chosen) > MAX_MEMBERS_PER_REQUEST:
        raise Unsendable(f"At most {MAX_MEMBERS_PER_REQUEST} people can be named at once.")
    return chosen
