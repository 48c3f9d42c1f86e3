# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups: made, joined, left and ruled by their members."""

from collections.abc import Sequence

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import MessageId, UserId
from protocol.limits import MAX_GROUP_MEMBERS
from protocol.messages.chat import (
    ChangeGroup,
    ChangeMembers,
    ChatReply,
    ConversationKind,
    CreateGroup,
    GetMembers,
    Member,
    MemberList,
    Posted,
    SetMemberRole,
)
from protocol.messages.content import Created, GroupChanged, MemberRole, MembersChanged
from server.services.caller import Caller
from server.services.chat_rules import ChatRules
from server.services.chat_views import ChatViews
from server.services.conversation import (
    ADMIN,
    MEMBER,
    OWNER,
    READER,
    Conversation,
    Membership,
)
from server.services.creation import Creation, NewRoom
from server.services.journal import Journal
from server.services.membership import MembershipChange, Memberships
from server.services.rooms import Rooms
from server.services.texts import encoded
from server.store import rooms as store
from server.store.events import GROUP_CHANGED

_UUID_VERSION = 7


class Groups:
    """What members ask for."""

    def __init__(
        self,
        journal: Journal,
        rooms: Rooms,
        rules: ChatRules,
        views: ChatViews,
        creation: Creation,
        memberships: Memberships,
    ) -> None:
        self._journal = journal
        self._rooms = rooms
        self._rules = rules
        self._views = views
        self._creation = creation
        self._memberships = memberships

    async def create_group(self, caller: Caller, request: CreateGroup) -> ChatReply:
        """A new group with the caller as its owner; the same id again gets the group that is there."""
        user, id = caller.user, request.conversation
        if id[6] >> 4 != _UUID_VERSION:
            # The ids of direct and department conversations are derived and known beforehand: nobody may take them.
            raise _refused(ErrorCode.INVALID, "The id of a group is a UUID of version 7.")
        conversation = await self._rooms.load(id)
        if conversation is None:
            members = self._invited(user, request.members)
            self._rules.check_may_create_groups(caller)
            roles = dict.fromkeys(members, MEMBER) | {user: OWNER}
            room = NewRoom(
                id=id,
                kind=ConversationKind.GROUP,
                members={person: (self._rules.key_of(person), roles[person]) for person in roles},
                content=encoded(Created(request.title, tuple(roles))),
                title=request.title,
            )
            conversation = await self._creation.create(room, user, self._rules.key_of(user))
        member = conversation.members.get(user)
        if member is None or not conversation.is_group:
            raise _refused(ErrorCode.CONFLICT, "Another conversation has this id; make a new one.")
        return ChatReply(await self._views.chat(conversation, member))

    async def get_members(self, caller: Caller, request: GetMembers) -> MemberList:
        """The members of one of the caller's conversations, as far as the caller may know of them."""
        conversation, member = await self._rooms.membership(request.conversation, caller.user)
        if member.is_over:
            raise _refused(
                ErrorCode.FORBIDDEN, "You are not a member of this conversation any more."
            )
        visible = self._rules.visible(caller.user, conversation.members)
        return MemberList(tuple(Member(user, conversation.members[user].role) for user in visible))

    async def change_members(self, caller: Caller, request: ChangeMembers) -> Posted:
        """Add and remove members; removing oneself is leaving."""
        async with self._rooms.turn(request.conversation) as conversation:
            self._rules.check_knows(conversation, caller.user)
            before = await self._journal.posted_before(conversation, request.id, caller.user)
            if before is not None:
                return before
            member = self._member_of_group(conversation, caller.user)
            added = self._added(conversation, member, request.add)
            removed = self._removed(conversation, member, request.remove)
            if not added and not removed:
                raise _refused(ErrorCode.INVALID, "That would change nothing.")
            is_orphaned = member.user in removed and member.role == OWNER
            heir = conversation.heir(removed) if is_orphaned else None
            change = MembershipChange(
                joined={user: (self._rules.key_of(user), MEMBER) for user in added},
                gone=tuple(removed),
                roles={heir.user: OWNER} if heir is not None else {},
                content=MembersChanged(
                    added=tuple(added),
                    removed=tuple(user for user in removed if user != member.user),
                    left=(member.user,) if member.user in removed else (),
                    role=OWNER if heir is not None else "",
                    changed=(heir.user,) if heir is not None else (),
                ),
            )
            return await self._memberships.change(
                conversation, request.id, member.user, member.key, change
            )

    async def set_member_role(self, caller: Caller, request: SetMemberRole) -> Posted:
        """Change members' roles; who makes somebody else the owner becomes an admin."""
        role = request.role.value
        async with self._rooms.turn(request.conversation) as conversation:
            self._rules.check_knows(conversation, caller.user)
            before = await self._journal.posted_before(conversation, request.id, caller.user)
            if before is not None:
                return before
            member = self._member_of_group(conversation, caller.user)
            targets = [self._other(conversation, member, user) for user in request.members]
            self._check_role(conversation, member, targets, request.role)
            roles = {target.user: role for target in targets}
            if role == OWNER:
                roles[member.user] = ADMIN
            change = MembershipChange(
                roles=roles,
                content=MembersChanged(role=role, changed=tuple(target.user for target in targets)),
            )
            return await self._memberships.change(
                conversation, request.id, member.user, member.key, change
            )

    async def change_group(self, caller: Caller, request: ChangeGroup) -> Posted:
        """Rename a group, or say who writes in it."""
        async with self._rooms.turn(request.conversation) as conversation:
            self._rules.check_knows(conversation, caller.user)
            before = await self._journal.posted_before(conversation, request.id, caller.user)
            if before is not None:
                return before
            member = self._member_of_group(conversation, caller.user)
            self._rules.check_leads(conversation, member)
            title = conversation.title if request.title is None else request.title
            is_readers_only = conversation.is_readers_only
            if request.is_readers_only is not None:
                is_readers_only = request.is_readers_only
            return await self._put(conversation, member, request.id, title, is_readers_only)

    async def _put(
        self,
        conversation: Conversation,
        member: Membership,
        id: MessageId,
        title: str,
        is_readers_only: bool,
    ) -> Posted:
        body = encoded(GroupChanged(title, is_readers_only))
        entry = self._journal.new_entry(conversation, id, member.user)
        row = entry.row(conversation.key, member.key, GROUP_CHANGED, body)
        await self._journal.store(
            conversation, entry, store.change_group, row, title, is_readers_only
        )
        conversation.title = title
        conversation.is_readers_only = is_readers_only
        conversation.forget_rights()
        self._memberships.delivery.show(conversation, (entry.event(body),))
        return entry.posted()

    def _member_of_group(self, conversation: Conversation, user: UserId) -> Membership:
        member = self._rules.member(conversation, user)
        if not conversation.is_group:
            raise _refused(ErrorCode.FORBIDDEN, "Only a group is changed by its members.")
        if self._rules.follows_directory(conversation.id):
            raise _refused(
                ErrorCode.FORBIDDEN,
                "This group follows the organisation's directory; who belongs to it is decided there.",
            )
        return member

    def _invited(self, user: UserId, members: Sequence[UserId]) -> list[UserId]:
        invited = [person for person in dict.fromkeys(members) if person != user]
        self._rules.check_may_invite(user, invited)
        if len(invited) >= MAX_GROUP_MEMBERS:
            raise _too_many()
        return invited

    def _added(
        self, conversation: Conversation, member: Membership, add: Sequence[UserId]
    ) -> list[UserId]:
        added = [user for user in dict.fromkeys(add) if user not in conversation.members]
        if added:
            if member.role == READER or (conversation.is_readers_only and not member.leads):
                raise _refused(ErrorCode.FORBIDDEN, "You may not invite people here.")
            self._rules.check_may_invite(member.user, added)
            if len(conversation.members) + len(added) > MAX_GROUP_MEMBERS:
                raise _too_many()
        return added

    def _removed(
        self, conversation: Conversation, member: Membership, remove: Sequence[UserId]
    ) -> list[UserId]:
        removed = [user for user in dict.fromkeys(remove) if user in conversation.members]
        for user in removed:
            if user != member.user:
                self._rules.check_leads(conversation, member)
                self._check_outranks(member, conversation.members[user])
        return removed

    def _other(self, conversation: Conversation, member: Membership, user: UserId) -> Membership:
        target = conversation.members.get(user)
        if target is None:
            raise _refused(ErrorCode.NOT_FOUND, "There is no such member.")
        if target is member:
            raise _refused(ErrorCode.INVALID, "Nobody changes their own role.")
        return target

    def _check_role(
        self,
        conversation: Conversation,
        member: Membership,
        targets: Sequence[Membership],
        role: MemberRole,
    ) -> None:
        if not targets:
            raise _refused(ErrorCode.INVALID, "That would change nothing.")
        self._rules.check_leads(conversation, member)
        if role in (MemberRole.OWNER, MemberRole.ADMIN):
            self._rules.check_owns(conversation, member)
        if role is MemberRole.OWNER and len(targets) > 1:
            raise _refused(ErrorCode.INVALID, "A group has one owner.")
        for target in targets:
            self._check_outranks(member, target)

    @staticmethod
    def _check_outranks(member: Membership, target: Membership) -> None:
        if member.rank >= target.rank:
            raise _refused(
                ErrorCode.FORBIDDEN, "You may not do this to someone of your own rank or above."
            )


def _too_many() -> RequestRefused:
    return _refused(ErrorCode.LIMIT_REACHED, f"A group has at most {MAX_GROUP_MEMBERS} members.")


def _refused(code: ErrorCode, sentence: str) -> RequestRefused:
    return RequestRefused(code, sentence)
