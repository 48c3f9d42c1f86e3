# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in: by password, by a token, by a certificate; and changing one's password. Sessions begin elsewhere.

Nothing here tells a stranger whether an account exists: unknown accounts cost the same time and get the same answer.
"""

import enum
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from protocol import limits
from protocol.errors import ErrorCode, RequestRefused
from protocol.identity import DeviceIdentity
from protocol.ids import DeviceId, UserId, uuid7
from protocol.messages import session as wire
from protocol.messages.kinds import Done
from server.services import permissions
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.clock import Clock
from server.services.doors import StoreDoor
from server.services.organisation import PersonEntry, fold_login
from server.services.passwords import Passwords, check_new_password
from server.services.people import Directory
from server.services.policy import OrganisationPolicy
from server.services.sightings import Sightings
from server.services.throttle import Throttle
from server.store import people as people_store
from server.store import sign_ins as store
from server.store.devices import DeviceRow, Sighting, TooManyDevices
from server.store.errors import StoreUnavailable
from server.store.people import Account

log = logging.getLogger("lanyard.services")

TOKEN_BYTES: Final = 32
"""Of the system's randomness: nobody guesses one, so that a plain SHA-256 is enough to store it."""
TOKEN_DAYS: Final = 90
"""A device that was not used for so long must give the password again: longer than any holiday."""
_DAY_MS: Final = 24 * 60 * 60 * 1000


class Verdict(enum.Enum):
    """What an outside directory says of a password."""

    RIGHT = "right"
    WRONG = "wrong"
    UNAVAILABLE = "unavailable"
    """It can't be asked just now."""


class Verifier(Protocol):
    """The door for passwords that are kept elsewhere, such as in an LDAP directory."""

    async def verify(self, login: str, password: str) -> Verdict:
        """Judge a password; never called with an empty one, which some directories take for an anonymous success."""


class Origin(Struct, frozen=True):
    """Where a request to sign in comes from."""

    address: str
    """Without the port."""
    software: str = ""
    """What the client said of itself in its Hello."""


