# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the program could not do what it was told, as a sentence for the administrator and an exit code for scripts."""

import enum


class Exit(enum.IntEnum):
    """Exit codes; from 64 on they are those of sysexits.h, which systemd shows by name. Part of the manual: append-only."""

    OK = 0
    """Done."""
    REFUSED = 1
    """Understood and not done: the message says why. From ``check``: warnings."""
    FAULTS = 2
    """From ``check``: something is wrong that needs mending."""
    USAGE = 64
    """The command line can't be understood."""
    BAD_DATA = 65
    """A file that was given (import, backup) is not as it should be; nothing was changed."""
    NO_INPUT = 66
    """A file or folder that was named is not there, or is not an organisation's folder."""
    UNAVAILABLE = 69
    """The server does not run, or does not answer."""
    INTERNAL = 70
    """A fault of the program."""
    CANT_CREATE = 73
    """A file or folder can't be made, or is already there."""
    IO_ERROR = 74
    """Reading or writing failed: full or broken disk."""
    BUSY = 75
    """Something else has what is needed: a server on the same folder, a program on the same port. Try again later."""
    NO_RIGHTS = 77
    """The user who runs the command may not do this."""
    CONFIG = 78
    """config.toml or a key can't be used as it is."""


class Failure(Exception):
    """Base class: the command ends with this sentence and this exit code."""

    def __init__(self, sentence: str, exit_code: Exit = Exit.REFUSED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code


class ConfigInvalid(Failure):
    """config.toml can't be used; the sentence names file, line, option and the mend."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Exit.CONFIG)
