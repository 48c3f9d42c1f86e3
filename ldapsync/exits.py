# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command ends: what it says, to people and to programs, and its exit code."""

import enum
from typing import Any

from msgspec import Struct

from ldapsync.current import MovesTooFast
from ldapsync.failures import ConfigInvalid, DirectoryError, SecretMissing, SyncError
from ldapsync.refusals import DecisionRefused, PlanStale, PlanUnusable, ServerError


class Exit(enum.IntEnum):
    """Exit codes. Part of the manual: append-only."""

    OK = 0
    """Done; from plan: there is nothing to do."""
    FINDINGS = 1
    """From check, test-login and explain: something is not as it should be."""
    CHANGES = 2
    """From plan: there is something to do."""
    GUARDED = 3
    """A guard stopped the run; nothing was changed."""
    STALE = 4
    """The directory or the server changed, so that the plan no longer holds, or a run can't be undone as a whole; nothing was changed."""
    READ_FAILED = 5
    """The directory could not be read whole; nothing was changed."""
    SERVER = 6
    """The Lanyard server can't be reached, or refused."""
    CONFIG = 7
    """ldapsync.toml or a password can't be used as it is."""
    DECISION = 8
    """A plan file or a decision (--merge, --new) can't be used as it is."""
    DECLINED = 9
    """Somebody was asked, and said no."""
    USAGE = 64
    """The command line can't be understood."""
    INTERNAL = 70
    """A fault of the program."""
    INTERRUPTED = 130
    """Stopped with Ctrl+C."""


class UsageError(SyncError):
    """The command line can't be understood."""


class Outcome(Struct, frozen=True):
    """The end of a command that was carried out."""

    text: str
    data: dict[str, Any]
    """What ``--json`` prints; part of the manual, append-only."""
    exit_code: Exit = Exit.OK


_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (ConfigInvalid, Exit.CONFIG),
    (SecretMissing, Exit.CONFIG),
    (PlanStale, Exit.STALE),
    (PlanUnusable, Exit.DECISION),
    (DecisionRefused, Exit.DECISION),
    (ServerError, Exit.SERVER),
    (MovesTooFast, Exit.SERVER),
    (DirectoryError, Exit.READ_FAILED),
)


def exit_code_of(error: Exception) -> Exit:
    """The exit code for an error of this room."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.INTERNAL)
