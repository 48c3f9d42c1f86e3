# SPDX-License-Identifier: GPL-3.0-or-later
"""What this program calls itself, in greetings, backups and the list of sessions."""

from importlib import metadata


def version() -> str:
    """The version that is installed."""
    try:
        return metadata.version("lanyard")
    except metadata.PackageNotFoundError:
        return "0 (not installed)"


def software() -> str:
    """Program and version."""
    return f"lanyard-server {version()}"
