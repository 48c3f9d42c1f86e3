# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is writing where, for as long as it holds; and that we are."""

import asyncio
from typing import Final

from client.core.events import TypingChanged
from client.core.feed import Feed
from client.core.session import Session
from protocol import limits
from protocol.ids import ConversationId, UserId
from protocol.messages.chat import Typing, TypingNow

MAX_TYPISTS: Final = 1_000
"""Remembered at once, over all conversations."""


class Typists:
    """Short-lived; nothing of it is stored."""

    def __init__(self, session: Session, feed: Feed) -> None:
        self._session = session
        self._feed = feed
        self._said_at: dict[ConversationId, float] = {}
        self._writing: dict[tuple[ConversationId, UserId], asyncio.TimerHandle] = {}
        session.on_push(TypingNow, self._seen)
        session.on_close(self.forget)

    def say(self, conversation: ConversationId) -> None:
        """We are writing; to be called with every key."""
        now = asyncio.get_running_loop().time()
        said_at = self._said_at.get(conversation)
        is_due = said_at is None or now - said_at >= limits.TYPING_INTERVAL_S
        if is_due and self._session.note(Typing(conversation)):
            self._said_at = {conversation: now}

    def stopped(self, conversation: ConversationId, user: UserId) -> None:
        """Whoever sends has finished writing."""
        timer = self._writing.pop((conversation, user), None)
        if timer is not None:
            timer.cancel()
            self._publish(conversation)

    def forget(self) -> None:
        """Nobody is known to write."""
        for timer in self._writing.values():
            timer.cancel()
        conversations = {conversation for conversation, _ in self._writing}
        self._writing.clear()
        for conversation in conversations:
            self._publish(conversation)

    def _seen(self, push: TypingNow) -> None:
        key = (push.conversation, push.user)
        timer = self._writing.pop(key, None)
        if timer is not None:
            timer.cancel()
        elif len(self._writing) >= MAX_TYPISTS:
            return
        loop = asyncio.get_running_loop()
        self._writing[key] = loop.call_later(limits.TYPING_SHOWN_S, self.stopped, *key)
        if timer is None:
            self._publish(push.conversation)

    def _publish(self, conversation: ConversationId) -> None:
        users = frozenset(user for where, user in self._writing if where == conversation)
        self._feed.publish(TypingChanged(conversation, users))
