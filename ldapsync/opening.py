# SPDX-License-Identifier: GPL-3.0-or-later
"""A configured directory opened with its password. Who holds a password already uses ldapsync.directory."""

from ldapsync import passwords
from ldapsync.config import BindMethod, DirectoryConfig
from ldapsync.directory import Directory


def open_directory(config: DirectoryConfig) -> Directory:
    """Connect and bind as the configuration says. Raises what Directory.open raises, and SecretMissing."""
    password = None
    if config.bind_method is BindMethod.SIMPLE:
        password = passwords.fetch(config, f"directory.{config.name}")
    return Directory.open(config, password)
