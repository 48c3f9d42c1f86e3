# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversations of departments: whoever sits in the department or below it belongs to its conversation."""

import logging
from typing import Final

from protocol.ids import DepartmentId, UserId, department_conversation_id
from protocol.limits import MAX_MEMBERS_PER_REQUEST
from protocol.messages.chat import ConversationKind
from protocol.messages.content import Created, MembersChanged
from server.services.caller import OPERATOR
from server.services.clock import Cancel, Clock
from server.services.conversation import MEMBER
from server.services.creation import Creation, NewRoom
from server.services.doors import Spawn
from server.services.journal import Journal
from server.services.membership import MembershipChange, Memberships
from server.services.people import Change, Directory
from server.services.rooms import Rooms
from server.services.texts import encoded
from server.store import rooms as store
from server.store.errors import StoreError

log = logging.getLogger("lanyard.services")

SERVER_KEY: Final = 0
"""The sender of events that nobody asked for."""
MANY: Final = 100
"""From so many changed people on, every department is looked at instead of every person."""
RETRY_S: Final = 30.0
"""After the store could not take a change of members."""


class DepartmentRooms:
    """Keeps the members of department conversations in step with the tree."""

    def __init__(
        self,
        directory: Directory,
        journal: Journal,
        rooms: Rooms,
        creation: Creation,
        memberships: Memberships,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._rooms = rooms
        self._creation = creation
        self._memberships = memberships
        self._clock = clock
        self._spawn = spawn
        self._members: dict[DepartmentId, set[UserId]] = {}
        self._due: set[DepartmentId] = set()
        self._is_running = False
        self._is_closed = False
        self._retry: Cancel | None = None

    async def open(self) -> None:
        """Find out who belongs where, and bring that in step."""
        for department, person in await self._journal.run(store.department_members):
            members = self._members.setdefault(department, set())
            if person:
                members.add(self._directory.id_of(person))
        self._due.update(self._all())
        await self._run()

    def close(self) -> None:
        """Start nothing any more."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._is_closed = True

    def directory_changed(self, change: Change) -> None:
        """The directory has changed: see who comes and goes."""
        if change.departments_changed or len(change.people_changed) >= MANY:
            self._due.update(self._all())
        else:
            for user in change.people_changed:
                self._due |= self._directory.departments_of(user)
                self._due |= {d for d, members in self._members.items() if user in members}
        if self._due and not self._is_running and not self._is_closed:
            self._spawn(self._run())

    def _all(self) -> set[DepartmentId]:
        return self._members.keys() | self._directory.tree.departments.keys()

    async def _run(self) -> None:
        """Bring one department after the other in step until none is due."""
        if self._is_running or self._is_closed:
            return
        self._is_running = True
        try:
            while self._due and not self._is_closed:
                department = self._due.pop()
                try:
                    await self._bring_in_step(department)
                except BaseException:
                    self._due.add(department)
                    raise
        except StoreError as error:
            log.warning("members of a department's conversation wait for the store: %s", error)
            self._retry = self._clock.call_later(RETRY_S, self._try_again)
        finally:
            self._is_running = False

    def _try_again(self) -> None:
        self._retry = None
        self._spawn(self._run())

    async def _bring_in_step(self, department: DepartmentId) -> None:
        record = self._directory.department(department)
        wanted: set[UserId] = set()
        if record is not None and record.conversation is not None:
            wanted = self._directory.members_of(department)
            if department not in self._members:
                await self._create(department, wanted)
                return
        elif department not in self._members:
            return
        present = self._members[department]
        while come := sorted(wanted - present)[:MAX_MEMBERS_PER_REQUEST]:
            await self._change(department, come, [])
            present.update(come)
        while gone := sorted(present - wanted)[:MAX_MEMBERS_PER_REQUEST]:
            await self._change(department, [], gone)
            present.difference_update(gone)

    async def _create(self, department: DepartmentId, wanted: set[UserId]) -> None:
        people = sorted(wanted)
        # A large department is not listed in its own history; its members can be asked for.
        named = tuple(people) if len(people) <= MAX_MEMBERS_PER_REQUEST else ()
        room = NewRoom(
            id=department_conversation_id(department),
            kind=ConversationKind.DEPARTMENT,
            members={user: (self._directory.key_of(user), MEMBER) for user in people},
            content=encoded(Created(members=named)),
            department=department,
        )
        await self._creation.create(room, OPERATOR, SERVER_KEY)
        self._members[department] = set(wanted)

    async def _change(
        self, department: DepartmentId, come: list[UserId], gone: list[UserId]
    ) -> None:
        change = MembershipChange(
            content=MembersChanged(added=tuple(come), removed=tuple(gone)),
            joined={user: (self._directory.key_of(user), MEMBER) for user in come},
            gone=gone,
        )
        async with self._rooms.turn(department_conversation_id(department)) as conversation:
            await self._memberships.change(
                conversation, self._journal.new_id(), OPERATOR, SERVER_KEY, change
            )
