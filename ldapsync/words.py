# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans, runs and explanations as text for people. Nothing is decided here, and no text of a directory can command a terminal."""

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from ldapsync import fields
from ldapsync.actions import TITLES, Action, Kind, Plan
from ldapsync.plan_file import ActionText, Document
from protocol.ids import format_id
from protocol.messages.sync import Run

SHOWN_PER_KIND: Final = 20
"""Actions of one kind that are shown in full when nobody asks for all."""
MAX_VALUE_CHARS: Final = 120
SIGNS: Final = {
    Kind.CREATE: "+",
    Kind.MERGE: "=",
    Kind.ENABLE: "▲",
    Kind.DISABLE: "▼",
    Kind.MOVE: ">",
    Kind.CREATE_DEPARTMENT: "+",
    Kind.MOVE_DEPARTMENT: ">",
    Kind.REMOVE_DEPARTMENT: "-",
    Kind.CREATE_GROUP: "+",
    Kind.REMOVE_GROUP: "-",
    Kind.GRANT: "+",
    Kind.REVOKE: "-",
}


def plain(text: str) -> str:
    """A text of somebody else in one line, without what a terminal would obey."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_harmless(letter) for letter in " ".join(text.split()))


def _harmless(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Cf" and letter != "\u200d":
        return ""
    return "\ufffd" if category in ("Cc", "Cs", "Zl", "Zp") else letter


def shortened(text: str) -> str:
    """The same, cut where it is too long to read."""
    text = plain(text)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns; East Asian characters count twice."""
    cells = [list(headings), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[index]) for row in cells) for index in range(len(headings))]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 person``, ``2 people``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def summary(plan: Plan) -> str:
    """What a plan comes to, in a line."""
    counts = plan.counts()
    if not counts:
        return "nothing to do"
    return ", ".join(f"{TITLES[Kind(kind)]}: {number:,}" for kind, number in counts.items())


def plan_text(document: Document, plan: Plan, *, shows_all: bool = False) -> str:
    """A plan in full."""
    read = f"{count(plan.people_count, 'person', 'people')}, {count(plan.department_count, 'department')}"
    when = f"read {moment(plan.read_ms)}; the server's directory is at version {plan.based_on}."
    lines = [f"Directory {plan.source}: {read}, {when}"]
    by_kind: dict[str, list[ActionText]] = {}
    for action in document.actions:
        by_kind.setdefault(action.kinds[0], []).append(action)
    numbers = Counter(action.kinds[0] for action in plan.actions)
    for kind, title in TITLES.items():
        if actions := by_kind.get(kind.value):
            number = numbers[kind]
            lines += ["", f"{title[0].upper()}{title[1:]} ({number:,})"]
            shown = actions if shows_all else actions[:SHOWN_PER_KIND]
            for action in shown:
                lines += _action_lines(action, SIGNS.get(kind, "~"))
            if len(shown) < number:
                lines.append(f"  … and {number - len(shown):,} more; --all shows them.")
    lines += _questions(document)
    lines += _asides(document, shows_all=shows_all)
    lines += ["", f"In all: {summary(plan)}."]
    lines += guard_lines(document)
    return "\n".join(lines)


def _action_lines(action: ActionText, sign: str) -> list[str]:
    lines = [f"  {sign} {plain(action.name)}" + (f"   {plain(action.dn)}" if action.dn else "")]
    if action.why:
        lines.append(f"      why: {plain(action.why)}")
    rows = []
    is_new = "create" in action.kinds[0]
    for field in action.fields:
        title = fields.TITLES.get(field.field, field.field)
        before, after = shortened(field.before) or "-", shortened(field.after) or "-"
        if field.field == "members":
            change = " ".join(
                [f"+ {after}"] * bool(field.after) + [f"- {before}"] * bool(field.before)
            )
        else:
            change = after if is_new else f"{before} → {after}"
        rows.append((title, change, f"({shortened(field.why)})" if field.why else ""))
    if rows:
        lines += [f"      {line}" for line in table(("", "", ""), rows)[1:]]
    return lines


