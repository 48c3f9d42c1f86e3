# SPDX-License-Identifier: GPL-3.0-or-later
"""One conversation in memory: its head, its members, what each of them may do. No I/O and no waiting in here."""

from collections.abc import Collection, Iterable
from typing import Final

from protocol.ids import ConversationId, DepartmentId, UserId
from protocol.messages.chat import ConversationKind
from protocol.messages.content import MemberRole
from server.store.rooms import Loaded, MemberRow, NewMember
from server.store.waiting import Turn

OWNER: Final = MemberRole.OWNER.value
ADMIN: Final = MemberRole.ADMIN.value
MEMBER: Final = MemberRole.MEMBER.value
READER: Final = MemberRole.READER.value

_RANKS: Final = {OWNER: 0, ADMIN: 1, MEMBER: 2, READER: 3}


class Membership:
    """One person's part in a conversation."""

    __slots__ = (
        "delivered",
        "first",
        "has_spoken",
        "is_muted",
        "is_pinned",
        "key",
        "last",
        "last_ordinal",
        "may_post_at",
        "read",
        "read_ordinal",
        "role",
        "stamp",
        "user",
    )

    def __init__(self, row: MemberRow) -> None:
        self.key = row.key
        self.user = row.user
        self.role = row.role
        self.first = row.first
        self.last = row.last
        self.last_ordinal = row.last_ordinal
        self.delivered = row.delivered
        self.read = row.read
        self.read_ordinal = row.read_ordinal
        self.has_spoken = bool(row.has_spoken)
        self.is_muted = bool(row.is_muted)
        self.is_pinned = bool(row.is_pinned)
        self.stamp = row.stamp
        self.may_post_at = -1
        """The version of the directory for which this member was found to have the right to post."""

    @property
    def is_over(self) -> bool:
        """Whether the person belongs to the conversation no more."""
        return self.last is not None

    @property
    def leads(self) -> bool:
        """Whether this is the owner or an admin."""
        return self.role in (OWNER, ADMIN)

    @property
    def rank(self) -> int:
        """0 for the owner; more for less."""
        return _RANKS.get(self.role, len(_RANKS))


class Conversation:
    """One conversation. ``head_*`` runs ahead with what is being stored; ``seq``, ``ordinal`` and ``stamp`` are durable:
    only they are shown to anybody."""

    __slots__ = (
        "department",
        "former",
        "head_ordinal",
        "head_seq",
        "head_stamp",
        "id",
        "is_broken",
        "is_loaded",
        "is_readers_only",
        "key",
        "kind",
        "last_other",
        "members",
        "ordinal",
        "pending",
        "seq",
        "stamp",
        "title",
        "touched",
        "turn",
        "used_ms",
    )

    def __init__(self, loaded: Loaded) -> None:
        row, head = loaded.conversation, loaded.head
        self.key = row.key
        self.id: ConversationId = row.id
        self.kind = row.kind
        self.title = row.title
        self.department: DepartmentId | None = row.department
        self.is_readers_only = bool(row.is_readers_only)
        self.head_seq = self.seq = head.seq
        self.head_ordinal = self.ordinal = head.ordinal
        self.head_stamp = self.stamp = head.stamp
        self.touched = head.touched
        self.last_other = head.seq
        """Events above this number are texts, all of them."""
        self.members: dict[UserId, Membership] = {}
        """Who belongs to it now, in order of joining."""
        self.former: dict[UserId, Membership] = {}
        for member in loaded.members:
            (self.members if member.last is None else self.former)[member.user] = Membership(member)
        self.pending = 0
        """Events that are on their way to the disk."""
        self.is_broken = False
        """An event could not be stored: the head must be read again before the next."""
        self.is_loaded = True
        """False once it has left the memory: load it again."""
        self.turn = Turn()
        """Everything but a plain text to an undisturbed conversation takes its turn."""
        self.used_ms = 0

    def find(self, user: UserId) -> Membership | None:
        """The part of someone who belongs or has belonged to the conversation."""
        return self.members.get(user) or self.former.get(user)

    def sight_of(self, member: Membership) -> int:
        """The last number that the member may see; below ``first`` there is nothing for them either."""
        return self.seq if member.last is None else min(self.seq, member.last)

    def peer_of(self, user: UserId) -> Membership | None:
        """The other person of a direct conversation; in one with oneself, oneself."""
        for member in self.members.values():
            if member.user != user:
                return member
        return self.members.get(user)

    @property
    def is_direct(self) -> bool:
        """Whether it is between two people."""
        return self.kind == ConversationKind.DIRECT.value

    @property
    def is_group(self) -> bool:
        """Whether its members decide who belongs to it."""
        return self.kind == ConversationKind.GROUP.value

    def join(self, joined: Iterable[tuple[UserId, NewMember]], stamp: int) -> None:
        """People belong to it from now on; who comes back starts anew."""
        for user, new in joined:
            self.former.pop(user, None)
            seen = new.first - 1
            self.members[user] = Membership(
                MemberRow(
                    key=new.key,
                    user=user,
                    role=new.role,
                    first=new.first,
                    last=None,
                    last_ordinal=None,
                    delivered=seen,
                    read=seen,
                    read_ordinal=new.ordinal,
                    has_spoken=new.has_spoken,
                    is_muted=False,
                    is_pinned=False,
                    stamp=stamp,
                )
            )

    def part(self, users: Iterable[UserId], last: int, stamp: int) -> None:
        """People belong to it no more; they keep what they could see, up to the event that says so."""
        for user in users:
            member = self.members.pop(user)
            member.last = last
            member.last_ordinal = self.ordinal
            member.is_pinned = False
            member.stamp = stamp
            self.former[user] = member

    def heir(self, leaving: Collection[UserId]) -> Membership | None:
        """Who follows an owner that leaves: of those who stay, the admin, else member, else reader who has been there longest."""
        staying = [member for member in self.members.values() if member.user not in leaving]
        return min(staying, key=lambda member: member.rank, default=None)

    def forget_rights(self) -> None:
        """Roles or rules have changed: who may post is asked anew."""
        for member in self.members.values():
            member.may_post_at = -1

    def ordinal_for(self, member: Membership) -> int:
        """The ordinal of the last event that the member may see."""
        return self.ordinal if member.last_ordinal is None else member.last_ordinal

    def unread(self, member: Membership) -> int:
        """Texts after the member's read cursor that the member may see."""
        return max(0, self.ordinal_for(member) - member.read_ordinal)
