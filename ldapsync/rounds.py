# SPDX-License-Identifier: GPL-3.0-or-later
"""One round for one directory: read it, fetch what the server has, compare, and look once more after those who are missing.

plan and apply are both this, so that what is shown is what is done.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from ldapsync import plan as planning
from ldapsync.actions import Decisions, Plan
from ldapsync.apply import carry_out
from ldapsync.config import Config, DirectoryConfig
from ldapsync.current import Current, fetch
from ldapsync.failures import ReadFailed
from ldapsync.fields import digest
from ldapsync.opening import open_directory
from ldapsync.pictures import Pictures
from ldapsync.plan_file import Document, differences, document
from ldapsync.refusals import PlanStale
from ldapsync.server_link import ServerLink
from ldapsync.sights import Sight, whereabouts
from ldapsync.wanted import Anchor, Wanted
from protocol.ids import uuid7
from protocol.messages.sync import RunCommitted

MAX_SOUGHT: Final = 1_000
"""Missing people who are looked for one by one; where more are missing, a guard stops the run anyway."""
MAX_ATTEMPTS: Final = 3
"""Rounds when somebody changes the server's directory while one is carried out."""


class Choices(Struct, frozen=True):
    """What somebody decided for this run."""

    decisions: Decisions = Decisions()
    allowed: dict[str, int] = {}


class Round(Struct, frozen=True):
    """What was read, what was there, and what has to happen."""

    wanted: Wanted
    current: Current
    plan: Plan
    organisation: bytes
    """The server's identity."""
    choices: Choices

    def document(self, most: int | None = None) -> Document:
        """The plan for people and programs; with ``most``, only so many actions of each kind."""
        decisions = self.choices.decisions
        return document(
            self.plan,
            self.organisation,
            merges=decisions.merges,
            apart=decisions.apart,
            allowed=self.choices.allowed,
            most=most,
        )


def now_ms() -> int:
    """The time of day, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> bytes:
    """An id for a new record."""
    return uuid7(now_ms(), secrets.token_bytes(10))


def compare(
    wanted: Wanted,
    current: Current,
    config: Config,
    organisation: bytes,
    choices: Choices,
    *,
    seek: DirectoryConfig | None = None,
    cookies: dict[str, bytes] | None = None,
    touched: frozenset[Anchor] | None = None,
) -> Round:
    """Make the plan. With ``seek``, ask the directory where the missing people are; raises ReadFailed when it has them after all."""
    found_at = _whereabouts(wanted, current, seek) if seek is not None else {}
    made = planning.make(
        wanted,
        current,
        guards=config.guards,
        new_id=new_id,
        decisions=choices.decisions,
        allowed=choices.allowed,
        cookies=cookies,
        found_at=found_at,
        touched=touched,
    )
    return Round(wanted, current, made, organisation, choices)


def _whereabouts(wanted: Wanted, current: Current, directory: DirectoryConfig) -> dict[Anchor, str]:
    aside = {one.anchor for one in wanted.set_aside}
    missing = [
        one.anchor
        for one in current.people.values()
        if one.source == wanted.source
        and not one.is_off_at_source
        and one.anchor not in wanted.people
        and one.anchor not in aside
    ]
    if not missing or len(missing) > MAX_SOUGHT:
        return {}
    with open_directory(directory) as opened:
        found = whereabouts(opened, directory, missing)
    present = [each for each in found.values() if each.sight is Sight.PRESENT]
    if present:
        raise ReadFailed(
            f"The reading missed {len(present)} people who are there, such as {present[0].dn}: the directory changed "
            "while it was read, or its servers differ. Nothing was concluded; run it again."
        )
    return {anchor: f"The entry {each.sentence}." for anchor, each in found.items()}


def applied(
    first: Round, config: Config, directory: DirectoryConfig, connect: Callable[[], ServerLink]
) -> tuple[Round, RunCommitted]:
    """Carry out a round's plan. When somebody changes the server's directory meanwhile, compare again; as long as that makes
    the same plan it is carried out. Raises PlanStale when it doesn't."""
    made = first
    with Pictures() as pictures:
        # Before the line is opened, which must not idle meanwhile.
        pictures.fetch(first.plan, directory)
        for _ in range(MAX_ATTEMPTS - 1):
            with connect() as line:
                try:
                    return made, _carried_out(made, line, connect, pictures)
                except PlanStale:
                    current = fetch(line.ask, first.wanted.source, first.wanted)
            made = compare(
                first.wanted, current, config, first.organisation, first.choices, seek=directory
            )
            check_same(first.document(), made)
        with connect() as line:
            return made, _carried_out(made, line, connect, pictures)


def _carried_out(
    made: Round, line: ServerLink, connect: Callable[[], ServerLink], pictures: Pictures
) -> RunCommitted:
    return carry_out(made.plan, line, connect, allowed=made.choices.allowed, pictures=pictures)


def check_same(promised: Document, made: Round) -> None:
    """Raise PlanStale, with what is different, unless both do the same."""
    if promised.organisation != made.organisation.hex():
        raise PlanStale("The plan was made for another server.")
    if promised.digest != digest(made.plan).hex():
        raise PlanStale(
            "The plan no longer holds: the directory or the server changed since it was made. Nothing was changed; plan again.",
            tuple(differences(promised, made.document())),
        )


def is_worth_a_run(plan: Plan) -> bool:
    """Whether there is something to carry out or to remember."""
    return not plan.is_empty or plan.has_new_marks
