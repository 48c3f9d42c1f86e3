# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that come with the synchronisation of a directory: photos, groups that follow it, people taken out again. Part of a draft
(directory_changes.py); pure."""

import hashlib
from typing import Final

import msgspec

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, UserId, format_id
from protocol.limits import MAX_FOLLOWED_MEMBERS
from protocol.messages.admin import Permission, PutGroup, PutPhoto, RemoveGroup, RemovePerson
from protocol.messages.people import Person
from server.services.anchors import Anchors
from server.services.names import check_name
from server.services.organisation import GroupEntry, OrgTree
from server.services.permissions import Rights

_UUID_VERSION: Final = 7
_JPEG_BEGINS: Final = b"\xff\xd8\xff"


class SourceChanges:
    """Each method carries out one kind of change on the draft's tree: True created, False changed, None nothing to do."""

    def __init__(
        self,
        tree: OrgTree,
        rights: Rights,
        anchors: Anchors,
        people: set[UserId],
    ) -> None:
        """``people``: of the draft, who changed."""
        self.groups: set[ConversationId] = set()
        """Created, changed or removed."""
        self.portraits: dict[bytes, bytes] = {}
        """Photos that are to be stored, by their digest."""
        self.referred: set[UserId] = set()
        """Those of the people who are to be removed to whom the store refers; to be found out before they are."""
        self.taken: set[ConversationId] = set()
        """Ids of groups that are other conversations'; to be found out before the groups are put."""
        self._tree = tree
        self._rights = rights
        self._anchors = anchors
        self._people = people
        self._member_count = sum(len(group.members) for group in tree.groups.values())

    def put_photo(self, change: PutPhoto, person: Person) -> bool | None:
        """Set or remove a person's photo."""
        self._rights.check_whole_person(person)
        if bool(change.jpeg) != bool(change.digest):
            raise _invalid("A photo has both a digest and a picture, or neither.")
        if change.jpeg and not change.jpeg.startswith(_JPEG_BEGINS):
            raise _invalid("The photo is not a JPEG.")
        entry = self._tree.people[change.user]
        portrait = hashlib.sha256(change.jpeg).digest() if change.jpeg else b""
        if (entry.portrait, person.photo) == (portrait, change.digest):
            return None
        if change.jpeg:
            self.portraits[portrait] = change.jpeg
        self._tree.put_person(
            msgspec.structs.replace(
                entry,
                person=msgspec.structs.replace(person, photo=change.digest),
                portrait=portrait,
                version=self._tree.version,
            )
        )
        self._people.add(change.user)
        return False

    def remove_person(self, change: RemovePerson, person: Person) -> bool:
        """Take somebody out to whom nothing refers."""
        self._rights.check_everywhere(Permission.ADMIN_PEOPLE)
        tree = self._tree
        if change.id in self.referred:
            raise _conflict(f"{person.name} has signed in or belongs to conversations.")
        if change.id in tree.grants:
            raise _conflict(f"{person.name} holds a role.")
        if any(change.id in group.members for group in tree.groups.values()):
            raise _conflict(f"{person.name} belongs to a group.")
        if any(entry.person.manager == change.id for entry in tree.people.values()):
            raise _conflict(f"Somebody reports to {person.name}.")
        self._anchors.give_up(tree.people[change.id])
        tree.remove_person(change.id)
        self._people.add(change.id)
        return False

    def put_group(self, change: PutGroup) -> bool | None:
        """Create or change a group that follows a directory."""
        self._rights.check_everywhere(Permission.ADMIN_PEOPLE)
        tree = self._tree
        old = tree.groups.get(change.id)
        check_name(change.name)
        if old is None and change.id[6] >> 4 != _UUID_VERSION:
            raise _invalid("The id of a group is a UUID of version 7.")
        if old is None and change.id in self.taken:
            raise _conflict("Another conversation has this id; make a new one.")
        for user in change.members:
            if user not in tree.people:
                raise RequestRefused(ErrorCode.NOT_FOUND, f"There is no person {format_id(user)}.")
        entry = GroupEntry(
            change.id,
            change.name,
            frozenset(change.members),
            change.source,
            change.anchor,
            tree.version,
        )
        if old is not None and entry == msgspec.structs.replace(old, version=tree.version):
            return None
        self._anchors.claim(entry, old)
        self._member_count += len(entry.members) - (len(old.members) if old else 0)
        if self._member_count > MAX_FOLLOWED_MEMBERS:
            raise RequestRefused(
                ErrorCode.LIMIT_REACHED,
                f"The groups that follow a directory have more than {MAX_FOLLOWED_MEMBERS} members together.",
            )
        tree.groups[change.id] = entry
        self.groups.add(change.id)
        return old is None

    def remove_group(self, change: RemoveGroup) -> bool:
        """Remove a group that follows a directory."""
        self._rights.check_everywhere(Permission.ADMIN_PEOPLE)
        if change.id not in self._tree.groups:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such group.")
        group = self._tree.groups.pop(change.id)
        self._anchors.give_up(group)
        self._member_count -= len(group.members)
        self.groups.add(change.id)
        return False


def _conflict(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.CONFLICT, sentence)


def _invalid(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.INVALID, sentence)
