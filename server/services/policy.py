# SPDX-License-Identifier: GPL-3.0-or-later
"""The organisation's policy: that of the configuration until an administrator sets another."""

import msgspec

from protocol.messages.session import Policy
from server.services.doors import StoreDoor
from server.store import meta

_KEY = "policy"


class OrganisationPolicy:
    """The policy that holds now."""

    def __init__(self, default: Policy) -> None:
        """``default``: what the configuration says."""
        self.default = default
        """May be replaced when the configuration was read again."""
        self._chosen: Policy | None = None

    @property
    def current(self) -> Policy:
        """What holds now."""
        return self._chosen or self.default

    async def load(self, read: StoreDoor) -> None:
        """Read what the administrators chose."""
        stored = await read(meta.get, _KEY)
        self._chosen = msgspec.json.decode(stored, type=Policy) if stored else None

    async def choose(self, policy: Policy, run: StoreDoor) -> None:
        """Replace the policy; it holds once it is durable."""
        await run(meta.put, _KEY, msgspec.json.encode(policy))
        self._chosen = policy
