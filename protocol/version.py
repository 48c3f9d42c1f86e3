# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol's version, the capabilities that two sides may agree on, and the usual port."""

import enum
from typing import Final

VERSION: Final = 1
"""The version that this code speaks. Raised only for a change that old peers can't skip over."""
OLDEST_VERSION: Final = 1
"""The oldest version that this code still understands."""
DEFAULT_PORT: Final = 7370
"""Where a server listens when its administrator did not say otherwise; not assigned to anybody."""


class Capability(enum.StrEnum):
    """Optional abilities; used when both sides name them in the greeting. Names are append-only."""

    ZSTD = "zstd"
    """Frame bodies may be compressed with Zstandard (RFC 8878)."""


OUR_CAPABILITIES: Final = (Capability.ZSTD.value,)


def agree_on_version(their_oldest: int, their_newest: int) -> int | None:
    """The newest version that both sides speak, or None."""
    common = min(VERSION, their_newest)
    return common if common >= max(OLDEST_VERSION, their_oldest) else None
