# SPDX-License-Identifier: GPL-3.0-or-later
"""`history` and `undo`: the runs there were, and taking one back."""

import argparse
from typing import Any

from ldapsync import words
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.current import fetch
from ldapsync.exits import Exit, Outcome, UsageError
from ldapsync.refusals import DecisionRefused
from ldapsync.server_link import ServerLink
from protocol.ids import RunId, format_id
from protocol.limits import MAX_RUN_PAGE
from protocol.messages.sync import ListRuns, Run, RunUndone, UndoRun

LAST = "last"
MAX_LOOKED_AT = 10_000
"""Runs in which a short id is looked for."""


def add_commands(commands: Commands) -> None:
    """Declare both."""
    parser = arguments.command(commands, "history", "list the runs: who, when, what", history)
    arguments.add_directory(parser)
    parser.add_argument("--limit", metavar="N", type=int, default=20, help="how many (20)")
    parser = arguments.command(commands, "undo", "take a run back", undo)
    parser.add_argument("run_id", metavar="RUN", help=f"its id as history shows it, or {LAST!r}")
    parser.add_argument("--yes", action="store_true", help="don't ask, even on a terminal")
    parser.add_argument("--trial", action="store_true", help="only say what would happen")
    parser.add_argument(
        "--allow-conflicts",
        action="store_true",
        help="leave what was changed since as it is, and put back the rest",
    )


def history(options: argparse.Namespace) -> Outcome:
    """Runs, newest first."""
    if not 0 < options.limit <= MAX_LOOKED_AT:
        raise UsageError(f"--limit is a number from 1 to {MAX_LOOKED_AT:,}.")
    config = arguments.config_of(options)
    source = arguments.only_directory(config, options).name if options.directory else ""
    with arguments.server_line(config) as line:
        runs = _runs(line, source, options.limit)
        names: dict[bytes, str] = {}
        if not options.json and any(any(run.by) for run in runs):
            people = fetch(line.ask, source or "any").people
            names = {one.id: one.login for one in people.values()}
    return Outcome(words.history_text(runs, names), {"runs": [_run(each) for each in runs]})


def undo(options: argparse.Namespace) -> Outcome:
    """Say what taking the run back means, ask, and do it."""
    config = arguments.config_of(options)
    with arguments.server_line(config) as line:
        run = _run_named(line, options.run_id)
        trial = line.ask(UndoRun(run.id, is_trial=True, allow_conflicts=options.allow_conflicts))
        text = _trial_text(run, trial)
        if options.trial or (trial.conflicts and not options.allow_conflicts):
            code = Exit.STALE if trial.conflicts else Exit.OK
            return Outcome(text, _undone(run, trial), code)
        if not arguments.is_agreed(options, f"{text}\nTake it back?"):
            return Outcome("Nothing was changed.", _undone(run, trial), Exit.DECLINED)
        done = line.ask(UndoRun(run.id, allow_conflicts=options.allow_conflicts))
    if done.run is None:
        return Outcome(_trial_text(run, done), _undone(run, done), Exit.STALE)
    text = (
        f"Run {words.short(run.id)} was taken back by run {words.short(done.run)}: {_counts(done.counts)}. "
        f"The server's directory is at version {done.version}."
    )
    if done.conflicts:
        text += f" {words.count(done.conflict_count, 'record')} stayed as they are."
    return Outcome(text, _undone(run, done))


def _runs(line: ServerLink, source: str, limit: int) -> list[Run]:
    found: list[Run] = []
    while len(found) < limit:
        before = found[-1].id if found else None
        page = line.ask(ListRuns(source, before, min(MAX_RUN_PAGE, limit - len(found)))).runs
        if not page:
            break
        found += page
    return found


def _run_named(line: ServerLink, word: str) -> Run:
    wanted = word.replace("-", "").lower()
    if wanted == LAST:
        for run in _runs(line, "", MAX_RUN_PAGE):
            if run.undone_by is None and run.undoes is None:
                return run
        raise DecisionRefused("There is no run to take back.")
    found = [run for run in _runs(line, "", MAX_LOOKED_AT) if run.id.hex().endswith(wanted)]
    if len(found) != 1 or len(wanted) < 4:
        raise DecisionRefused(f"{word!r} is the id of no run, or of several. See `history`.")
    return found[0]


def _trial_text(run: Run, trial: RunUndone) -> str:
    lines = [
        f"Run {words.short(run.id)} of {words.moment(run.at_ms)} on {run.source}: {_counts(trial.counts)}."
    ]
    if trial.conflicts:
        lines.append("In the way:")
        lines += [f"  {words.plain(each)}" for each in trial.conflicts]
        if trial.conflict_count > len(trial.conflicts):
            lines.append(f"  … and {trial.conflict_count - len(trial.conflicts):,} more")
        lines.append("--allow-conflicts leaves these as they are and puts back the rest.")
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    said = [f"{kind.replace('_', ' ')} {number:,}" for kind, number in counts.items() if number]
    return ", ".join(said) or "nothing to put back"


def _id(value: RunId | None) -> str | None:
    return None if value is None else format_id(value)


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": format_id(run.id),
        "source": run.source,
        "at_ms": run.at_ms,
        "by": format_id(run.by),
        "kind": run.kind,
        "plan": run.plan.hex(),
        "counts": run.counts,
        "allowed": run.allowed,
        "version_before": run.version_before,
        "version_after": run.version_after,
        "undone_by": _id(run.undone_by),
        "undoes": _id(run.undoes),
        "is_undoable": run.is_undoable,
    }


def _undone(run: Run, done: RunUndone) -> dict[str, Any]:
    return {
        "undoes": format_id(run.id),
        "run": _id(done.run),
        "conflicts": list(done.conflicts),
        "conflict_count": done.conflict_count,
        "counts": done.counts,
        "version": done.version,
        "ended_sessions": done.ended_sessions,
    }
