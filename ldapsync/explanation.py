# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain from an entry of the directory through filters, units, groups and rules to what somebody is and sees. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from ldapsync import words
from ldapsync.config import DirectoryConfig
from ldapsync.current import Current
from ldapsync.fields import TITLES, said_fields
from ldapsync.planning.logins import fold_login
from ldapsync.rounds import Round
from ldapsync.wanted import SetAside, WantedPerson
from protocol.ids import DepartmentId, format_id
from protocol.messages.admin import Effect, PutPerson, VisibilityRule

_FIELDS = ("login", "name", "other_name", "sort_key", "email", "phone")


class Line(Struct, frozen=True, omit_defaults=True):
    """One fact, and where it comes from."""

    about: str
    value: str
    why: str = ""


class Explanation(Struct, frozen=True, omit_defaults=True):
    """Everything about one person in one directory."""

    directory: str
    title: str
    anchor: str = ""
    dn: str = ""
    verdict: str = ""
    """What becomes of the entry, in a sentence."""
    in_directory: tuple[Line, ...] = ()
    at_server: tuple[Line, ...] = ()
    sees: tuple[str, ...] = ()


def of(word: str, made: Round, config: DirectoryConfig) -> Explanation | None:
    """Explain the person who is called so; None when there is none."""
    entry = _entry(word, made)
    if entry is not None:
        return _present(entry, made)
    for one in made.plan.set_aside:
        if word.casefold() in (one.dn.casefold(), one.anchor or ""):
            return _set_aside(one, made)
    person = _at_server(word, made)
    return None if person is None else _missing(person, made, config)


def _entry(word: str, made: Round) -> WantedPerson | None:
    people = made.wanted.people
    if word.lower() in people:
        return people[word.lower()]
    folded = fold_login(word)
    for one in people.values():
        if fold_login(one.login) == folded:
            return one
    return next((one for one in people.values() if _is_called(folded, one)), None)


def _is_called(folded: str, one: WantedPerson) -> bool:
    return folded in (one.email.casefold(), fold_login(one.name), one.dn.casefold())


def _at_server(word: str, made: Round) -> PutPerson | None:
    folded = fold_login(word)
    for one in made.current.people.values():
        if one.source == made.wanted.source and folded in (
            fold_login(one.login), one.email.casefold(), fold_login(one.name), one.anchor,
            format_id(one.id),
        ):  # fmt: skip
            return one
    return None


def _present(entry: WantedPerson, made: Round) -> Explanation:
    aside = next((one for one in made.plan.set_aside if one.anchor == entry.anchor), None)
    asked = any(one.anchor == entry.anchor for one in made.plan.proposals)
    verdict = "It is taken."
    if aside is not None:
        verdict = f"It is set aside. {aside.reason} {aside.mend}"
    elif asked:
        verdict = (
            "It waits for a decision: it may be somebody who is at the server already (see plan)."
        )
    elif entry.is_disabled:
        verdict = f"It is taken, and has no access: {entry.why.get('is_disabled', 'the directory says so')}."
    person = _person(entry, made)
    return Explanation(
        made.wanted.source,
        f"{entry.name} ({entry.login})",
        entry.anchor,
        entry.dn,
        verdict,
        (*_facts(entry, made), *_belongings(entry, made)),
        tuple(_state(person, made)),
        tuple(_visible(person, made.current)),
    )


def _person(entry: WantedPerson, made: Round) -> PutPerson | None:
    for one in made.current.people.values():
        if (one.source, one.anchor) == (made.wanted.source, entry.anchor):
            return one
    return None


def _set_aside(one: SetAside, made: Round) -> Explanation:
    verdict = f"It is set aside. {one.reason} {one.mend}"
    return Explanation(made.wanted.source, one.dn, one.anchor or "", one.dn, verdict)


def _missing(person: PutPerson, made: Round, config: DirectoryConfig) -> Explanation:
    bases = ", ".join(config.people_bases)
    verdict = f"Nothing that matches {config.people.filter} below {bases} has this id any more."
    return Explanation(
        made.wanted.source,
        f"{person.name} ({person.login})",
        person.anchor,
        verdict=verdict,
        at_server=tuple(_state(person, made)),
        sees=tuple(_visible(person, made.current)),
    )


