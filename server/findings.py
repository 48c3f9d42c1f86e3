# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found: about what, how bad, and how to mend it."""

import enum

from msgspec import Struct


class Severity(enum.IntEnum):
    """How bad it is."""

    GOOD = 0
    NOTE = 1
    """Worth knowing, nothing to mend."""
    WARNING = 2
    """The server runs, but not for long or not well."""
    FAULT = 3
    """The server does not run, or not safely."""


class Finding(Struct, frozen=True):
    """One result of a check."""

    subject: str
    """What was looked at: ``config``, ``keys``, ``database`` ..."""
    severity: Severity
    sentence: str
    mend: str = ""
    """What to do; empty when there is nothing to do."""


def good(subject: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(subject, Severity.GOOD, sentence)


def note(subject: str, sentence: str) -> Finding:
    """Worth knowing."""
    return Finding(subject, Severity.NOTE, sentence)


def warning(subject: str, sentence: str, mend: str) -> Finding:
    """Something to mend soon."""
    return Finding(subject, Severity.WARNING, sentence, mend)


def fault(subject: str, sentence: str, mend: str) -> Finding:
    """Something to mend now."""
    return Finding(subject, Severity.FAULT, sentence, mend)
