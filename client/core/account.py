# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: signing in and out, the password, the user's devices."""

from collections.abc import Awaitable, Callable

from client.core.board import Board
from client.core.line import Line
from client.core.session import Session
from client.core.signin import Password
from client.core.status import Account
from protocol.ids import DeviceId, UserId
from protocol.messages.session import ChangePassword, Device, ListDevices, RemoveDevice


class AccountRoom:
    """Who we are."""

    def __init__(
        self, *, session: Session, line: Line, board: Board, erase: Callable[[], Awaitable[None]]
    ) -> None:
        self._session = session
        self._line = line
        self._board = board
        self._erase = erase

    @property
    def me(self) -> Account | None:
        """Who signed in on this profile last, signed in or not; None before the first time."""
        return self._board.status.account

    async def sign_in(self, login: str, password: str) -> Account:
        """Sign in with a password; begins to hold a connection.

        Raises Refused, ServerUnreachable, IdentityChanged, ServerNotTrusted, ProfileOfAnother; PasswordChangeRequired when the
        account needs a password of its own: answer with ``change_password``.
        """
        return await self._line.sign_in(Password(login, password))

    async def change_password(
        self, old: str, new: str, *, end_other_sessions: bool = False
    ) -> None:
        """Set a new password; the answer to PasswordChangeRequired, which lets the sign-in go on. Raises Refused, Offline."""
        await self._line.change_password(ChangePassword(old, new, end_other_sessions))

    async def sign_out(self, *, forget: bool = False) -> None:
        """End the session and forget what lets this device in. ``forget``: also the copy, what is queued, and the trust."""
        await self._line.sign_out()
        if forget:
            await self._erase()

    async def devices(self, user: UserId | None = None) -> tuple[Device, ...]:
        """Our devices, or another user's. Raises Refused, Offline."""
        return (await self._session.request(ListDevices(user))).devices

    async def remove_device(
        self,
        device: DeviceId | None = None,
        *,
        user: UserId | None = None,
        except_this: bool = False,
    ) -> None:
        """End a device's session and let it in no more; without a device, all of the user's. Raises Refused, Offline."""
        await self._session.request(RemoveDevice(device, user, except_this))