def _questions(document: Document) -> list[str]:
    if not document.proposals:
        return []
    lines = ["", f"Is this the same person? ({len(document.proposals):,})"]
    for one in document.proposals:
        lines.append(f"  ? {plain(one.name)} ({plain(one.login)})   {plain(one.dn)}")
        for each in one.candidates:
            source = f"of {each.source}" if each.source else "kept by hand"
            reasons = "; ".join(each.reasons)
            lines.append(
                f"      {plain(each.name)} ({plain(each.login)}), {source}: {plain(reasons)}"
            )
            lines.append(f"      yes:  --merge {one.anchor}={each.id}")
        if one.may_be_new:
            lines.append(f"      no, somebody new:  --new {one.anchor}")
        else:
            lines.append("      no: give one of the two another login.")
    return [*lines, "  Until that is decided, nothing happens for these entries."]


def _asides(document: Document, *, shows_all: bool) -> list[str]:
    lines: list[str] = []
    if document.set_aside:
        lines += ["", f"Set aside, they stay as they are ({len(document.set_aside):,})"]
        shown = document.set_aside if shows_all else document.set_aside[:SHOWN_PER_KIND]
        for one in shown:
            lines += [f"  ! {plain(one.dn)}", f"      {plain(one.reason)} {plain(one.mend)}"]
        if len(shown) < len(document.set_aside):
            rest = len(document.set_aside) - len(shown)
            lines.append(f"  … and {rest:,} more; --all shows them.")
    if document.notices:
        lines += ["", "Worth knowing"]
        lines += [f"  {plain(one)}" for one in document.notices[: None if shows_all else 20]]
    return lines


def guard_lines(document: Document) -> list[str]:
    """The guards that stop a plan, and how to go on."""
    if not document.guards:
        return []
    lines = ["", "This is stopped by guards; nothing is changed."]
    for one in document.guards:
        lines.append(f"  {one.sentence}")
        lines += [f"      {plain(example)}" for example in one.examples]
        if one.count > len(one.examples):
            lines.append(f"      … and {one.count - len(one.examples):,} more")
    lifts = " ".join(f"--allow {one.guard}={one.count}" for one in document.guards)
    return [*lines, f"If that is right, lift them for this run: {lifts}"]


def moment(at_ms: int) -> str:
    """A time, local to who reads it."""
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S}"


def history_text(runs: Iterable[Run], names: dict[bytes, str]) -> str:
    """Runs, newest first."""
    rows = []
    for run in runs:
        counts = ", ".join(
            f"{kind.replace('_', ' ')} {number:,}" for kind, number in run.counts.items()
        )
        if run.undoes is not None:
            counts = f"undoes {short(run.undoes)}" + (f": {counts}" if counts else "")
        if run.allowed:
            counts += "; allowed " + ", ".join(f"{k}={n}" for k, n in run.allowed.items())
        if run.undone_by is not None:
            counts += f"; undone by {short(run.undone_by)}"
        who = "operator" if not any(run.by) else names.get(run.by, format_id(run.by))
        versions = f"{run.version_before} → {run.version_after}"
        rows.append((short(run.id), moment(run.at_ms), run.source, run.kind, who, versions, counts))
    if not rows:
        return "There were no runs yet."
    return "\n".join(table(("RUN", "WHEN", "DIRECTORY", "WHAT", "BY", "VERSION", "COUNTS"), rows))


def short(id: bytes) -> str:
    """The end of an id, for people: its beginning is a time and tells little apart."""
    return id.hex()[-8:]


def action_text(action: Action, plan: Plan) -> str:
    """One action in a line, for logs."""
    said = fields.said_fields(action, plan)
    changed = ", ".join(fields.TITLES.get(one.field, one.field) for one in said)
    kinds = " and ".join(kind.value.replace("_", " ") for kind in action.kinds)
    return plain(f"{kinds} {action.anchor}" + (f": {changed}" if changed else ""))
