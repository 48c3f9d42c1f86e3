# SPDX-License-Identifier: GPL-3.0-or-later
"""The chat side as one piece: its services built and handed to each other, opened and closed in the right order."""

from collections.abc import Callable

from protocol.messages.session import Policy
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.changes import Changes
from server.services.chat_rules import ChatRules
from server.services.chat_views import ChatViews
from server.services.chats import Chats
from server.services.clock import Clock
from server.services.creation import Creation
from server.services.delivery import Delivery
from server.services.departments import DepartmentRooms
from server.services.directs import Directs
from server.services.doors import Spawn, StoreDoor
from server.services.groups import Groups
from server.services.history import Histories
from server.services.journal import Append, Journal
from server.services.membership import Memberships
from server.services.messages import Messages
from server.services.pace import Pace, PaceKeeper
from server.services.people import Directory
from server.services.receipts import ReceiptBook
from server.services.rooms import Rooms
from server.services.typists import Typists
from server.services.upkeep import Upkeep


class Conversations:
    """Direct, group and department conversations."""

    def __init__(
        self,
        *,
        directory: Directory,
        policy: Callable[[], Policy],
        audience: Audience,
        clock: Clock,
        read: StoreDoor,
        run: StoreDoor,
        append: Append,
        spawn: Spawn,
        pace: Pace | None = None,
    ) -> None:
        """``policy``: the organisation's policy now. ``append``: Writer.append, for a writer made with store.events.insert_events."""
        rules = ChatRules(directory, policy)
        delivery = Delivery(audience, rules)
        views = ChatViews(read, delivery)
        journal = Journal(read, run, append, clock)
        rooms = Rooms(read, journal, clock)
        creation = Creation(journal, rooms, delivery)
        memberships = Memberships(journal, rooms, delivery)
        changes = Changes(read, journal, rules, clock)
        self.journal = journal
        self.rooms = rooms
        self.histories = Histories(read, rooms)
        self.directs = Directs(journal, rooms, rules, views, creation)
        self.groups = Groups(journal, rooms, rules, views, creation, memberships)
        self.chats = Chats(read, journal, rooms, rules, delivery, views, clock)
        self.messages = Messages(
            read,
            journal,
            rooms,
            rules,
            delivery,
            self.directs,
            changes,
            PaceKeeper(pace or Pace()),
            clock,
        )
        self.receipts = ReceiptBook(
            read, journal, rooms, rules, delivery, views, audience, clock, spawn
        )
        self.typists = Typists(rooms, rules, audience, clock, spawn)
        self.upkeep = Upkeep(journal, rooms, clock, spawn)
        self._departments = DepartmentRooms(
            directory, journal, rooms, creation, memberships, clock, spawn
        )
        directory.on_change(self._departments.directory_changed)

    async def open(self) -> None:
        """Mend what a crash left and bring departments in step; the directory must have been loaded. Raises StoreError."""
        await self.journal.open()
        await self._departments.open()
        self.upkeep.start()

    async def close(self) -> None:
        """Write what is left; the writer must still be open. Raises StoreError."""
        self.receipts.close()
        self._departments.close()
        await self.upkeep.close()

    def session_ended(self, caller: Caller) -> None:
        """A session is over: forget what was kept for it."""
        self.chats.session_ended(caller.session)

    @property
    def event_count(self) -> int:
        """Events stored since the beginning."""
        return self.journal.event_count
