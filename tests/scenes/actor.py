# SPDX-License-Identifier: GPL-3.0-or-later
"""One person of a scene at a computer of their own. Knows only what arrived there: nothing is taken on faith."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from client.core.app import Core
from client.core.errors import NotFound, PasswordChangeRequired
from client.core.events import Event, MessagesArrived, SignedIn, StatusChanged
from client.core.status import DeliveryState, MessageStatus, Phase
from client.core.views import MessageView
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.people import Person

PATIENCE_S: Final = 30.0
"""How long anything may take to arrive: far more than it does, even on a busy machine."""
LONGEST_TRACK: Final = 20_000
"""Events that are kept: a scene makes some hundreds."""

Found = TypeVar("Found")
EventT = TypeVar("EventT", bound=Event)


class NotSeen(Exception):
    """Something did not arrive where it should."""


class Actor:
    """A person with a profile, a core on it, and a record of every event that it published."""

    def __init__(self, folder: Path, person: str, name: str, password: str) -> None:
        self.login = person
        self.name = name
        self.password = password
        self._folder = folder
        self._core: Core | None = None
        self._events: list[Event] = []
        self._since = 0
        self._news = asyncio.Event()
        self._forget: Callable[[], None] | None = None

    @property
    def core(self) -> Core:
        """The core that runs at this person's computer."""
        if self._core is None:
            raise NotSeen(f"{self.name} is away.")
        return self._core

    @property
    def me(self) -> UserId:
        """The person's id."""
        account = self.core.account.me
        if account is None:
            raise NotSeen(f"{self.name} is not signed in.")
        return account.user

    # Coming and going

    async def meet(self, address: str, fingerprint: bytes) -> None:
        """Open the profile and trust the server, after comparing its fingerprint with the one that was published."""
        await self._open()
        if self.core.servers.trusted is None:
            identity = await self.core.servers.probe(address)
            if identity.fingerprint != fingerprint:
                raise NotSeen(f"{self.name} met a server with another fingerprint.")
            await self.core.servers.trust(identity)

    async def sign_in(self, new_password: str | None = None) -> None:
        """Sign in; with a password of one's own when the first one has to be changed."""
        try:
            await self.core.account.sign_in(self.login, self.password)
        except PasswordChangeRequired:
            if new_password is None:
                raise
            await self.core.account.change_password(self.password, new_password)
            self.password = new_password
        await self.hears("the sign-in to go on", SignedIn, lambda event: True)
        await self.core.until_synchronised(PATIENCE_S)

    async def come_back(self) -> None:
        """Open the same profile again: no password is asked for."""
        await self._open()
        await self.core.until_synchronised(PATIENCE_S)

    async def leave(self) -> None:
        """Close the program, in order."""
        core, self._core = self._core, None
        if self._forget is not None:
            self._forget()
            self._forget = None
        if core is not None:
            await core.stop(2.0)

    async def _open(self) -> None:
        self._core = await Core.open(self._folder, software="lanyard demo")
        self._forget = self._core.on_event(self._heard)

    def _heard(self, event: Event) -> None:
        self._events.append(event)
        if len(self._events) > LONGEST_TRACK:
            raise NotSeen(f"{self.name} hears more than a scene can make.")
        self._news.set()

    # Seeing

    def turn_page(self) -> None:
        """From here on only what is new counts."""
        self._since = len(self._events)

    async def hears(self, what: str, kind: type[EventT], is_it: Callable[[EventT], bool]) -> EventT:
        """The event of this kind that arrived here since the page was turned, or arrives now."""

        async def look() -> EventT | None:
            for event in self._events[self._since :]:
                if isinstance(event, kind) and is_it(event):
                    return event
            return None

        return await self.sees(what, look)

    async def sees(self, what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
        """What ``look`` finds at this computer, now or after something more has arrived. Raises NotSeen."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    self._news.clear()
                    found = await look()
                    if found is not None:
                        return found
                    await self._news.wait()
        except TimeoutError:
            raise NotSeen(f"{self.name} waited {PATIENCE_S:.0f} s in vain for {what}.") from None

    async def gets_message(
        self, text: str, conversation: ConversationId | None = None
    ) -> tuple[MessageView, bool]:
        """A message with this text that arrives here; and whether it came as it happened, or was caught up with."""

        def is_it(event: MessagesArrived) -> bool:
            return any(
                message.text == text and conversation in (None, message.conversation)
                for message in event.messages
            )

        event = await self.hears(f"the message “{text}”", MessagesArrived, is_it)
        return next(one for one in event.messages if one.text == text), event.is_live

    async def sees_message(
        self, message: MessageId, what: str, is_so: Callable[[MessageView], bool]
    ) -> MessageView:
        """A message as it stands here, once it is so."""

        async def look() -> MessageView | None:
            try:
                view = await self.core.messages.get(message)
            except NotFound:
                return None
            return view if is_so(view) else None

        return await self.sees(what, look)

    async def sees_delivery(self, message: MessageId, state: DeliveryState) -> MessageStatus:
        """Where a message of one's own is, once it has come so far."""

        async def look() -> MessageStatus | None:
            status = await self.core.messages.where(message)
            return status if status.delivery.state is state else None

        return await self.sees(f"a message to be {state.value}", look)

    async def until_connected(self) -> None:
        """Wait until the server is there."""

        def is_it(event: StatusChanged) -> bool:
            return event.status.connection.phase is Phase.CONNECTED

        await self.hears("the connection", StatusChanged, is_it)

    async def colleague(self, login: str) -> Person:
        """Somebody of this person's own copy of the directory."""
        person = await self.core.people.by_login(login)
        if person is None:
            raise NotSeen(f"{self.name} does not find {login} in the directory.")
        return person
