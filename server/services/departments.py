# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversations of departments: whoever sits in the department or below it belongs to its conversation."""

from typing import Final

from protocol.ids import DepartmentId, UserId, department_conversation_id
from protocol.limits import MAX_MEMBERS_PER_REQUEST
from protocol.messages.chat import ConversationKind
from protocol.messages.content import Created, MembersChanged
from server.services.caller import OPERATOR
from server.services.clock import Clock
from server.services.conversation import MEMBER
from server.services.creation import Creation, NewRoom
from server.services.doors import Spawn
from server.services.journal import Journal
from server.services.membership import MembershipChange, Memberships
from server.services.people import Change, Directory
from server.services.rooms import Rooms
from server.services.texts import encoded
from server.services.worklist import Worklist
from server.store import rooms as store

SERVER_KEY: Final = 0
"""The sender of events that nobody asked for."""
MANY: Final = 100
"""From so many changed people on, every department is looked at instead of every person."""


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
        self._members: dict[DepartmentId, set[UserId]] = {}
        what = "members of a department's conversation"
        self._worklist = Worklist(what, self._bring_in_step, clock, spawn)

    async def open(self) -> None:
        """Find out who belongs where, and bring that in step."""
        for department, person in await self._journal.run(store.department_members):
            members = self._members.setdefault(department, set())
            if person:
                members.add(self._directory.id_of(person))
        await self._worklist.finish(self._all())

    def close(self) -> None:
        """Start nothing any more."""
        self._worklist.close()

    def directory_changed(self, change: Change) -> None:
        """The directory has changed: see who comes and goes."""
        if change.departments_changed or len(change.people_changed) >= MANY:
            self._worklist.add(self._all())
            return
        due: set[DepartmentId] = set()
        for user in change.people_changed:
            due |= self._directory.departments_of(user)
            due |= {d for d, members in self._members.items() if user in members}
        self._worklist.add(due)

    def _all(self) -> set[DepartmentId]:
        return self._members.keys() | self._directory.tree.departments.keys()

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
