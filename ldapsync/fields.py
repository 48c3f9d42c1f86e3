# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action changes, field by field: as values to compare, and as text for people. Pure."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from ldapsync.actions import Action, Plan
from protocol.ids import format_id
from protocol.messages.admin import PutDepartment, PutGroup, PutPerson, RoleGrant
from protocol.messages.people import Place

_UNSAID: Final = frozenset(("id", "source", "photo", "is_bot", "is_disabled"))
"""Fields that no action changes, or that are said otherwise."""
_NEW: Final = {PutPerson: PutPerson(b"", "", ""), PutDepartment: PutDepartment(b"", "")}
"""A record of which nothing is said yet: what a new one is compared with."""
_SAID: Final = {
    kind: tuple(field for field in kind.__struct_fields__ if field not in _UNSAID) for kind in _NEW
}

TITLES: Final = {
    "login": "login",
    "name": "name",
    "other_name": "other name",
    "sort_key": "sort key",
    "email": "mail",
    "phone": "phone",
    "places": "departments",
    "custom": "further fields",
    "manager": "manager",
    "is_off_at_source": "no access",
    "anchor": "anchor",
    "photo": "photo",
    "parent": "below",
    "order": "order",
    "has_conversation": "has conversation",
    "members": "members",
}


class FieldChange(Struct, frozen=True, omit_defaults=True):
    """One field before and after, as text."""

    field: str
    before: str = ""
    after: str = ""
    why: str = ""


def changed_fields(action: Action) -> Iterator[tuple[str, Any, Any]]:
    """Names of fields with their values before and after."""
    before, after = action.before, action.after
    if isinstance(after, PutPerson | PutDepartment):
        known = before if before is not None else _NEW[type(after)]
        for field in _SAID[type(after)]:
            old, new = getattr(known, field), getattr(after, field)
            if old != new:
                yield field, old, new
        if action.is_photo_changed:
            old_photo = before.photo if isinstance(before, PutPerson) else b""
            yield "photo", old_photo, action.photo.digest if action.photo is not None else b""
    elif isinstance(after, PutGroup):
        if not isinstance(before, PutGroup) or before.name != after.name:
            yield "name", before.name if isinstance(before, PutGroup) else "", after.name
        old_members = before.members if isinstance(before, PutGroup) else ()
        if set(old_members) != set(after.members):
            yield "members", frozenset(old_members), frozenset(after.members)


def said_fields(action: Action, plan: Plan) -> list[FieldChange]:
    """The same as text, with the reasons."""
    found = []
    for field, before, after in changed_fields(action):
        if field == "anchor" and action.before is None:
            continue  # said beside it
        why = action.why.get(field, "")
        if field == "members":
            came, went = after - before, before - after
            found.append(FieldChange(field, _names(went, plan), _names(came, plan), why))
        else:
            found.append(FieldChange(field, _said(before, plan), _said(after, plan), why))
    return found


def _names(users: frozenset[bytes], plan: Plan) -> str:
    return ", ".join(sorted(plan.paths.get(user, format_id(user)) for user in users))


def _said(value: Any, plan: Plan) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return plan.paths.get(value) or (f"sha256 {value.hex()[:12]}…" if value else "")
    if isinstance(value, dict):
        return "; ".join(f"{name}: {text}" for name, text in sorted(value.items()))
    if isinstance(value, tuple):
        return "; ".join(_place(place, plan) for place in value)
    return ""


def _place(place: Place, plan: Plan) -> str:
    said = plan.paths.get(place.department, format_id(place.department))
    if place.title:
        said += f" ({place.title})"
    if place.is_head:
        said += ", head"
    return f"{said}, order {place.order}" if place.order else said


def digest(plan: Plan) -> bytes:
    """What tells plans apart: SHA-256 over what would be done and to whom, in a form that is the same on each day. Ids that are only
    made by the plan count as their anchors; reasons, the time and the server's version don't count."""
    found = hashlib.sha256()
    encoder = msgspec.json.Encoder(order="deterministic")
    found.update(encoder.encode([plan.source, plan.scope, [one.id.hex() for one in plan.parked]]))
    for action in plan.actions:
        found.update(encoder.encode(action_key(action, plan)))
        found.update(b"\n")
    return found.digest()


def action_key(action: Action, plan: Plan) -> list[Any]:
    """What an action does, as lists and texts."""
    new = plan.new_anchors
    record = action.record
    if isinstance(record, RoleGrant):
        about = [record.user, record.role, record.department or b""]
    else:
        about = [record.id]
    fields = [
        [name, _plain(old, new), _plain(now, new)] for name, old, now in changed_fields(action)
    ]
    return [action.kinds, action.anchor, [_plain(one, new) for one in about], fields]


def _plain(value: Any, new: dict[bytes, str]) -> Any:
    kind = type(value)
    if kind is bytes:
        return new.get(value) or value.hex()
    if kind is tuple:
        return [[_plain(one.department, new), one.title, one.order, one.is_head] for one in value]
    if kind is frozenset:
        return sorted(_plain(one, new) for one in value)
    return value
