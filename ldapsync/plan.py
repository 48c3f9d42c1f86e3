# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what would have to happen at the server so that it is as the directory wants it. Pure, and never carried out here.

Identity is (source, anchor). People, departments, groups and grants of other sources, or kept by hand, are not looked at but to stay
out of their way. What can't be taken stays as it is; what is missing after a complete reading is closed or removed, never deleted.
"""

from collections.abc import Callable, Iterator

import msgspec

from ldapsync.actions import Action, Decisions, Plan, label
from ldapsync.config import Guards
from ldapsync.current import SCOPE, UNUSABLE_PHOTOS, Current
from ldapsync.guard import tripped
from ldapsync.planning import departments, grants, groups
from ldapsync.planning.ground import Ground
from ldapsync.planning.people import PeoplePlan
from ldapsync.wanted import Anchor, Wanted
from protocol.messages.admin import PutDepartment, PutPerson, RoleGrant


def make(
    wanted: Wanted,
    current: Current,
    *,
    guards: Guards,
    new_id: Callable[[], bytes],
    decisions: Decisions = Decisions(),  # noqa: B008 - a frozen value
    allowed: dict[str, int] | None = None,
    cookies: dict[str, bytes] | None = None,
    found_at: dict[Anchor, str] | None = None,
    touched: frozenset[Anchor] | None = None,
) -> Plan:
    """Compare. ``allowed`` lifts guards up to a number; ``cookies`` are kept with the run; ``found_at`` says where missing people are.
    With ``touched``, everybody else among the people is known to be as wanted.

    Raises DecisionRefused."""
    ground = Ground(wanted, current, decisions, new_id)
    people = PeoplePlan(ground, found_at or {}, touched)
    people.identify()
    people.settle_logins()
    for_departments = list(departments.put_departments(ground))
    leaving = departments.leaving(ground)
    if for_departments or leaving:
        people.look_at_everybody()
    for_people = people.actions(leaving.keys())
    for_groups = list(groups.group_actions(ground))
    take, give = grants.grant_actions(ground)
    marks = {SCOPE: wanted.scope.encode(), **(cookies or {})}
    if UNUSABLE_PHOTOS in current.marks:
        marks[UNUSABLE_PHOTOS] = current.marks[UNUSABLE_PHOTOS]
    plan = Plan(
        source=wanted.source,
        scope=wanted.scope,
        read_ms=wanted.read_ms,
        based_on=current.version,
        actions=(
            *for_departments,
            *take,
            *for_people,
            *for_groups,
            *give,
            *departments.remove_departments(leaving),
        ),
        parked=people.parked,
        proposals=tuple(people.proposals),
        set_aside=tuple(ground.set_aside),
        notices=tuple(ground.notices),
        marks=marks,
        has_new_marks=current.marks.get(SCOPE) != marks[SCOPE],
        new_anchors=ground.new_anchors,
        people_count=len(wanted.people),
        department_count=len(wanted.departments),
    )
    plan = msgspec.structs.replace(plan, paths=_paths(plan, current))
    return msgspec.structs.replace(
        plan, tripped=tripped(plan, wanted, current, guards, allowed or {})
    )


def _paths(plan: Plan, current: Current) -> dict[bytes, str]:
    """What the ids in a plan's actions are called, as far as a reader meets them."""
    after = Current(departments=dict(current.departments))
    people = {}
    mentioned = {id for action in plan.actions for id in _mentioned(action)}
    for action in plan.actions:
        record = action.after
        if isinstance(record, PutDepartment):
            after.departments[record.id] = record
        elif isinstance(record, PutPerson) and record.id in mentioned:  # few of very many
            people[record.id] = label(record)
    paths = {}
    for id in mentioned:
        if id in after.departments:
            paths[id] = after.path_of(id)
        elif id in people:
            paths[id] = people[id]
        elif id in current.people:
            paths[id] = label(current.people[id])
        elif id in current.roles:
            paths[id] = current.roles[id].name
    return paths


def _mentioned(action: Action) -> Iterator[bytes]:
    for record in (action.before, action.after):
        if isinstance(record, PutPerson):
            for place in record.places:
                yield place.department
            if record.manager is not None:
                yield record.manager
        elif isinstance(record, PutDepartment):
            yield record.id
            if record.parent is not None:
                yield record.parent
        elif isinstance(record, RoleGrant):
            yield record.user
            yield record.role
            if record.department is not None:
                yield record.department
        elif record is not None:
            yield from record.members
