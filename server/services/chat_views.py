# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations as one member sees them, with what only the store knows: newest events, mentions, draft."""

from collections.abc import Sequence
from typing import Final

import msgspec

from protocol.messages.chat import Chat, Draft
from server.services.conversation import Conversation, Membership
from server.services.delivery import Delivery, as_event
from server.services.doors import StoreDoor
from server.store import chats as store
from server.store.chats import Window

MAX_CHAT_BYTES: Final = 64 << 10
"""Event contents that come with one conversation; its newest event comes however large it is."""

_drafts: Final = msgspec.msgpack.Decoder(Draft)


class ChatViews:
    """Builds Chat records."""

    def __init__(self, read: StoreDoor, delivery: Delivery) -> None:
        self._read = read
        self._delivery = delivery

    async def chat(self, conversation: Conversation, member: Membership, events: int = 0) -> Chat:
        """One conversation; with its newest events, when asked for."""
        (chat,) = await self.chats(((conversation, member),), events)
        return chat

    async def chats(
        self,
        parts: Sequence[tuple[Conversation, Membership]],
        events: int,
        since: int = 0,
    ) -> list[Chat]:
        """Several conversations of the same person, with up to so many events newer than a stamp.

        What is told of each is what was durable when this was called, or later: events end at the head that is stated.
        """
        if not parts:
            return []
        windows = [self._window(conversation, member) for conversation, member in parts]
        person = parts[0][1].key
        before = [self._delivery.chat(conversation, member) for conversation, member in parts]
        seen = await self._read(store.see, person, windows, events, since, MAX_CHAT_BYTES)
        return [
            msgspec.structs.replace(
                chat,
                mentions=found.mentions,
                draft=_drafts.decode(found.draft) if found.draft else None,
                events=tuple(as_event(chat.conversation, event) for event in found.events),
            )
            for chat, found in zip(before, seen, strict=True)
        ]

    @staticmethod
    def _window(conversation: Conversation, member: Membership) -> Window:
        sight = conversation.sight_of(member)
        return Window(
            conversation=conversation.key,
            head=conversation.stamp,
            first=member.first,
            read=member.read,
            last=sight,
            is_over=member.is_over,
        )
