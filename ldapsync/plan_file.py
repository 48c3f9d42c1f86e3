# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as a document: what --json prints and --out writes, read again to be carried out, and two of them compared."""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ldapsync.actions import Action, Kind, Plan, Proposal, Tripped, label
from ldapsync.fields import FieldChange, action_key, digest, said_fields
from ldapsync.refusals import PlanUnusable
from ldapsync.wanted import SetAside
from protocol.ids import format_id
from protocol.messages.admin import PutDepartment, PutGroup, PutPerson, RoleGrant

FORMAT: Final = "lanyard-ldapsync plan 1"
MAX_FILE_BYTES: Final = 1 << 30
"""A plan that creates 500,000 people takes about half of it."""
MAX_DIFFERENCES: Final = 20
"""Differences between two plans that are told one by one."""


class CandidateText(Struct, frozen=True):
    """Somebody who may be meant."""

    id: str
    login: str
    name: str
    source: str
    reasons: tuple[str, ...]


class ProposalText(Struct, frozen=True):
    """A question: is this entry one of these people?"""

    anchor: str
    dn: str
    login: str
    name: str
    candidates: tuple[CandidateText, ...]
    may_be_new: bool


class ActionText(Struct, frozen=True, omit_defaults=True):
    """An action as text."""

    kinds: tuple[str, ...]
    what: str
    """person, department, group or grant."""
    name: str
    anchor: str
    id: str = ""
    """At the server; empty: it will be new."""
    dn: str = ""
    why: str = ""
    fields: tuple[FieldChange, ...] = ()
    mark: str = ""
    """Two actions that do the same to the same record have the same."""


class Document(Struct, frozen=True):
    """A plan as a document."""

    format: str
    source: str
    scope: str
    digest: str
    """Over what would be done, in hexadecimal digits."""
    organisation: str
    """The server's identity, in hexadecimal digits."""
    directory_version: int
    read_ms: int
    counts: dict[str, int]
    actions: tuple[ActionText, ...]
    proposals: tuple[ProposalText, ...]
    set_aside: tuple[SetAside, ...]
    notices: tuple[str, ...]
    guards: tuple[Tripped, ...]
    merges: dict[str, str]
    """Decisions that were made with it: anchor and person."""
    apart: tuple[str, ...]
    allowed: dict[str, int]
    seal: str = ""
    """Over the rest of the file: a plan that was edited is none."""


_WORDS: Final[dict[type[Any], str]] = {
    PutPerson: "person",
    PutDepartment: "department",
    PutGroup: "group",
}


def document(
    plan: Plan,
    organisation: bytes,
    *,
    merges: dict[str, bytes],
    apart: frozenset[str],
    allowed: dict[str, int],
    most: int | None = None,
) -> Document:
    """The plan as a document; with ``most``, only so many actions of each kind, for a reader's eye."""
    return Document(
        format=FORMAT,
        source=plan.source,
        scope=plan.scope,
        digest=digest(plan).hex(),
        organisation=organisation.hex(),
        directory_version=plan.based_on,
        read_ms=plan.read_ms,
        counts=plan.counts(),
        actions=tuple(_action(action, plan) for action in _first(plan, most)),
        proposals=tuple(map(_proposal, plan.proposals)),
        set_aside=plan.set_aside,
        notices=plan.notices,
        guards=plan.tripped,
        merges={anchor: format_id(user) for anchor, user in merges.items()},
        apart=tuple(sorted(apart)),
        allowed=allowed,
    )


def _first(plan: Plan, most: int | None) -> Iterator[Action]:
    shown: Counter[Kind] = Counter()
    for action in plan.actions:
        shown[action.kinds[0]] += 1
        if most is None or shown[action.kinds[0]] <= most:
            yield action


def _action(action: Action, plan: Plan) -> ActionText:
    record = action.record
    if isinstance(record, RoleGrant):
        name = grant_text(record, plan)
        id = ""
    else:
        name = label(record)
        id = "" if record.id in plan.new_anchors else format_id(record.id)
    key = msgspec.json.encode(action_key(action, plan))
    return ActionText(
        kinds=tuple(kind.value for kind in action.kinds),
        what=_WORDS.get(type(record), "grant"),
        name=name,
        anchor=action.anchor,
        id=id,
        dn=action.dn,
        why=action.why.get("", ""),
        fields=tuple(said_fields(action, plan)),
        mark=hashlib.sha256(key).hexdigest()[:32],
    )


def grant_text(grant: RoleGrant, plan: Plan) -> str:
    """Who holds what where, in a line."""
    role = plan.paths.get(grant.role, format_id(grant.role))
    said = f"{role}: {plan.paths.get(grant.user, format_id(grant.user))}"
    if grant.department is not None:
        said += f", over {plan.paths.get(grant.department, format_id(grant.department))}"
    return said


def _proposal(one: Proposal) -> ProposalText:
    candidates = tuple(
        CandidateText(format_id(each.user), each.login, each.name, each.source, each.reasons)
        for each in one.candidates
    )
    return ProposalText(one.anchor, one.dn, one.login, one.name, candidates, one.may_be_new)


def encode(found: Document) -> bytes:
    """The document as JSON, sealed."""
    sealed = msgspec.structs.replace(found, seal=_seal(found))
    return msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"


def _seal(found: Document) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(found, seal=""))).hexdigest()


def save(found: Document, path: Path) -> None:
    """Write the file, whole or not at all, for its owner alone: it names people. Raises PlanUnusable."""
    try:
        handle, name = tempfile.mkstemp(prefix=".plan-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(encode(found))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlanUnusable(f"{path} can't be written: {error.strerror}.") from error


def load(path: Path) -> Document:
    """Read the file. Raises PlanUnusable."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PlanUnusable(f"{path} can't be read: {error.strerror}.") from error
    try:
        found = msgspec.json.decode(data, type=Document)
    except msgspec.MsgspecError as error:
        raise PlanUnusable(f"{path} is not a plan of lanyard-ldapsync: {error}.") from error
    if found.format != FORMAT:
        raise PlanUnusable(
            f"{path} was written by another version of lanyard-ldapsync; plan again."
        )
    if found.seal != _seal(found):
        raise PlanUnusable(f"{path} was changed after it was written; plan again.")
    return found


def differences(old: Document, new: Document) -> list[str]:
    """What the newer plan does that the older does not, and the other way round, in sentences."""
    before = {one.mark: one for one in old.actions}
    after = {one.mark: one for one in new.actions}
    found = []
    if old.scope != new.scope:
        found.append("The configuration reads the directory in another way now.")
    for mark, one in after.items():
        if mark not in before:
            found.append(f"New since then: {_in_words(one)}.")
    for mark, one in before.items():
        if mark not in after:
            found.append(f"No longer to do: {_in_words(one)}.")
    rest = len(found) - MAX_DIFFERENCES
    return found if rest <= 0 else [*found[:MAX_DIFFERENCES], f"And {rest:,} more."]


def _in_words(one: ActionText) -> str:
    fields = ", ".join(
        f"{each.field} {each.before or 'none'} → {each.after or 'none'}" for each in one.fields[:3]
    )
    kinds = " and ".join(kind.replace("_", " ") for kind in one.kinds)
    return f"{kinds} {one.name}" + (f" ({fields})" if fields and "create" not in kinds else "")
