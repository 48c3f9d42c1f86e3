# SPDX-License-Identifier: GPL-3.0-or-later
"""What the core's errors mean on the command line: the exit code, and the next step as part of the sentence."""

import math
from typing import Final

from client.cli.failures import Exit, Failure
from client.core.errors import (
    BadAddress,
    CoreError,
    IdentityChanged,
    NotFound,
    NotSignedIn,
    Offline,
    PasswordChangeRequired,
    ProfileInUse,
    ProfileOfAnother,
    ProfileUnusable,
    Refused,
    ServerNotTrusted,
    ServerUnreachable,
    StoreFailed,
    Unsendable,
)
from protocol.errors import ErrorCode
from protocol.identity import fingerprint_hex

_BY_CLASS: Final[dict[type[CoreError], tuple[Exit, str]]] = {
    BadAddress: (
        Exit.USAGE,
        "An address is a name or IP address, with :PORT where it is not 7370.",
    ),
    Unsendable: (Exit.USAGE, ""),
    NotSignedIn: (Exit.NOT_SIGNED_IN, "Sign in with `lanyard-cli login SERVER LOGIN`."),
    PasswordChangeRequired: (
        Exit.NOT_SIGNED_IN,
        "Set a password of your own with `lanyard-cli password`.",
    ),
    ServerUnreachable: (Exit.UNREACHABLE, "Check the address, and that the server runs."),
    Offline: (Exit.UNREACHABLE, ""),
    NotFound: (Exit.NOT_FOUND, ""),
    ServerNotTrusted: (Exit.TRUST, "`lanyard-cli login SERVER` shows its fingerprint and asks."),
    ProfileInUse: (
        Exit.PROFILE,
        "Wait until it ends, or use another folder with --profile DIR.",
    ),
    ProfileUnusable: (Exit.PROFILE, ""),
    ProfileOfAnother: (
        Exit.PROFILE,
        "Use another folder with --profile DIR, or empty this one with `lanyard-cli logout --forget`.",
    ),
    StoreFailed: (Exit.PROFILE, "Check that the disk has room."),
}

_BY_CODE: Final[dict[ErrorCode, tuple[Exit, str]]] = {
    ErrorCode.NOT_SIGNED_IN: (Exit.NOT_SIGNED_IN, "Sign in with `lanyard-cli login`."),
    ErrorCode.SESSION_ENDED: (Exit.NOT_SIGNED_IN, "Sign in again with `lanyard-cli login`."),
    ErrorCode.ACCOUNT_DISABLED: (Exit.REFUSED, ""),
    ErrorCode.WRONG_CREDENTIALS: (
        Exit.REFUSED,
        "Check the login and the password; an administrator can set a new one.",
    ),
    ErrorCode.NOT_FOUND: (Exit.NOT_FOUND, ""),
    ErrorCode.TIMED_OUT: (Exit.TIMED_OUT, ""),
    ErrorCode.TOO_MANY_DEVICES: (Exit.REFUSED, "`lanyard-cli devices` lists and removes them."),
    ErrorCode.INTERNAL: (Exit.REFUSED, "Tell the administrator of the server."),
}


def failure_of(error: Failure | CoreError) -> Failure:
    """The failure that an error of the core is for whoever gave the command."""
    if isinstance(error, Failure):
        return error
    said = ended(str(error))
    if isinstance(error, Refused):
        code, step = _BY_CODE.get(error.code, (Exit.REFUSED, ""))
        if error.retry_after_ms:
            step = f"Try again in {math.ceil(error.retry_after_ms / 1000)} s."
        return Failure(_joined(said, step), code)
    if isinstance(error, IdentityChanged):
        return Failure(_identity_changed(error, said), Exit.TRUST)
    for kind, (code, step) in _BY_CLASS.items():
        if isinstance(error, kind):
            return Failure(_joined(said, step), code)
    return Failure(said, Exit.INTERNAL)


def _identity_changed(error: IdentityChanged, said: str) -> str:
    if error.expected:
        found = fingerprint_hex(error.found) if error.found else "none"
        said = f"{said} Trusted is {fingerprint_hex(error.expected)}; shown was {found}."
    return _joined(said, "Tell IT before you go on.")


def ended(text: str) -> str:
    """A sentence with its end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?", "。")) else f"{text}."


def _joined(said: str, step: str) -> str:
    """Both, unless the sentence names the step already."""
    if not step or step in said or ("lanyard-cli" in said and "lanyard-cli" in step):
        return said
    return f"{said} {step}"
