# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what in a conversation: rights by role, by the directory and by policy. Raises RequestRefused; changes nothing."""

from collections.abc import Callable, Iterable

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, UserId
from protocol.messages.admin import Permission
from protocol.messages.session import Policy
from server.services.caller import Caller
from server.services.conversation import OWNER, READER, Conversation, Membership
from server.services.people import Directory
from server.services.texts import Mentions
from server.store.events import RECALLED, TEXT, FoundEvent


class ChatRules:
    """The rules of conversations. ``policy`` says what the organisation's policy is now."""

    def __init__(self, directory: Directory, policy: Callable[[], Policy]) -> None:
        self.directory = directory
        self._policy = policy

    @property
    def has_read_receipts(self) -> bool:
        """Whether people are told who has read what."""
        return self._policy().has_read_receipts

    def key_of(self, user: UserId) -> int:
        """The store's number for a person. Raises RequestRefused(FORBIDDEN) for who is none, such as the operator."""
        try:
            return self.directory.key_of(user)
        except KeyError as error:
            raise _forbidden(
                "Only a person of the directory takes part in conversations."
            ) from error

    def may_see(self, viewer: UserId, target: UserId) -> bool:
        """Whether the viewer may know of the target."""
        return self.directory.may_see(viewer, target)

    def visible(self, viewer: UserId, targets: Iterable[UserId]) -> list[UserId]:
        """Those whom the viewer may know of."""
        return self.directory.visible(viewer, targets)

    # Taking part

    @staticmethod
    def check_knows(conversation: Conversation, user: UserId) -> None:
        """Whether the user belongs or has belonged to a conversation; to anybody else it does not exist, whatever they ask."""
        if conversation.find(user) is None:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such conversation.")

    def member(self, conversation: Conversation, user: UserId) -> Membership:
        """The user's part in a conversation to which they belong."""
        self.check_knows(conversation, user)
        member = conversation.members.get(user)
        if member is None:
            raise _forbidden("You are not a member of this conversation any more.")
        return member

    def check_may_open(self, user: UserId, peer: UserId) -> None:
        """Whether the user may begin a direct conversation with someone."""
        if not self.directory.may_see(user, peer):
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such person.")
        if self.directory.is_disabled(peer):
            raise _forbidden("The account of this person is closed; nobody would read it.")
        if not self.directory.may_open_chat(user, peer):
            raise _forbidden("You may answer this person, not begin a conversation with them.")

    def check_may_post(self, conversation: Conversation, member: Membership) -> None:
        """Whether a member may post; what was found is kept until the rules change."""
        epoch = self.directory.rules_epoch
        if member.may_post_at == epoch:
            return
        if conversation.is_direct:
            peer = conversation.peer_of(member.user)
            if peer is not None and not self._may_answer(member.user, peer):
                self.check_may_open(member.user, peer.user)
        elif member.role == READER:
            raise _forbidden("You may read here, not write.")
        elif conversation.is_readers_only and not member.leads:
            raise _forbidden("Only the owner and admins write here.")
        if not conversation.is_direct or member.has_spoken:
            member.may_post_at = epoch

    def check_mentions(
        self, conversation: Conversation, member: Membership, mentions: Mentions
    ) -> None:
        """Whether a member may mention these people here."""
        if not mentions.users <= conversation.members.keys():
            raise RequestRefused(ErrorCode.INVALID, "Only members can be mentioned.")
        if mentions.is_everybody and not (member.leads and conversation.is_group):
            permission = Permission.MENTION_ALL
            if not self.directory.has_permission(member.user, permission, conversation.department):
                raise _forbidden("You may not mention everybody here.")

    # Changing messages

    def check_may_edit(self, found: FoundEvent, user: UserId, now_ms: int) -> None:
        """Whether the user may edit a message that they can see."""
        event = found.event
        _check_is_text(event.kind)
        if event.sender != user:
            raise _forbidden("Only the sender may edit a message.")
        _check_time(event.at_ms, now_ms, self._policy().edit_within_s, "edited")

    def check_may_recall(
        self, found: FoundEvent, conversation: Conversation, user: UserId, now_ms: int
    ) -> None:
        """Whether the user may recall a message that they can see."""
        event = found.event
        _check_is_text(event.kind)
        permission = Permission.RECALL_ANY
        if self.directory.has_permission(user, permission, conversation.department):
            return
        if event.sender != user:
            raise _forbidden("Only the sender may recall a message.")
        _check_time(event.at_ms, now_ms, self._policy().recall_within_s, "recalled")

    @staticmethod
    def check_is_message(found: FoundEvent) -> None:
        """Whether what was found is a message that is still there."""
        _check_is_text(found.event.kind)

    # Groups

    def follows_directory(self, conversation: ConversationId) -> bool:
        """Whether the members and the title of a group come from another directory."""
        return conversation in self.directory.tree.groups

    def check_may_create_groups(self, caller: Caller) -> None:
        """Whether the caller may create groups at all."""
        if not self.directory.has_permission(caller.user, Permission.CREATE_GROUPS):
            raise _forbidden("You may not create groups.")

    def check_may_invite(self, user: UserId, invited: Iterable[UserId]) -> None:
        """Whether the user may bring these people into a group."""
        for person in invited:
            if not self.directory.may_see(user, person):
                raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such person.")
            if self.directory.is_disabled(person):
                raise _forbidden("The account of a person whom you invite is closed.")

    def check_leads(self, conversation: Conversation, member: Membership) -> None:
        """Whether the member is the group's owner or an admin."""
        if not (conversation.is_group and member.leads):
            raise _forbidden("Only the owner and admins of a group may do this.")

    def check_owns(self, conversation: Conversation, member: Membership) -> None:
        """Whether the member is the group's owner."""
        if not (conversation.is_group and member.role == OWNER):
            raise _forbidden("Only the owner of a group may do this.")

    def _may_answer(self, user: UserId, peer: Membership) -> bool:
        """Whoever was written to may answer, as long as they may know of the other."""
        return (
            peer.has_spoken
            and self.directory.may_see(user, peer.user)
            and not self.directory.is_disabled(peer.user)
        )


def _check_is_text(kind: int) -> None:
    if kind == RECALLED:
        raise RequestRefused(ErrorCode.CONFLICT, "The message was recalled.")
    if kind != TEXT:
        raise RequestRefused(ErrorCode.INVALID, "That is not a message.")


def _check_time(at_ms: int, now_ms: int, within_s: int, what: str) -> None:
    if not within_s:
        raise _forbidden(f"Messages can't be {what} here.")
    if now_ms - at_ms > within_s * 1000:
        raise RequestRefused(
            ErrorCode.TOO_LATE, f"Messages can be {what} for {within_s} s; that time is over."
        )


def _forbidden(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.FORBIDDEN, sentence)
