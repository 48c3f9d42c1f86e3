# SPDX-License-Identifier: GPL-3.0-or-later
"""Making conversations of any kind: once, whoever asks how often, and told to everybody in it."""

from collections.abc import Mapping

from msgspec import Struct

from protocol.ids import ConversationId, DepartmentId, UserId
from protocol.messages.chat import ConversationKind
from server.services.conversation import Conversation
from server.services.delivery import Delivery
from server.services.journal import Journal
from server.services.rooms import Rooms
from server.store import rooms as store
from server.store.events import CREATED
from server.store.rooms import ConversationRow, Head, Loaded, NewMember
from server.store.waiting import Shared


class NewRoom(Struct, frozen=True):
    """A conversation that is to be made."""

    id: ConversationId
    kind: ConversationKind
    members: Mapping[UserId, tuple[int, str]]
    """Each with key and role."""
    content: bytes
    """Encoded, of the event that begins it."""
    title: str = ""
    department: DepartmentId | None = None
    opened_by: UserId | None = None
    """In a direct conversation: whom the other may answer."""


class Creation:
    """Makes conversations."""

    def __init__(self, journal: Journal, rooms: Rooms, delivery: Delivery) -> None:
        self._journal = journal
        self._rooms = rooms
        self._delivery = delivery
        self._making: dict[ConversationId, Shared[Conversation]] = {}

    async def create(self, room: NewRoom, creator: UserId, creator_key: int) -> Conversation:
        """Make a conversation and tell its members. Whoever asks for the same meanwhile gets the same, and goes on in the order
        in which they came; one that exists by now is left as it is."""
        making = self._making.get(room.id)
        if making is None:
            making = Shared(self._make_once(room, creator, creator_key))
            if not making.is_done:
                self._making[room.id] = making
        return await making

    async def _make_once(self, room: NewRoom, creator: UserId, creator_key: int) -> Conversation:
        try:
            existing = await self._rooms.load(room.id)
            return existing or await self._make(room, creator, creator_key)
        finally:
            self._making.pop(room.id, None)

    async def _make(self, room: NewRoom, creator: UserId, creator_key: int) -> Conversation:
        row = ConversationRow(0, room.id, room.kind.value, room.title, room.department, False)
        conversation = Conversation(Loaded(row, Head(0, 0, 0), []))
        entry = self._journal.new_entry(conversation, self._journal.new_id(), creator)
        joined = {
            user: NewMember(key, role, entry.seq, entry.ordinal, user == room.opened_by)
            for user, (key, role) in room.members.items()
        }
        event = entry.row(0, creator_key, CREATED, room.content)
        conversation.key = await self._journal.store(
            conversation, entry, store.create, row, entry.at_ms, list(joined.values()), [event]
        )
        conversation.join(joined.items(), entry.stamp)
        self._rooms.add(conversation)
        self._delivery.show_new(conversation, conversation.members.values())
        self._delivery.show(conversation, (entry.event(room.content),))
        return conversation
