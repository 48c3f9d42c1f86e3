# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of a search that all who ask share."""

import enum
from typing import Final

EVERY_ENTRY: Final = "(objectClass=*)"
NO_ATTRIBUTES: Final = ("1.1",)
"""RFC 4511, section 4.5.1.8: the DN alone."""


class Depth(enum.StrEnum):
    """How deep a search goes; the values are ldap3's."""

    ENTRY = "BASE"
    CHILDREN = "LEVEL"
    SUBTREE = "SUBTREE"
