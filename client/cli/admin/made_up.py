# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords to be used once, made up for somebody who then chooses another."""

import secrets
from typing import Final

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is easily taken for something else."""
_GROUPS: Final = 4
_GROUP_CHARS: Final = 4
"""16 characters of 31: 79 bits, and easy to read out."""


def one_time_password() -> str:
    """A new one."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS)
    )
    return "-".join(groups)
