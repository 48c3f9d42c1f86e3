# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in on a greeted link: with a password, with the device's certificate, with the token; and what the store must know of it."""

import asyncio
import platform
from dataclasses import dataclass

from client.core.credentials import Credentials
from client.core.errors import CoreError, ProfileOfAnother, Refused
from client.core.link import Link
from client.core.status import Account
from client.core.store import conversations, meta
from client.core.store.database import Db
from protocol.errors import ErrorCode
from protocol.ids import DeviceId
from protocol.limits import MAX_NAME_CHARS
from protocol.messages.session import (
    DeviceInfo,
    Resume,
    SignedIn,
    SignIn,
    SignInByCertificate,
    Welcome,
)

FINAL_CODES = frozenset(
    (ErrorCode.WRONG_CREDENTIALS, ErrorCode.SESSION_ENDED, ErrorCode.ACCOUNT_DISABLED)
)
"""Refusals after which only a password, or an administrator, helps."""


@dataclass(frozen=True, slots=True)
class Password:
    """What a person typed. Never stored, never logged."""

    login: str
    secret: str

    def __repr__(self) -> str:
        return f"Password({self.login!r})"


class Ticket:
    """One sign-in by a person, and what came of it."""

    def __init__(self, password: Password) -> None:
        self.password = password
        self.outcome: asyncio.Future[Account] = asyncio.get_running_loop().create_future()

    def fail(self, error: CoreError) -> None:
        """It did not work."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def succeed(self, account: Account) -> None:
        """It worked."""
        if not self.outcome.done():
            self.outcome.set_result(account)


def device_info(device: DeviceId, kind: str) -> DeviceInfo:
    """This computer, for the user's list of devices."""
    name = platform.node()[:MAX_NAME_CHARS] or "computer"
    system = f"{platform.system()} {platform.release()}"[:MAX_NAME_CHARS]
    return DeviceInfo(device, name, kind, system)


async def sign_in(
    link: Link, device: DeviceInfo, credentials: Credentials, password: Password | None
) -> SignedIn:
    """Open the session. Without a password: by certificate when the link shows one, else by token. Raises Refused, Offline."""
    if password is not None:
        return await link.request(SignIn(password.login, password.secret, device))
    if credentials.certificate is not None:
        try:
            return await link.request(SignInByCertificate(device))
        except Refused as refusal:
            if refusal.is_transient or refusal.code is ErrorCode.ACCOUNT_DISABLED:
                raise
            if credentials.ticket is None:
                raise
            credentials.forget_certificate()
    ticket = credentials.ticket
    if ticket is None:
        raise Refused(ErrorCode.WRONG_CREDENTIALS, "Sign in with your password.")
    return await link.request(Resume(ticket.user, device, ticket.token))


def admit(db: Db, welcome: Welcome, signed_in: SignedIn, login: str) -> bool:
    """Note whose copy this is and of which epoch; whether the copy had to be forgotten. Raises ProfileOfAnother."""
    known = meta.load(db, meta.ACCOUNT)
    if known is not None:
        if known.user != signed_in.user or known.organisation_id != welcome.organisation_id:
            raise ProfileOfAnother(
                f"This profile holds the messages of {known.name}. Sign out there and forget the data,"
                " or use another profile."
            )
        login = login or known.login
    account = meta.StoredAccount(
        organisation_id=welcome.organisation_id,
        user=signed_in.user,
        login=login,
        name=signed_in.name,
        permissions=signed_in.permissions,
        policy=signed_in.policy,
    )
    meta.save(db, meta.ACCOUNT, account)
    trust = meta.load(db, meta.TRUST)
    if trust is not None and welcome.server_time_ms > trust.latest_server_ms:
        trust = meta.Trust(
            trust.authority, welcome.organisation, trust.address, welcome.server_time_ms
        )
        meta.save(db, meta.TRUST, trust)
    epoch = meta.load(db, meta.EPOCH)
    if epoch == welcome.epoch:
        return False
    meta.save(db, meta.EPOCH, welcome.epoch)
    if epoch is None:
        return False
    conversations.forget_copy(db)
    meta.forget(db, meta.STAMP)
    meta.forget(db, meta.DIRECTORY_VERSION)
    return True
