# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing what is durable to everybody whom it concerns, and a conversation as one of them sees it."""

from collections.abc import Iterable

from msgspec import Raw

from protocol.ids import ConversationId, SessionId
from protocol.limits import MAX_RECEIPT_MEMBERS
from protocol.messages.chat import Chat, ChatChanged, Draft, Event, Events, Receipt
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.chat_rules import ChatRules
from server.services.conversation import Conversation, Membership
from server.store.events import StoredEvent


def as_event(conversation: ConversationId, stored: StoredEvent) -> Event:
    """An event from the store as it travels."""
    return Event(
        conversation,
        stored.seq,
        stored.stamp,
        stored.id,
        stored.sender,
        stored.at_ms,
        stored.ordinal,
        Raw(stored.body),
    )


class Delivery:
    """Pushes to members, wherever they are signed in."""

    def __init__(self, audience: Audience, rules: ChatRules) -> None:
        self._audience = audience
        self._rules = rules

    def show(
        self,
        conversation: Conversation,
        events: tuple[Event, ...],
        except_session: SessionId | None = None,
    ) -> None:
        """Tell all members of events that have just become durable."""
        self._audience.push(conversation.members, Events(events), except_session=except_session)

    def show_new(self, conversation: Conversation, members: Iterable[Membership]) -> None:
        """Tell people that they belong to a conversation from now on, or no more."""
        alike: dict[tuple[str, int, int | None], list[Membership]] = {}
        for member in members:
            if self._audience.is_online(member.user):
                key = (member.role, member.first, member.last)
                alike.setdefault(key, []).append(member)
        for same in alike.values():
            if conversation.is_direct:
                for member in same:
                    self.tell(self.chat(conversation, member), member)
            else:
                chat = self.chat(conversation, same[0], with_receipts=False)
                self._audience.push([member.user for member in same], ChatChanged(chat))

    def has_other_sessions(self, caller: Caller) -> bool:
        """Whether the caller is signed in elsewhere, too."""
        sessions = self._audience.sessions_of(caller.user)
        return len(sessions) > 1 or caller.session not in sessions

    def tell(
        self, chat: Chat, member: Membership, *, except_session: SessionId | None = None
    ) -> None:
        """Tell the sessions of one member what changed in what is theirs alone."""
        self._audience.push((member.user,), ChatChanged(chat), except_session=except_session)

    def chat(
        self,
        conversation: Conversation,
        member: Membership,
        *,
        mentions: int = 0,
        draft: Draft | None = None,
        events: tuple[Event, ...] = (),
        with_receipts: bool = True,
    ) -> Chat:
        """The conversation as one member sees it."""
        peer = conversation.peer_of(member.user) if conversation.is_direct else None
        sight = conversation.sight_of(member)
        return Chat(
            conversation=conversation.id,
            kind=conversation.kind,
            title=conversation.title,
            peer=peer.user if peer else None,
            department=conversation.department,
            is_readers_only=conversation.is_readers_only,
            role=member.role,
            member_count=len(conversation.members),
            first=member.first,
            head=sight,
            ordinal=conversation.ordinal_for(member),
            delivered=member.delivered,
            read=member.read,
            unread=conversation.unread(member),
            mentions=mentions,
            is_muted=member.is_muted,
            is_pinned=member.is_pinned,
            is_over=member.is_over,
            draft=draft,
            events=events,
            receipts=self.receipts(conversation, member) if with_receipts else (),
        )

    def receipts(self, conversation: Conversation, viewer: Membership) -> tuple[Receipt, ...]:
        """How far the other members of a conversation of moderate size have got, as far as the viewer may know of them."""
        if viewer.is_over or len(conversation.members) > MAX_RECEIPT_MEMBERS:
            return ()
        return self.all_receipts(conversation, viewer)

    def all_receipts(self, conversation: Conversation, viewer: Membership) -> tuple[Receipt, ...]:
        """The same whatever the size."""
        has_read = self._rules.has_read_receipts
        members = conversation.members
        others = (members[user] for user in self._rules.visible(viewer.user, members))
        return tuple(
            Receipt(other.user, other.delivered, other.read if has_read else 0)
            for other in others
            if other is not viewer
        )
