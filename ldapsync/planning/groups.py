# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups that follow the directory: which come, change and go, and who is in them. Pure."""

from collections.abc import Iterator

from ldapsync.actions import Action, Kind
from ldapsync.planning.fitting import UNSHOWABLE
from ldapsync.planning.ground import Ground
from ldapsync.wanted import SetAside, WantedGroup
from protocol.limits import MAX_GROUP_MEMBERS, MAX_NAME_CHARS
from protocol.messages.admin import PutGroup


def group_actions(ground: Ground) -> Iterator[Action]:
    """Create, change, remove. Call it when it is known which people there are."""
    source = ground.wanted.source
    mine = {one.anchor: one for one in ground.current.groups.values() if one.source == source}
    aside = {one.anchor for one in ground.wanted.set_aside}
    for anchor, group in ground.wanted.groups.items():
        before = mine.pop(anchor, None)
        if (found := _flaw(group)) is not None:
            ground.set_aside.append(SetAside(group.dn, *found, anchor))
            continue
        after = PutGroup(
            before.id if before is not None else ground.number(anchor),
            group.name,
            tuple(sorted(ground.user_ids[one] for one in group.members if one in ground.user_ids)),
            source,
            anchor,
        )
        if before is None:
            yield Action((Kind.CREATE_GROUP,), anchor, None, after, group.why, group.dn)
        elif before.name != after.name or set(before.members) != set(after.members):
            yield Action((Kind.UPDATE_GROUP,), anchor, before, after, group.why, group.dn)
    why = {
        "": "The directory has no such group any more, or it is not among those that are wanted."
    }
    for anchor, before in mine.items():
        if anchor not in aside:
            yield Action((Kind.REMOVE_GROUP,), anchor, before, None, why)


def _flaw(group: WantedGroup) -> tuple[str, str] | None:
    if not group.name.strip() or UNSHOWABLE.search(group.name) or len(group.name) > MAX_NAME_CHARS:
        return "Its name is empty, too long, or can't be shown.", "Correct the group's name."
    if len(group.members) > MAX_GROUP_MEMBERS:
        return (
            f"It has {len(group.members):,} members; a Lanyard group has at most {MAX_GROUP_MEMBERS:,}.",
            "Use a department with a conversation, or smaller groups.",
        )
    return None
