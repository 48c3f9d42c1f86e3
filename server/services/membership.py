# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of who belongs to a conversation, and as what: the event and its effects, stored and told together."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from protocol.ids import MessageId, UserId
from protocol.messages.chat import Posted
from protocol.messages.content import MembersChanged
from server.services.conversation import Conversation
from server.services.delivery import Delivery
from server.services.journal import Journal
from server.services.rooms import Rooms
from server.services.texts import encoded
from server.store import rooms as store
from server.store.events import MEMBERS_CHANGED
from server.store.rooms import MemberChanges, NewMember


class MembershipChange(Struct, frozen=True):
    """What one event changes."""

    content: MembersChanged
    joined: Mapping[UserId, tuple[int, str]] = {}
    """Each with key and role."""
    gone: Sequence[UserId] = ()
    roles: Mapping[UserId, str] = {}


class Memberships:
    """Carries changes out. Everything here runs in the conversation's turn."""

    def __init__(self, journal: Journal, rooms: Rooms, delivery: Delivery) -> None:
        self.delivery = delivery
        self._journal = journal
        self._rooms = rooms

    async def change(
        self,
        conversation: Conversation,
        id: MessageId,
        sender: UserId,
        sender_key: int,
        change: MembershipChange,
    ) -> Posted:
        """Carry out a change. Who comes sees from this event on; who goes sees up to it."""
        body = encoded(change.content)
        entry = self._journal.new_entry(conversation, id, sender)
        joined = {
            user: NewMember(key, role, entry.seq, entry.ordinal)
            for user, (key, role) in change.joined.items()
        }
        members = conversation.members
        rows = MemberChanges(
            list(joined.values()),
            [members[user].key for user in change.gone],
            [(members[user].key, role) for user, role in change.roles.items()],
        )
        row = entry.row(conversation.key, sender_key, MEMBERS_CHANGED, body)
        await self._journal.store(conversation, entry, store.change_members, row, rows)
        for user in change.joined:
            if former := conversation.former.get(user):
                self._rooms.cursors.forget(former)
        leaving = [members[user] for user in change.gone]
        event = entry.event(body)
        conversation.join(joined.items(), entry.stamp)
        self.delivery.show_new(conversation, [members[user] for user in joined])
        self.delivery.show(conversation, (event,))
        conversation.part(change.gone, entry.seq, entry.stamp)
        self.delivery.show_new(conversation, leaving)
        for user, role in change.roles.items():
            members[user].role = role
            members[user].stamp = entry.stamp
        conversation.forget_rights()
        return entry.posted()