class Auth:
    """Lets people in."""

    def __init__(
        self,
        *,
        directory: Directory,
        policy: OrganisationPolicy,
        passwords: Passwords,
        throttle: Throttle,
        sightings: Sightings,
        audience: Audience,
        clock: Clock,
        read: StoreDoor,
        run: StoreDoor,
        verifiers: Mapping[str, Verifier] | None = None,
        token_days: int = TOKEN_DAYS,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """``verifiers``: by the source of the person; people of other sources have their password here."""
        self.token_days = token_days
        self._directory = directory
        self._policy = policy
        self._passwords = passwords
        self._throttle = throttle
        self._sightings = sightings
        self._audience = audience
        self._clock = clock
        self._read = read
        self._run = run
        self._verifiers = verifiers or {}
        self._entropy = entropy

    async def sign_in(self, request: wire.SignIn, origin: Origin) -> wire.SignedIn:
        """Let somebody in who knows the password, on any device. Raises RequestRefused."""
        tree = self._directory.tree
        login = request.login.strip()
        user = tree.who_has_login(login)
        entry = tree.people[user] if user is not None else None
        account = await self._check_password(
            fold_login(login), entry, request.password, origin.address
        )
        if entry is None or account is None:
            raise _wrong("The login or the password is wrong.")
        self._check_enabled(entry.person.id)
        token = self._entropy(TOKEN_BYTES)
        try:
            await self._keep_device(entry, account, request, token, origin)
        except StoreUnavailable as error:
            # To read is what people need most while nothing can be stored. The device can't return by itself until it has
            # signed in again; a token that it had before stays good.
            log.warning("somebody signed in on a device that could not be noted: %s", error)
            token = b""
        return self._signed_in(entry.person.id, account.must_change, token)

    async def resume(self, request: wire.Resume, origin: Origin) -> wire.SignedIn:
        """Let a device in that has signed in before and kept its token. Raises RequestRefused."""
        user, device = request.user, request.device
        row, account = await self._find(user, device.id)
        now_ms = self._clock.now_ms()
        digest = _digest(request.token)
        if (
            account is None
            or row is None
            or row.token_until_ms <= now_ms
            or not hmac.compare_digest(row.token_hash or b"", digest)
        ):
            raise _wrong("This device is not signed in any more; sign in with the password.")
        return self._returned(user, device, account, origin, now_ms + self._token_ms)

    async def sign_in_by_certificate(
        self, request: wire.SignInByCertificate, identity: DeviceIdentity, origin: Origin
    ) -> wire.SignedIn:
        """Let the device in that the TLS client certificate names. ``identity``: as TLS has proven it. Raises RequestRefused."""
        device = request.device
        row, account = await self._find(identity.user, identity.device)
        if (
            account is None
            or row is None
            or device.id != identity.device
            or identity.not_after_ms <= self._clock.now_ms()
            or identity.serial not in (row.certificate_serial, row.previous_serial)
        ):
            raise _wrong(
                "The certificate of this device is not valid any more; sign in with the password."
            )
        return self._returned(identity.user, device, account, origin, 0)

    async def change_password(self, caller: Caller, request: wire.ChangePassword) -> Done:
        """Give the caller another password. Raises RequestRefused."""
        entry = self._directory.tree.people[caller.user]
        person = entry.person
        if entry.source in self._verifiers:
            raise RequestRefused(
                ErrorCode.FORBIDDEN,
                f"Your password is kept in {entry.source!r}; change it there.",
            )
        login = fold_login(person.login)
        if await self._check_password(login, entry, request.old, caller.address) is None:
            raise _wrong("The old password is wrong.")
        min_chars = self._policy.current.password_min_chars
        check_new_password(request.new, person, min_chars)
        if request.new == request.old:
            raise RequestRefused(
                ErrorCode.WEAK_PASSWORD, "The new password is the old one; choose another."
            )
        hashed = await self._passwords.hash(request.new)
        ends_others = request.end_other_sessions

        await self._run(store.change_password, entry.key, hashed, caller.device, ends_others)
        if ends_others:
            self._audience.end_sessions(
                users=(caller.user,),
                except_session=caller.session,
                reason=ErrorCode.SESSION_ENDED,
                sentence="The password was changed on another device.",
            )
        return Done()

    def session_closed(self, caller: Caller) -> None:
        """Note when a device was here last."""
        if not caller.is_operator:
            self._sightings.left(self._directory.key_of(caller.user), caller.device)

    @property
    def _token_ms(self) -> int:
        return self.token_days * _DAY_MS

    async def _check_password(
        self, login: str, entry: PersonEntry | None, password: str, address: str
    ) -> Account | None:
        """How the account signs in when the password is right, else None. Raises RequestRefused when it can't be judged now."""
        self._throttle.begin(login, address)
        try:
            account = await self._judge(entry, password)
        except RequestRefused:
            self._throttle.given_up(login, address)
            raise
        if account is None:
            self._throttle.failed(login, address)
        else:
            self._throttle.succeeded(login, address)
        return account

    async def _judge(self, entry: PersonEntry | None, password: str) -> Account | None:
        verifier = self._verifiers.get(entry.source) if entry else None
        if entry is not None and verifier is not None:
            if not password:
                return None
            verdict = await verifier.verify(entry.person.login, password)
            if verdict is Verdict.UNAVAILABLE:
                raise RequestRefused(
                    ErrorCode.UNAVAILABLE,
                    "The organisation's directory does not answer, so passwords can't be checked just now.",
                )
            return Account("", must_change=False) if verdict is Verdict.RIGHT else None
        account = await self._read(people_store.account, entry.key if entry else 0)
        kept = account.password_hash if account else ""
        is_right = await self._passwords.verify(password, kept)
        return account if is_right else None

    async def _keep_device(
        self,
        entry: PersonEntry,
        account: Account,
        request: wire.SignIn,
        token: bytes,
        origin: Origin,
    ) -> None:
        now_ms = self._clock.now_ms()
        device = request.device
        row = DeviceRow(
            id=device.id,
            name=device.name,
            kind=device.kind,
            platform=device.platform,
            software=origin.software,
            address=origin.address,
            token_hash=_digest(token),
            token_until_ms=now_ms + self._token_ms,
        )
        fresh = ""
        if account.password_hash and self._passwords.is_outdated(account.password_hash):
            fresh = await self._passwords.hash(request.password)

        try:
            await self._run(
                store.admit,
                entry.key,
                row,
                limits.MAX_DEVICES_PER_USER,
                now_ms,
                fresh,
                account.must_change,
            )
        except TooManyDevices as error:
            raise RequestRefused(
                ErrorCode.TOO_MANY_DEVICES,
                f"You are signed in on {limits.MAX_DEVICES_PER_USER} devices, which is the most allowed; "
                "remove one of them on another device, or ask an administrator to.",
            ) from error

    async def _find(
        self, user: UserId, device: DeviceId
    ) -> tuple[DeviceRow | None, Account | None]:
        entry = self._directory.tree.people.get(user)
        return await self._read(store.find, entry.key if entry else 0, device)

    def _returned(
        self,
        user: UserId,
        device: wire.DeviceInfo,
        account: Account,
        origin: Origin,
        token_until_ms: int,
    ) -> wire.SignedIn:
        entry = self._directory.tree.people[user]
        self._sightings.arrived(
            Sighting(
                key=entry.key,
                device=device.id,
                name=device.name,
                platform=device.platform,
                software=origin.software,
                address=origin.address,
                at_ms=self._clock.now_ms(),
                token_until_ms=token_until_ms,
            )
        )
        return self._signed_in(user, account.must_change and entry.source not in self._verifiers)

    def _signed_in(self, user: UserId, must_change: bool, token: bytes = b"") -> wire.SignedIn:
        """The answer. Nothing is awaited after it: who was disabled meanwhile does not get in."""
        self._check_enabled(user)
        now_ms = self._clock.now_ms()
        tree = self._directory.tree
        return wire.SignedIn(
            user=user,
            session=uuid7(now_ms, self._entropy(10)),
            name=tree.people[user].person.name,
            token=token,
            must_change_password=must_change,
            permissions=permissions.permissions_everywhere(tree, user),
            policy=self._policy.current,
            server_time_ms=now_ms,
        )

    def _check_enabled(self, user: UserId) -> None:
        if self._directory.is_disabled(user):
            raise RequestRefused(
                ErrorCode.ACCOUNT_DISABLED,
                "This account is closed. If that is a mistake, ask your administrator.",
            )


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _wrong(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.WRONG_CREDENTIALS, sentence)
