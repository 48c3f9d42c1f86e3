# SPDX-License-Identifier: GPL-3.0-or-later
"""What later events do to earlier messages: edit, recall, react, and whether somebody may."""

import unicodedata

import msgspec

from protocol.codec import decode_content
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import MessageId
from protocol.limits import MAX_REACTIONS_PER_MESSAGE
from protocol.messages.content import Edit, React, Recall, Recalled, Text
from server.services.chat_rules import ChatRules
from server.services.clock import Clock
from server.services.conversation import Conversation, Membership
from server.services.doors import StoreDoor
from server.services.journal import Entry, Journal
from server.services.texts import Mentions, check_spans, encoded
from server.store import changes as store
from server.store.changes import EVERYBODY
from server.store.events import EDIT, REACT, RECALL, EventRow, FoundEvent


class Changes:
    """Edits, recalls and reactions. Everything here runs in the conversation's turn."""

    def __init__(self, read: StoreDoor, journal: Journal, rules: ChatRules, clock: Clock) -> None:
        self._read = read
        self._journal = journal
        self._rules = rules
        self._clock = clock

    async def edit(
        self, conversation: Conversation, member: Membership, id: MessageId, content: Edit
    ) -> Entry:
        """Put another text in place of the member's own."""
        mentions = check_spans(content.text, content.spans)
        self._rules.check_mentions(conversation, member, mentions)
        found = await self.find(conversation, member, content.target)
        self._rules.check_may_edit(found, member.user, self._clock.now_ms())
        old = decode_content(found.event.body)
        if not isinstance(old, Text):
            raise _invalid("That is not a message.")
        if old.forwarded is not None:
            raise _invalid("A forwarded message says what somebody else said; it can't be edited.")
        if not content.text and not old.attachments:
            raise _invalid("The message is empty; recall it instead.")
        # One time for both: whoever sees the edit puts its time into the message, as history does.
        now_ms = self._clock.now_ms()
        text = msgspec.structs.replace(
            old, text=content.text, spans=content.spans, edited_ms=now_ms
        )
        body = encoded(text)
        people = mentioned(conversation, mentions)
        entry, row = self._begin(conversation, member, id, EDIT, content, at_ms=now_ms)
        await self._journal.store(
            conversation, entry, store.edit, row, found.event.stamp, body, people
        )
        return entry

    async def recall(
        self, conversation: Conversation, member: Membership, id: MessageId, content: Recall
    ) -> Entry:
        """Take a message back."""
        found = await self.find(conversation, member, content.target)
        now_ms = self._clock.now_ms()
        self._rules.check_may_recall(found, conversation, member.user, now_ms)
        entry, row = self._begin(conversation, member, id, RECALL, content)
        recalled = encoded(Recalled(member.user, entry.at_ms))
        await self._journal.store(
            conversation, entry, store.recall, row, found.event.stamp, recalled
        )
        return entry

    async def react(
        self, conversation: Conversation, member: Membership, id: MessageId, content: React
    ) -> Entry:
        """Put a reaction on a message, or take it off."""
        if any(unicodedata.category(c) in ("Cc", "Zs", "Zl", "Zp") for c in content.emoji):
            raise _invalid("A reaction is one emoji.")
        found = await self.find(conversation, member, content.target)
        self._rules.check_is_message(found)
        target = found.event.stamp
        if content.is_on:
            present = await self._read(store.reactions_on, target)
            if content.emoji not in present and len(present) >= MAX_REACTIONS_PER_MESSAGE:
                raise RequestRefused(
                    ErrorCode.LIMIT_REACHED,
                    f"A message has at most {MAX_REACTIONS_PER_MESSAGE} different reactions.",
                )
        entry, row = self._begin(conversation, member, id, REACT, content)
        await self._journal.store(
            conversation, entry, store.react, row, target, content.emoji, content.is_on
        )
        return entry

    async def find(
        self, conversation: Conversation, member: Membership, target: MessageId
    ) -> FoundEvent:
        """An earlier message that the member can see. Raises RequestRefused(NOT_FOUND)."""
        found = await self._journal.find(target)
        if (
            found is None
            or found.conversation != conversation.key
            or not member.first <= found.event.seq <= conversation.sight_of(member)
        ):
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such message here.")
        return found

    def _begin(
        self,
        conversation: Conversation,
        member: Membership,
        id: MessageId,
        kind: int,
        content: Edit | Recall | React,
        *,
        at_ms: int = 0,
    ) -> tuple[Entry, EventRow]:
        body = encoded(content)
        entry = self._journal.new_entry(conversation, id, member.user, at_ms=at_ms)
        return entry, entry.row(conversation.key, member.key, kind, body)


def mentioned(conversation: Conversation, mentions: Mentions) -> list[int]:
    """The people mentioned, as they are stored."""
    if mentions.is_everybody:
        return [EVERYBODY]
    return sorted(conversation.members[user].key for user in mentions.users)


def _invalid(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.INVALID, sentence)
