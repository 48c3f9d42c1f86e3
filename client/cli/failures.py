# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a command could not do what it was told: a sentence for the user and an exit code for scripts."""

import enum


class Exit(enum.IntEnum):
    """Exit codes by kind of failure. Part of the manual: append-only."""

    OK = 0
    """Done."""
    USAGE = 1
    """The command line, or a text or file that was given, can't be used as it is; nothing was sent."""
    REFUSED = 2
    """The server understood and said no."""
    NOT_SIGNED_IN = 3
    """Nobody is signed in here, or the session was ended."""
    UNREACHABLE = 4
    """The server can't be reached."""
    NOT_FOUND = 5
    """Nobody, no conversation or no message is called that, or several are."""
    TRUST = 6
    """The server is not trusted yet, or is not the one that was trusted."""
    TIMED_OUT = 7
    """What was waited for did not happen in time."""
    PROFILE = 8
    """The local data can't be used: another program has them, they are damaged, or the disk is full."""
    INTERNAL = 70
    """A fault of the program."""
    INTERRUPTED = 130
    """Stopped with Ctrl+C."""


class Failure(Exception):
    """The command ends with this sentence, the next step in it, and this exit code."""

    def __init__(
        self, sentence: str, exit_code: Exit = Exit.USAGE, *, candidates: tuple[str, ...] = ()
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code
        self.candidates = candidates
        """With NOT_FOUND: what may have been meant, one line each."""
