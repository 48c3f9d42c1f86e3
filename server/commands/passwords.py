# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords given to a command: from a file or standard input, never on the command line; or made up, to be used once."""

import argparse
import secrets
import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from protocol.limits import MAX_PASSWORD_CHARS
from server.failures import Exit, Failure

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is easily taken for something else."""
_GROUPS: Final = 4
_GROUP_CHARS: Final = 4
"""16 characters of 31: 79 bits, and easy to read out."""


class GivenPassword(Struct, frozen=True):
    """A password for somebody's account."""

    text: str
    is_made_up: bool
    """Nobody knows it yet: print it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that sets a password."""
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="take the password from the first line of FILE (- is standard input); without it one is made up",
    )
    parser.add_argument(
        "--permanent",
        action="store_true",
        help="the password need not be changed at the next sign-in (for bots and scripts)",
    )


def given(arguments: argparse.Namespace) -> GivenPassword:
    """The password that the options ask for. Raises Failure."""
    source: str | None = arguments.password_file
    if source is None:
        return GivenPassword(one_time(), is_made_up=True)
    try:
        text = sys.stdin.readline() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"The password can't be read from {source}: {error}.", Exit.NO_INPUT
        ) from error
    password = text.partition("\n")[0].rstrip("\r")
    if not password or len(password) > MAX_PASSWORD_CHARS:
        raise Failure(f"The first line of {source} holds no password.", Exit.BAD_DATA)
    return GivenPassword(password, is_made_up=False)


def one_time() -> str:
    """A password to be used once."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS)
    )
    return "-".join(groups)