def _facts(entry: WantedPerson, made: Round) -> Iterator[Line]:
    yield Line("is here because it", entry.why.get("", "was read"))
    for field in _FIELDS:
        if value := getattr(entry, field):
            yield Line(TITLES[field], value, entry.why.get(field, ""))
    for name, value in sorted(entry.custom.items()):
        yield Line(name, value, entry.why.get("custom", ""))
    if entry.photo is not None:
        yield Line("photo", "yes", entry.why.get("photo", ""))
    if entry.manager is not None:
        manager = made.wanted.people.get(entry.manager)
        yield Line(
            "manager", manager.name if manager else entry.manager, entry.why.get("manager", "")
        )


def _belongings(entry: WantedPerson, made: Round) -> Iterator[Line]:
    departments = made.wanted.departments
    for place in entry.places:
        path = []
        above: str | None = place.department
        while above is not None and above in departments:
            path.append(departments[above])
            above = departments[above].parent
        names = "/".join(one.name for one in reversed(path))
        title = f" ({place.title})" if place.title else ""
        yield Line("department", f"{names}{title}", entry.why.get("places", ""))
        for one in path:
            yield Line(f"  {one.name}", one.dn, one.why.get("", ""))
    for group in made.wanted.groups.values():
        if entry.anchor in group.members:
            yield Line("group", group.name, group.why.get("", ""))
    for grant in made.wanted.grants:
        if grant.person == entry.anchor:
            over = departments[grant.department].name if grant.department in departments else ""
            yield Line("role", grant.role + (f" over {over}" if over else ""), grant.why)


def _state(person: PutPerson | None, made: Round) -> Iterator[Line]:
    if person is None:
        yield Line("at the server", "not yet there")
        return
    current = made.current
    yield Line("id", format_id(person.id))
    if person.is_off_at_source:
        yield Line("access", "none", "the directory says so")
    if person.is_disabled:
        yield Line("access", "none", "closed at the server by hand; only a person opens it again")
    if not person.is_off_at_source and not person.is_disabled:
        yield Line("access", "yes")
    for grant in current.grants:
        if grant.user == person.id:
            role = current.roles.get(grant.role)
            over = f" over {current.path_of(grant.department)}" if grant.department else ""
            given = f"by {grant.source}" if grant.source else "by hand"
            yield Line("holds the role", (role.name if role else "?") + over, given)
    for action in made.plan.actions:
        if action.record == person or action.before == person:
            for change in said_fields(action, made.plan):
                title = TITLES.get(change.field, change.field)
                yield Line(
                    f"next run: {title}",
                    f"{change.before or '-'} → {change.after or '-'}",
                    change.why,
                )


def _visible(person: PutPerson | None, current: Current) -> Iterator[str]:
    """The visibility rules that are about what this person sees, in order."""
    if person is None:
        return
    within: set[DepartmentId] = set()
    for place in person.places:
        above: DepartmentId | None = place.department
        while above is not None and above in current.departments and above not in within:
            within.add(above)
            above = current.departments[above].parent
    held = {grant.role for grant in current.grants if grant.user == person.id}
    held |= {role.id for role in current.roles.values() if role.is_for_everyone}
    for number, rule in enumerate(current.rules, start=1):
        is_about = rule.viewers is None or rule.viewers in within
        if is_about and (rule.viewers_role is None or rule.viewers_role in held):
            yield f"rule {number}: {_rule(rule, current)}"
    yield "everybody else, and always the colleagues of the same departments"


def _rule(rule: VisibilityRule, current: Current) -> str:
    targets = current.path_of(rule.targets) if rule.targets else "everybody"
    if rule.targets_role is not None:
        role = current.roles.get(rule.targets_role)
        targets += f" with the role {role.name if role else '?'}"
    return {
        Effect.ALLOW: f"sees {targets} and may write to them",
        Effect.SEE_ONLY: f"sees {targets} and opens no chat with them",
        Effect.HIDE: f"does not see {targets}",
    }[rule.effect]


def text(told: Explanation) -> str:
    """The explanation for people."""
    lines = [f"{words.plain(told.title)}, directory {told.directory}"]
    if told.dn:
        lines.append(f"  entry   {words.plain(told.dn)}")
    if told.anchor:
        lines.append(f"  anchor  {told.anchor}")
    lines.append(f"  {words.plain(told.verdict)}")
    for title, facts in (
        ("In the directory", told.in_directory),
        ("At the server", told.at_server),
    ):
        if facts:
            rows = [(one.about, one.value, f"({one.why})" if one.why else "") for one in facts]
            lines += ["", title, *(f"  {line}" for line in words.table(("", "", ""), rows)[1:])]
    if told.sees:
        lines += ["", "Sees, by the first rule that matches", *(f"  {one}" for one in told.sees)]
    return "\n".join(lines)
