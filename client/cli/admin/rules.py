# SPDX-License-Identifier: GPL-3.0-or-later
"""`admin rules ...`: who sees and may address whom. The first rule that fits decides; without one: allow."""

from typing import Final

import msgspec

from client.cli import show
from client.cli.admin.directory import AdminDirectory
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Verbs, positive
from client.cli.records.admin import RuleRecord
from protocol.messages.admin import Effect, SetVisibility, VisibilityRule

EVERYBODY: Final = "everybody"


def declare(verbs: Verbs) -> None:
    """The verbs of ``admin rules``."""
    verbs.add("list", list_rules, "the rules in their order")
    verb = verbs.add("add", add_rule, "add a rule")
    verb.add_argument(
        "effect", choices=[effect.value for effect in Effect], help="what it does to the targets"
    )
    for name, whom in (("viewers", "who looks"), ("targets", "who is looked at")):
        verb.add_argument(f"--{name}", metavar="PATH", help=f"{whom}: this department and below")
        verb.add_argument(f"--{name}-role", metavar="ROLE", help=f"{whom}: who hold this role")
    verb.add_argument(
        "--include-insiders",
        action="store_true",
        help="also for viewers who are targets themselves",
    )
    verb.add_argument(
        "--at", metavar="N", type=positive, help="as the Nth rule; without it, the last"
    )
    verb = verbs.add("remove", remove_rule, "remove a rule")
    verb.add_argument("position", metavar="N", type=positive, help="its place in the list")
    verb = verbs.add("set", set_rules, "replace all rules by those of a file")
    verb.add_argument(
        "file",
        metavar="FILE",
        help="lines as `admin rules list --json` prints them; - is standard input",
    )


async def list_rules(desk: Desk) -> None:
    """List the rules."""
    directory = await AdminDirectory.fetch(desk)
    records = [_record(directory, index, one) for index, one in enumerate(directory.rules, start=1)]
    desk.put_table(
        records,
        [
            show.Column("N", is_number=True),
            show.Column("Viewers", shrinks=True),
            show.Column("Effect", show.Style.STRONG),
            show.Column("Targets", shrinks=True),
            show.Column("Also for insiders"),
        ],
        [
            (
                str(one.position),
                _people(one.viewers, one.viewers_role),
                one.effect.replace("_", " "),
                _people(one.targets, one.targets_role),
                "" if one.spares_insiders else "yes",
            )
            for one in records
        ],
        nothing="There are no rules: everybody sees everybody and may write to them.",
    )


async def add_rule(desk: Desk) -> None:
    """Add one rule."""
    options = desk.options
    directory = await AdminDirectory.fetch(desk)
    rule = VisibilityRule(
        viewers=directory.department(options.viewers).id if options.viewers else None,
        viewers_role=directory.role(options.viewers_role).id if options.viewers_role else None,
        targets=directory.department(options.targets).id if options.targets else None,
        targets_role=directory.role(options.targets_role).id if options.targets_role else None,
        effect=Effect(options.effect),
        spares_insiders=not options.include_insiders,
    )
    rules = list(directory.rules)
    at = len(rules) if options.at is None else min(options.at - 1, len(rules))
    rules.insert(at, rule)
    await _set(directory, "add", rules, f"Rule {at + 1} of {len(rules)} was added.")


async def remove_rule(desk: Desk) -> None:
    """Remove one rule."""
    directory = await AdminDirectory.fetch(desk)
    rules = list(directory.rules)
    position: int = desk.options.position
    if position > len(rules):
        raise Failure(
            f"There is no rule {position}: {show.count(len(rules), 'rule')} in all.", Exit.NOT_FOUND
        )
    del rules[position - 1]
    await _set(directory, "remove", rules, f"Rule {position} was removed.")


async def set_rules(desk: Desk) -> None:
    """Replace all rules."""
    source, terminal = desk.options.file, desk.terminal
    text = await (terminal.read_all() if source == "-" else terminal.read_file(source))
    records = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(msgspec.json.decode(line, type=RuleRecord))
        except msgspec.MsgspecError as error:
            raise Failure(f"Line {number} of {source} is no rule: {error}.") from error
    directory = await AdminDirectory.fetch(desk)
    rules = [_rule(directory, record) for record in records]
    await _set(directory, "set", rules, f"{show.count(len(rules), 'rule')} set.")


async def _set(
    directory: AdminDirectory, verb: str, rules: list[VisibilityRule], said: str
) -> None:
    done = await directory.change(SetVisibility(tuple(rules)))
    directory.put_done(f"rules {verb}", done, said, about=None)


def _rule(directory: AdminDirectory, record: RuleRecord) -> VisibilityRule:
    try:
        effect = Effect(record.effect)
    except ValueError:
        known = ", ".join(one.value for one in Effect)
        raise Failure(f"{record.effect!r} is no effect; there are: {known}.") from None
    return VisibilityRule(
        viewers=directory.department(record.viewers).id if record.viewers else None,
        viewers_role=directory.role(record.viewers_role).id if record.viewers_role else None,
        targets=directory.department(record.targets).id if record.targets else None,
        targets_role=directory.role(record.targets_role).id if record.targets_role else None,
        effect=effect,
        spares_insiders=record.spares_insiders,
    )


def _record(directory: AdminDirectory, position: int, rule: VisibilityRule) -> RuleRecord:
    return RuleRecord(
        position=position,
        viewers=directory.path_or_none(rule.viewers),
        viewers_role=directory.name_of_role(rule.viewers_role),
        targets=directory.path_or_none(rule.targets),
        targets_role=directory.name_of_role(rule.targets_role),
        effect=rule.effect.value,
        spares_insiders=rule.spares_insiders,
    )


def _people(path: str | None, role: str | None) -> str:
    if path and role:
        return f"{role} in {path}"
    return path or role or EVERYBODY
