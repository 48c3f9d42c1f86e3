# SPDX-License-Identifier: GPL-3.0-or-later
"""Kerberos, as far as it is told apart: what is missing when a bind by ticket fails. The package gssapi need not be there."""

import importlib
from typing import Final

NEEDS_GSSAPI: Final = "bind_method kerberos needs the Python package gssapi: pip install gssapi."


def ticket_errors() -> tuple[type[Exception], ...]:
    """What gssapi raises; nothing where it isn't installed."""
    try:
        module = importlib.import_module("gssapi.exceptions")
    except ImportError:
        return ()
    return (module.GSSError,)


def without_ticket(error: Exception) -> str:
    """What to do when there is no ticket for the directory."""
    return (
        f"There is no Kerberos ticket that the directory takes ({error}). Get one with kinit for the user who runs this, and name "
        "the server as its service principal does, in servers or server_name."
    )
