# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks: what a service is told about the session that a request came from."""

from typing import Final

from msgspec import Struct

from protocol.ids import DeviceId, SessionId, UserId

OPERATOR: Final[UserId] = bytes(16)
"""Who speaks through the control socket: whoever owns the server's folder. Not a person of the directory;
holds every permission, so that an organisation without an administrator can be given one."""


class Caller(Struct, frozen=True):
    """One signed-in session."""

    user: UserId
    session: SessionId
    device: DeviceId
    address: str = ""
    """The network address it came from, without the port; empty for the control socket."""

    @property
    def is_operator(self) -> bool:
        """Whether this is the operator of the machine and not a person of the directory."""
        return self.user == OPERATOR
