# SPDX-License-Identifier: GPL-3.0-or-later
"""What the names and logins of the directory may be made of. Pure; raises RequestRefused."""

import re
from typing import Final

from protocol.errors import ErrorCode, RequestRefused

_UNSHOWABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends, and marks that turn the direction of the text around a name."""


def check_name(name: str) -> None:
    """Whether people can read the name of a person, department or role."""
    if not name.strip() or _UNSHOWABLE.search(name):
        raise _invalid("The name is empty or has characters that can't be shown.")


def check_login(login: str) -> None:
    """Whether people can type the login."""
    if _UNSHOWABLE.search(login) or login != login.strip():
        raise _invalid("The login has spaces around it, or characters that nobody can type.")


def _invalid(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.INVALID, sentence)
