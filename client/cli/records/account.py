# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of servers, the account, its devices, and of commands that were carried out or failed."""

from client.cli.records.record import Record, Who
from client.cli.show import rfc3339
from client.core.discovery import FoundServer
from protocol.ids import format_id
from protocol.messages import session as wire


class ServerRecord(Record, frozen=True, tag="server"):
    """A server that was found on the network."""

    address: str
    name: str
    source: str
    """How it was found: dns or network."""

    @classmethod
    def of(cls, server: FoundServer) -> "ServerRecord":
        """The record of a server that was found."""
        return cls(server.address, server.name, server.source)


class AccountRecord(Record, frozen=True, tag="account"):
    """Who is signed in."""

    user: Who
    device: str
    organisation: str
    server: str
    permissions: tuple[str, ...]


class StatusRecord(Record, frozen=True, tag="status"):
    """How things stand."""

    phase: str
    """connected, syncing, connecting, offline, signed_out, must_change_password, untrusted or stopped."""
    reason: str
    """Why it is so: an error code, or empty."""
    sentence: str
    """The same for people."""
    server: str
    organisation: str
    user: Who | None
    device: str | None
    permissions: tuple[str, ...]
    chats: int
    unread: int
    mentions: int
    queued: int
    failed: int
    clock_ahead_s: float
    """By how much this computer's clock is ahead of the server's."""
    profile: str
    """The folder of the local data."""


class DeviceRecord(Record, frozen=True, tag="device"):
    """A device that is signed in or may return without a password."""

    id: str
    name: str
    kind: str
    platform: str
    software: str
    address: str
    last_seen: str | None
    created: str | None
    is_online: bool
    is_this: bool
    certificate_until: str | None

    @classmethod
    def of(cls, device: wire.Device) -> "DeviceRecord":
        """The record of a device."""
        return cls(
            id=format_id(device.id),
            name=device.name,
            kind=device.kind,
            platform=device.platform,
            software=device.software,
            address=device.address,
            last_seen=rfc3339(device.last_seen_ms),
            created=rfc3339(device.created_ms),
            is_online=device.is_online,
            is_this=device.is_this,
            certificate_until=rfc3339(device.certificate_not_after_ms),
        )


class DoneRecord(Record, frozen=True, tag="done"):
    """A command was carried out that has nothing else to tell."""

    command: str
    """Its words, such as ``group rename``."""
    id: str | None
    """Of what was made or changed, where that has an id."""


class ErrorRecord(Record, frozen=True, tag="error"):
    """On standard error: why the command failed."""

    exit_code: int
    kind: str
    """The name of the exit code in lower case, such as not_found."""
    sentence: str
    candidates: tuple[str, ...]
    """With not_found: what may have been meant."""


class NoteRecord(Record, frozen=True, tag="note"):
    """On standard error: something about the command that is no failure."""

    sentence: str
