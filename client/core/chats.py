# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: the list of conversations and what is ours alone in each: cursors, drafts, settings."""

from collections.abc import Sequence

from client.core.backfill import Backfill
from client.core.cursors import CursorTeller
from client.core.drafts import Drafts
from client.core.errors import NotFound, Unsendable
from client.core.events import ChatsChanged
from client.core.feed import Feed
from client.core.session import Session
from client.core.store import conversations, events, landing, timeline
from client.core.store.database import Database, Db
from client.core.sync import Synchroniser
from client.core.typists import Typists
from client.core.views import ChatView, Completeness
from protocol.ids import ConversationId, MessageId, UserId, direct_conversation_id
from protocol.limits import MAX_DRAFT_CHARS
from protocol.messages.chat import Draft, GetChat, GetMembers, Member, OpenDirect, SetChat
from protocol.messages.content import Span


class ChatsRoom:
    """Conversations as they stand in the list."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        feed: Feed,
        synchroniser: Synchroniser,
        backfill: Backfill,
        cursors: CursorTeller,
        drafts: Drafts,
        typists: Typists,
    ) -> None:
        self._session = session
        self._database = database
        self._feed = feed
        self._synchroniser = synchroniser
        self._backfill = backfill
        self._cursors = cursors
        self._drafts = drafts
        self._typists = typists

    async def all(self) -> tuple[ChatView, ...]:
        """All conversations in the order of the list."""
        return await self._database.run(timeline.chats, self._session.me)

    async def get(self, conversation: ConversationId) -> ChatView:
        """One conversation. Raises NotFound."""
        return await self._database.run(timeline.chat, self._session.me, conversation)

    def direct_with(self, user: UserId) -> ConversationId:
        """The id of our direct conversation with somebody, whether or not it has begun."""
        return direct_conversation_id(self._session.me, user)

    async def open_direct(self, user: UserId) -> ChatView:
        """Our direct conversation with somebody, begun at the server. Sending a message does not need this. Raises Refused, Offline."""
        reply = await self._session.request(OpenDirect(user))
        await self._synchroniser.land(landing.land_chat, reply.chat)
        return await self.get(reply.chat.conversation)

    async def members(self, conversation: ConversationId) -> tuple[Member, ...]:
        """Who is in a conversation. Raises Refused, Offline."""
        return (await self._session.request(GetMembers(conversation))).members

    def look_at(self, conversation: ConversationId) -> None:
        """Somebody looks at this conversation: what is missing in it is fetched first."""
        self._backfill.look_at(conversation)

    async def mark_read(self, conversation: ConversationId, upto: int | None = None) -> None:
        """Everything up to a number was seen; None: all of it. Raises NotFound."""
        if await self._database.run(_mark_read, self._session.me, conversation, upto):
            self._cursors.moved()
            self._feed.publish(ChatsChanged(frozenset((conversation,))))

    def typing(self, conversation: ConversationId) -> None:
        """We are writing; may be called with every key."""
        self._typists.say(conversation)

    async def set_draft(
        self,
        conversation: ConversationId,
        text: str,
        spans: Sequence[Span] = (),
        reply_to: MessageId | None = None,
    ) -> None:
        """Keep a text that was begun; empty removes it. Raises NotFound, Unsendable."""
        if len(text) > MAX_DRAFT_CHARS:
            raise Unsendable(f"A draft holds at most {MAX_DRAFT_CHARS} characters.")
        if await self._drafts.set(conversation, Draft(text, tuple(spans), reply_to)):
            self._feed.publish(ChatsChanged(frozenset((conversation,))))

    async def change(
        self,
        conversation: ConversationId,
        *,
        is_muted: bool | None = None,
        is_pinned: bool | None = None,
    ) -> None:
        """Change our settings of a conversation; None: as it was. Raises Refused, Offline."""
        await self._session.request(SetChat(conversation, is_muted, is_pinned))
        reply = await self._session.request(GetChat(conversation))
        await self._synchroniser.land(landing.land_chat, reply.chat)

    async def completeness(self, conversation: ConversationId) -> Completeness:
        """What of a conversation is on this computer. Raises NotFound."""
        return await self._database.run(timeline.completeness, conversation)

    async def fetch_all(self, conversation: ConversationId) -> None:
        """Fetch everything back to the first number that we may see. Raises Refused, Offline, NotFound."""
        await self._backfill.fetch_all(conversation)


def _mark_read(db: Db, me: UserId, conversation: ConversationId, upto: int | None) -> bool:
    row = conversations.find(db, conversation)
    if row is None:
        raise NotFound("There is no such conversation on this computer.")
    return events.read_up_to(db, me, row, row.head if upto is None else upto)
