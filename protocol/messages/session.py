# SPDX-License-Identifier: GPL-3.0-or-later
"""Greeting, keepalive, sign-in, devices and sessions."""

from typing import Annotated

from msgspec import Meta, Struct

from protocol import limits
from protocol.ids import DeviceId, SessionId, UserId
from protocol.messages.kinds import Count, Done, Message, Push, Reply, Request

Name = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_CHARS)]
Login = Annotated[str, Meta(min_length=1, max_length=limits.MAX_LOGIN_CHARS)]
Password = Annotated[str, Meta(max_length=limits.MAX_PASSWORD_CHARS)]
Token = Annotated[bytes, Meta(min_length=limits.MIN_TOKEN_BYTES, max_length=limits.MAX_TOKEN_BYTES)]
Capabilities = Annotated[
    tuple[Annotated[str, Meta(max_length=limits.MAX_KIND_CHARS)], ...],
    Meta(max_length=limits.MAX_CAPABILITIES),
]


class Hello(Message, frozen=True, tag="hello"):
    """The first frame of a client: what it speaks."""

    oldest_version: Count
    newest_version: Count
    capabilities: Capabilities = ()
    software: Annotated[str, Meta(max_length=limits.MAX_NAME_CHARS)] = ""
    """Program and version, for the administrator's list of sessions."""


class Welcome(Message, frozen=True, tag="welcome"):
    """The server's answer to Hello: what both will speak."""

    version: Count
    """The newest that both speak."""
    capabilities: Capabilities = ()
    """Those of the client's that the server has, too."""
    organisation: str = ""
    """Name of the organisation, for the sign-in window."""
    organisation_id: bytes = b""
    """Identity of the organisation: SHA-256 of its CA's public key."""
    epoch: bytes = b""
    """Changes when the server's store was replaced by an older one (restore): a client that sees a
    new value forgets its cursors and synchronises from the start."""
    server_time_ms: Count = 0
    """The server's clock, Unix milliseconds."""
    software: str = ""


class Ping(Message, frozen=True, tag="ping"):
    """Are you there? Answered by Pong at once; both directions."""


class Pong(Message, frozen=True, tag="pong"):
    """I am here."""


class Goodbye(Message, frozen=True, tag="goodbye"):
    """The sender closes the connection in order; both directions. Nothing follows it."""

    reason: str = ""
    """Empty, or one of ErrorCode."""
    sentence: str = ""
    reconnect_after_ms: Count = 0
    """When to come back, spread by the server so that not all clients return at once."""


class DeviceInfo(Struct, frozen=True, omit_defaults=True):
    """The computer from which someone signs in."""

    id: DeviceId
    """Made by the device at its first start."""
    name: Name
    """The computer's name."""
    kind: Annotated[str, Meta(max_length=limits.MAX_KIND_CHARS)] = "desktop"
    """``desktop``, ``phone``, ``cli`` or ``bot``."""
    platform: Annotated[str, Meta(max_length=limits.MAX_NAME_CHARS)] = ""


class Policy(Struct, frozen=True, omit_defaults=True):
    """The organisation's rules that a client shows or obeys."""

    edit_within_s: Count = 0
    """How long a message may be edited by its sender; 0: never."""
    recall_within_s: Count = 0
    """How long a message may be recalled by its sender; 0: never."""
    has_read_receipts: bool = True
    password_min_chars: Count = limits.MIN_PASSWORD_CHARS


class SignedIn(Reply, frozen=True, tag="signed_in"):
    """The session is open."""

    user: UserId
    session: SessionId
    name: str
    token: bytes = b""
    """For Resume; replaces any earlier one of this device. Empty when the old one stays valid, or when the
    server could store none; the next sign-in then takes the password again."""
    must_change_password: bool = False
    """Only ChangePassword and SignOut are allowed until the password is changed."""
    permissions: tuple[str, ...] = ()
    """What this user may do anywhere; rights within a part of the tree are not listed."""
    policy: Policy = Policy()
    server_time_ms: Count = 0


class SignIn(Request[SignedIn], frozen=True, tag="sign_in"):
    """Sign in with the account's password."""

    login: Login
    password: Password
    device: DeviceInfo


class Resume(Request[SignedIn], frozen=True, tag="resume"):
    """Sign in again from a device that has signed in before, without the password."""

    user: UserId
    device: DeviceInfo
    token: Token


class SignInByCertificate(Request[SignedIn], frozen=True, tag="sign_in_by_certificate"):
    """Sign in as the user and device that the TLS client certificate names."""

    device: DeviceInfo


class ChangePassword(Request[Done], frozen=True, tag="change_password"):
    """Set a new password; other devices stay signed in unless asked otherwise."""

    old: Password
    new: Password
    end_other_sessions: bool = False


class DeviceCertificate(Reply, frozen=True, tag="device_certificate"):
    """The device's certificate and the organisation's CA, both DER."""

    certificate: bytes
    authority: bytes
    not_after_ms: Count = 0


class EnrollDevice(Request[DeviceCertificate], frozen=True, tag="enroll_device"):
    """Ask for a certificate for this device's key; again, to renew it. The names in the request are
    ignored."""

    csr: Annotated[bytes, Meta(max_length=limits.MAX_CSR_BYTES)]
    """PKCS #10 certification request, DER (RFC 2986)."""


class Device(Struct, frozen=True, omit_defaults=True):
    """A device of a user, signed in now or able to return without a password."""

    id: DeviceId
    name: str
    kind: str
    platform: str = ""
    software: str = ""
    address: str = ""
    """Where it was last seen."""
    last_seen_ms: Count = 0
    created_ms: Count = 0
    is_online: bool = False
    is_this: bool = False
    certificate_not_after_ms: Count = 0


class Devices(Reply, frozen=True, tag="devices"):
    """Devices, latest first."""

    devices: tuple[Device, ...] = ()


class ListDevices(Request[Devices], frozen=True, tag="list_devices"):
    """My devices; or another user's, with the right to see them."""

    user: UserId | None = None


class RemoveDevice(Request[Done], frozen=True, tag="remove_device"):
    """End a device's session at once and revoke its token and certificate. Without a device: all of
    the user's."""

    device: DeviceId | None = None
    user: UserId | None = None
    """Whose; another user's with the right to."""
    except_this: bool = False
    """Spare the device that asks."""


class SignOut(Request[Done], frozen=True, tag="sign_out"):
    """End this session and forget this device's token and certificate."""


class SessionEnded(Push, frozen=True, tag="session_ended"):
    """This session is over; the connection closes after it and the token is void."""

    reason: str
    """One of ErrorCode: ``session_ended``, ``account_disabled``."""
    sentence: str = ""


class Behind(Push, frozen=True, tag="behind"):
    """Pushes were left out because this client read too slowly: synchronise now."""
