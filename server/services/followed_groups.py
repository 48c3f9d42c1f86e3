# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversations of groups that follow another directory: their members are those of the group whose accounts are open."""

from protocol.ids import ConversationId, UserId
from protocol.limits import MAX_MEMBERS_PER_REQUEST
from protocol.messages.chat import ConversationKind
from protocol.messages.content import Created, GroupChanged, MembersChanged
from server.services.caller import OPERATOR
from server.services.clock import Clock
from server.services.conversation import MEMBER, Conversation
from server.services.creation import Creation, NewRoom
from server.services.departments import MANY, SERVER_KEY
from server.services.doors import Spawn
from server.services.journal import Journal
from server.services.membership import MembershipChange, Memberships
from server.services.people import Change, Directory
from server.services.rooms import Rooms
from server.services.texts import encoded
from server.services.worklist import Worklist
from server.store import rooms as store
from server.store import sync_runs as runs_store
from server.store.events import GROUP_CHANGED


class FollowedGroups:
    """Keeps conversations in step with the groups of the directory."""

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
        self._worklist = Worklist("members of a group", self._bring_in_step, clock, spawn)

    async def open(self) -> None:
        """Bring in step what a crash may have left behind, groups that are gone too."""
        lately = await self._journal.run(runs_store.lately_changed_groups)
        await self._worklist.finish({*self._directory.tree.groups, *lately})

    def close(self) -> None:
        """Start nothing any more."""
        self._worklist.close()

    def directory_changed(self, change: Change) -> None:
        """The directory has changed: see which groups are concerned."""
        groups = self._directory.tree.groups
        due = set(change.groups_changed)
        if len(change.people_changed) >= MANY:
            due.update(groups)
        elif change.people_changed:
            due.update(
                id
                for id, group in groups.items()
                if not group.members.isdisjoint(change.people_changed)
            )
        self._worklist.add(due)

    async def _bring_in_step(self, id: ConversationId) -> None:
        conversation = await self._rooms.load(id)
        group = self._directory.tree.groups.get(id)
        if conversation is None:
            if group is not None:
                await self._create(id, group.name, self._wanted(id))
            return
        async with self._rooms.turn(id) as conversation:
            # Looked at again now that nobody else changes the conversation.
            group = self._directory.tree.groups.get(id)
            if group is not None and group.name != conversation.title:
                await self._rename(conversation, group.name)
            wanted = self._wanted(id)
            present = set(conversation.members)
            for start in range(0, len(come := sorted(wanted - present)), MAX_MEMBERS_PER_REQUEST):
                await self._change(conversation, come[start : start + MAX_MEMBERS_PER_REQUEST], [])
            for start in range(0, len(gone := sorted(present - wanted)), MAX_MEMBERS_PER_REQUEST):
                await self._change(conversation, [], gone[start : start + MAX_MEMBERS_PER_REQUEST])

    def _wanted(self, id: ConversationId) -> set[UserId]:
        group = self._directory.tree.groups.get(id)
        members = group.members if group is not None else ()
        return {user for user in members if not self._directory.is_disabled(user)}

    async def _create(self, id: ConversationId, name: str, wanted: set[UserId]) -> None:
        people = sorted(wanted)
        named = tuple(people) if len(people) <= MAX_MEMBERS_PER_REQUEST else ()
        room = NewRoom(
            id=id,
            kind=ConversationKind.GROUP,
            members={user: (self._directory.key_of(user), MEMBER) for user in people},
            content=encoded(Created(name, named)),
            title=name,
        )
        await self._creation.create(room, OPERATOR, SERVER_KEY)

    async def _change(
        self, conversation: Conversation, come: list[UserId], gone: list[UserId]
    ) -> None:
        change = MembershipChange(
            content=MembersChanged(added=tuple(come), removed=tuple(gone)),
            joined={user: (self._directory.key_of(user), MEMBER) for user in come},
            gone=gone,
        )
        await self._memberships.change(
            conversation, self._journal.new_id(), OPERATOR, SERVER_KEY, change
        )

    async def _rename(self, conversation: Conversation, title: str) -> None:
        body = encoded(GroupChanged(title, conversation.is_readers_only))
        entry = self._journal.new_entry(conversation, self._journal.new_id(), OPERATOR)
        row = entry.row(conversation.key, SERVER_KEY, GROUP_CHANGED, body)
        await self._journal.store(
            conversation, entry, store.change_group, row, title, conversation.is_readers_only
        )
        conversation.title = title
        self._memberships.delivery.show(conversation, (entry.event(body),))
