# SPDX-License-Identifier: GPL-3.0-or-later
"""Departments: which are created, moved, renamed and changed, and which can be removed because nobody needs them. Pure."""

from collections.abc import Iterable, Iterator

from ldapsync.actions import Action, Kind
from ldapsync.planning.ground import Ground
from ldapsync.wanted import WantedDepartment
from protocol.ids import DepartmentId
from protocol.messages.admin import PutDepartment

_KIND_OF_FIELD = {"name": Kind.RENAME_DEPARTMENT, "parent": Kind.MOVE_DEPARTMENT}


def put_departments(ground: Ground) -> Iterator[Action]:
    """Create and change, parents first: what stands above a department is in its final place when the department comes."""
    wanted, current = ground.wanted, ground.current
    by_anchor = {
        one.anchor: one for one in current.departments.values() if one.source == wanted.source
    }
    for anchor, department in wanted.departments.items():
        before = by_anchor.get(anchor)
        id = before.id if before is not None else ground.number(anchor)
        ground.department_ids[anchor] = id
        after = _after(ground, department, id)
        if before is None:
            yield Action(
                (Kind.CREATE_DEPARTMENT,), anchor, None, after, department.why, department.dn
            )
        elif before != after:
            yield Action(
                _kinds(before, after), anchor, before, after, department.why, department.dn
            )


def _after(ground: Ground, department: WantedDepartment, id: DepartmentId) -> PutDepartment:
    parent = department.parent
    return PutDepartment(
        id=id,
        name=department.name,
        parent=ground.department_ids[parent] if parent is not None else None,
        other_name=department.other_name,
        order=department.order,
        has_conversation=department.has_conversation,
        source=ground.wanted.source,
        anchor=department.anchor,
    )


def _kinds(before: PutDepartment, after: PutDepartment) -> tuple[Kind, ...]:
    changed = {
        _KIND_OF_FIELD.get(field, Kind.UPDATE_DEPARTMENT)
        for field in before.__struct_fields__
        if getattr(before, field) != getattr(after, field)
    }
    return tuple(kind for kind in Kind if kind in changed)


def leaving(ground: Ground) -> dict[DepartmentId, PutDepartment]:
    """The departments of the source that the directory has no more and that nobody needs, children before parents.

    Call it when it is known who stays as they are."""
    current = ground.current
    gone = {
        one.id: one
        for one in current.departments.values()
        if one.source == ground.wanted.source and one.anchor not in ground.wanted.departments
    }
    if not gone:
        return {}
    staying: set[DepartmentId] = set()
    for id, why in _needed(ground, gone.keys()):
        if id not in staying:
            staying.add(id)
            notice = f"The department {current.path_of(id)} is not in the directory any more and stays: {why}."
            ground.notices.append(notice)
    for id in list(staying):
        parent = gone[id].parent
        while parent in gone and parent not in staying:
            staying.add(parent)
            parent = gone[parent].parent
    return {id: gone[id] for id in _children_first(gone) if id not in staying}


def _needed(ground: Ground, gone: Iterable[DepartmentId]) -> Iterator[tuple[DepartmentId, str]]:
    """Departments that can't go, and why."""
    current, source = ground.current, ground.wanted.source
    suspects = set(gone)
    for user, person in current.people.items():
        if person.source == source and user not in ground.kept:
            continue
        for place in person.places:
            if place.department in suspects:
                yield place.department, f"{person.name} ({person.login}) sits in it"
    for one in current.departments.values():
        if one.parent in suspects and one.source != source:
            yield one.parent, f"the department {one.name} below it is not of this directory"
    for rule in current.rules:
        for named in (rule.viewers, rule.targets):
            if named in suspects:
                yield named, "a visibility rule names it"
    for grant in current.grants:
        if grant.department in suspects and grant.source != source:
            yield grant.department, "a role was given over it by hand"


def _children_first(gone: dict[DepartmentId, PutDepartment]) -> list[DepartmentId]:
    def depth(id: DepartmentId) -> int:
        levels, parent = 0, gone[id].parent
        while parent in gone and levels < len(gone):
            levels, parent = levels + 1, gone[parent].parent
        return levels

    return sorted(gone, key=lambda id: (-depth(id), gone[id].name, id))


def remove_departments(leaving: dict[DepartmentId, PutDepartment]) -> Iterator[Action]:
    """Remove what is empty after everything else."""
    why = {"": "The directory has it no more, and nobody is left in it."}
    for department in leaving.values():
        kinds = (Kind.REMOVE_DEPARTMENT,)
        yield Action(kinds, department.anchor, department, None, why)
