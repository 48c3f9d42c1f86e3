# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles that people hold because of groups of the directory. What was given by hand, or by another directory, is left alone. Pure."""

from collections.abc import Iterator

from ldapsync.actions import Action, Kind
from ldapsync.planning.ground import Ground
from ldapsync.wanted import WantedGrant
from protocol.messages.admin import RoleGrant


def grant_actions(ground: Ground) -> tuple[list[Action], list[Action]]:
    """What is taken, and what is given. Call it when it is known which people and departments there are."""
    current, source = ground.current, ground.wanted.source
    wanted: dict[RoleGrant, WantedGrant] = {}
    for grant, asked in _resolved(ground):
        wanted.setdefault(grant, asked)
    given = {_bare(one) for one in current.grants}
    mine = {one for one in current.grants if one.source == source}
    give = [
        Action((Kind.GRANT,), asked.person, None, _of(grant, source), {"": asked.why})
        for grant, asked in wanted.items()
        if grant not in given
    ]
    why = {"": "No group of the directory gives the role to this person any more."}
    take = [
        Action((Kind.REVOKE,), _anchor_of(ground, one), one, None, why)
        for one in sorted(mine, key=lambda one: (one.user, one.role, one.department or b""))
        if one.user not in ground.kept and _bare(one) not in wanted
    ]
    return take, give


def _resolved(ground: Ground) -> Iterator[tuple[RoleGrant, WantedGrant]]:
    roles = {one.name.casefold(): one.id for one in ground.current.roles.values()}
    unknown: dict[str, None] = {}
    for asked in ground.wanted.grants:
        role = roles.get(asked.role.casefold())
        user = ground.user_ids.get(asked.person)
        if role is None:
            unknown.setdefault(asked.role)
        elif user is None or user in ground.kept:
            continue
        elif asked.department is None:
            yield RoleGrant(user, role), asked
        elif (department := ground.department_ids.get(asked.department)) is not None:
            yield RoleGrant(user, role, department), asked
    for name in unknown:
        ground.notices.append(
            f"The server has no role named {name!r}, so nobody gets it; "
            "make it with `lanyard-server role add`, or correct the rule."
        )


def _bare(grant: RoleGrant) -> RoleGrant:
    return RoleGrant(grant.user, grant.role, grant.department)


def _of(grant: RoleGrant, source: str) -> RoleGrant:
    return RoleGrant(grant.user, grant.role, grant.department, source)


def _anchor_of(ground: Ground, grant: RoleGrant) -> str:
    person = ground.current.people.get(grant.user)
    return person.anchor if person is not None else ""
