# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is writing now: passed on to the others, remembered for a few seconds at most."""

from typing import Final

from protocol.errors import RequestRefused
from protocol.ids import ConversationId, UserId
from protocol.limits import TYPING_INTERVAL_S
from protocol.messages.chat import Typing, TypingNow
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.chat_rules import ChatRules
from server.services.clock import Clock
from server.services.conversation import Conversation
from server.services.doors import Spawn
from server.services.rooms import Rooms

MAX_MEMBERS: Final = 50
"""In larger groups somebody always writes, and nobody wants to know."""
MAX_LOADING: Final = 100
"""Notes about conversations that are not in memory wait for them; beyond that they are dropped."""
MAX_REMEMBERED: Final = 20_000
"""Typists remembered; beyond that those whose time is over are forgotten, and if there are none, all."""


class Typists:
    """Passes on who is writing."""

    def __init__(
        self,
        rooms: Rooms,
        rules: ChatRules,
        audience: Audience,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self._rooms = rooms
        self._rules = rules
        self._audience = audience
        self._clock = clock
        self._spawn = spawn
        self._loading = 0
        self._told: dict[tuple[ConversationId, UserId], float] = {}

    def take(self, caller: Caller, note: Typing) -> None:
        """The caller is writing somewhere. What can't be passed on is dropped: a note has no answer."""
        conversation = self._rooms.loaded.get(note.conversation)
        if conversation is not None:
            self._pass_on(caller, conversation)
        elif self._loading < MAX_LOADING:
            self._spawn(self._load(caller, note))

    async def _load(self, caller: Caller, note: Typing) -> None:
        self._loading += 1
        try:
            conversation = await self._rooms.load(note.conversation)
        finally:
            self._loading -= 1
        if conversation is not None:
            self._pass_on(caller, conversation)

    def _pass_on(self, caller: Caller, conversation: Conversation) -> None:
        user, now = caller.user, self._clock.now()
        member = conversation.members.get(user)
        if member is None or len(conversation.members) > MAX_MEMBERS:
            return
        key = (conversation.id, user)
        if now - self._told.get(key, -TYPING_INTERVAL_S) < TYPING_INTERVAL_S:
            return
        try:
            self._rules.check_may_post(conversation, member)
        except RequestRefused:
            return
        self._remember(key, now)
        others = [
            other
            for other in conversation.members
            if other != user
            and self._audience.is_online(other)
            and self._rules.may_see(other, user)
        ]
        if others:
            self._audience.push(others, TypingNow(conversation.id, user))

    def _remember(self, key: tuple[ConversationId, UserId], now: float) -> None:
        if len(self._told) >= MAX_REMEMBERED:
            self._told = {k: at for k, at in self._told.items() if now - at < TYPING_INTERVAL_S}
            if len(self._told) >= MAX_REMEMBERED:
                self._told = {}
        self._told[key] = now
