# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of people: listed, removed, certified. Signing in is auth.py's."""

import logging
from typing import Protocol

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import DeviceId, UserId, format_id
from protocol.messages import session as wire
from protocol.messages.admin import Permission
from protocol.messages.kinds import Done
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.clock import Clock
from server.services.doors import StoreDoor
from server.services.people import Directory
from server.services.permissions import Rights
from server.store import devices as store
from server.store.devices import DeviceRow

log = logging.getLogger("lanyard.services")


class Authority(Protocol):
    """Makes certificates in the organisation's name."""

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, DER."""

    def issue(
        self, csr: bytes, user: UserId, device: DeviceId, now_ms: int
    ) -> tuple[bytes, bytes, int]:
        """A certificate for a device: DER, serial number, end in Unix ms. Raises RequestRefused for a request that can't be used."""


class Devices:
    """What people, and administrators for them, do with devices."""

    def __init__(
        self,
        *,
        directory: Directory,
        audience: Audience,
        authority: Authority,
        clock: Clock,
        read: StoreDoor,
        run: StoreDoor,
    ) -> None:
        self._directory = directory
        self._audience = audience
        self._authority = authority
        self._clock = clock
        self._read = read
        self._run = run

    async def list_devices(self, caller: Caller, request: wire.ListDevices) -> wire.Devices:
        """The caller's devices, or another's whose sessions the caller administers. Raises RequestRefused."""
        user = self._whose(caller, request.user)
        rows = await self._read(store.devices_of, self._directory.key_of(user))
        now_ms = self._clock.now_ms()
        online = self._audience.devices_of(user)
        return wire.Devices(
            tuple(
                _shown(row, is_online=row.id in online, is_this=_is_this(caller, user, row))
                for row in rows
                if row.id in online or row.may_return(now_ms)
            )
        )

    async def remove_device(self, caller: Caller, request: wire.RemoveDevice) -> Done:
        """Forget one device or all of them, and end their sessions. Raises RequestRefused."""
        user = self._whose(caller, request.user)
        is_own = user == caller.user
        spares_this = is_own and request.except_this
        gone = await self._run(
            store.remove,
            self._directory.key_of(user),
            request.device,
            caller.device if spares_this else None,
        )
        if request.device is not None and not gone:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such device.")
        self._audience.end_sessions(
            users=(user,),
            device=request.device,
            except_session=caller.session if spares_this else None,
            reason=ErrorCode.SESSION_ENDED,
            sentence=(
                "This device was signed out from another one."
                if is_own
                else "An administrator signed this device out."
            ),
        )
        log.info("%d devices of user %s removed", len(gone), format_id(user))
        return Done()

    async def sign_out(self, caller: Caller) -> Done:
        """Forget the caller's device, so that it can't return by itself; the caller's own session is the dispatcher's to close."""
        key = self._directory.key_of(caller.user)
        await self._run(store.remove, key, caller.device, None)
        self._audience.end_sessions(
            users=(caller.user,),
            device=caller.device,
            except_session=caller.session,
            reason=ErrorCode.SESSION_ENDED,
            sentence="This device was signed out.",
        )
        return Done()

    async def enroll_device(
        self, caller: Caller, request: wire.EnrollDevice
    ) -> wire.DeviceCertificate:
        """A certificate for the key of the caller's device. Raises RequestRefused."""
        certificate, serial, until_ms = self._authority.issue(
            request.csr, caller.user, caller.device, self._clock.now_ms()
        )
        key = self._directory.key_of(caller.user)
        if not await self._run(store.set_certificate, key, caller.device, serial, until_ms):
            raise RequestRefused(
                ErrorCode.SESSION_ENDED, "This device was signed out; sign in again."
            )
        return wire.DeviceCertificate(certificate, self._authority.certificate, until_ms)

    def _whose(self, caller: Caller, user: UserId | None) -> UserId:
        """The user whose devices are meant. Raises RequestRefused when the caller may not touch them."""
        if user is None or user == caller.user:
            if caller.is_operator:
                raise RequestRefused(ErrorCode.INVALID, "Say whose devices.")
            return caller.user
        person = self._directory.person(user)
        rights = Rights(self._directory.tree, caller.user)
        if person is not None and rights.reaches(Permission.ADMIN_SESSIONS, person):
            return user
        if person is not None and self._directory.may_see(caller.user, user):
            raise RequestRefused(
                ErrorCode.FORBIDDEN, "You may not administer the devices of this person."
            )
        raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such person.")


def _is_this(caller: Caller, user: UserId, row: DeviceRow) -> bool:
    return user == caller.user and row.id == caller.device


def _shown(row: DeviceRow, *, is_online: bool, is_this: bool) -> wire.Device:
    return wire.Device(
        id=row.id,
        name=row.name,
        kind=row.kind,
        platform=row.platform,
        software=row.software,
        address=row.address,
        last_seen_ms=row.last_seen_ms,
        created_ms=row.created_ms,
        is_online=is_online,
        is_this=is_this,
        certificate_not_after_ms=row.certificate_until_ms,
    )
