# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of administration: the server, accounts, roles, visibility rules, policy."""

import msgspec

from client.cli.records.record import Record, Who
from client.cli.show import rfc3339
from protocol.messages import admin as wire
from protocol.messages.session import Policy


class ServerStatusRecord(Record, frozen=True, tag="server_status"):
    """How the server is."""

    software: str
    started: str | None
    now: str | None
    sessions: int
    """Signed-in connections."""
    users_online: int
    people: int
    events: int
    """Events stored since the beginning."""
    store_bytes: int
    directory_version: int

    @classmethod
    def of(cls, status: wire.ServerStatus) -> "ServerStatusRecord":
        """The record of a server's status."""
        return cls(
            software=status.software,
            started=rfc3339(status.started_ms),
            now=rfc3339(status.now_ms),
            sessions=status.sessions,
            users_online=status.users_online,
            people=status.people,
            events=status.events,
            store_bytes=status.store_bytes,
            directory_version=status.directory_version,
        )


class SeatRecord(msgspec.Struct, frozen=True):
    """A seat in a department."""

    path: str
    """The department's names from the top, joined by slashes."""
    title: str
    order: int
    is_head: bool


class GrantRecord(msgspec.Struct, frozen=True):
    """A role that somebody was given."""

    role: str
    department: str | None
    """Its path; null: everywhere."""


class UserRecord(Record, frozen=True, tag="user"):
    """A person with what only administrators see."""

    id: str
    login: str
    name: str
    other_name: str
    sort_key: str
    email: str
    phone: str
    departments: tuple[SeatRecord, ...]
    roles: tuple[GrantRecord, ...]
    custom: dict[str, str]
    source: str
    """Which directory keeps the person; empty: kept by hand."""
    is_disabled: bool
    is_bot: bool
    has_password: bool
    must_change_password: bool
    last_seen: str | None
    device_count: int


class BranchRecord(Record, frozen=True, tag="admin_department"):
    """A department with what only administrators see."""

    id: str
    path: str
    order: int
    people: int
    """Who sit directly in it."""
    has_conversation: bool
    source: str


class HolderRecord(msgspec.Struct, frozen=True):
    """Somebody who was given a role."""

    user: Who
    department: str | None
    """Path of the department over which it holds; null: everywhere."""


class RoleRecord(Record, frozen=True, tag="role"):
    """A role, what it allows, and who holds it."""

    id: str
    name: str
    permissions: tuple[str, ...]
    is_for_everyone: bool
    holders: tuple[HolderRecord, ...]


class RuleRecord(Record, frozen=True, tag="rule"):
    """A visibility rule. The first that fits a viewer and a target decides."""

    position: int
    """From 1."""
    viewers: str | None
    """Path of the department whose people it is about; null: everybody."""
    viewers_role: str | None
    targets: str | None
    targets_role: str | None
    effect: str
    """allow, see_only or hide."""
    spares_insiders: bool


class PolicyRecord(Record, frozen=True, tag="policy"):
    """The organisation's policy."""

    edit_within_s: int
    """How long a message may be edited; 0: never."""
    recall_within_s: int
    has_read_receipts: bool
    password_min_chars: int

    @classmethod
    def of(cls, policy: Policy) -> "PolicyRecord":
        """The record of a policy."""
        return cls(
            policy.edit_within_s,
            policy.recall_within_s,
            policy.has_read_receipts,
            policy.password_min_chars,
        )


class PasswordRecord(Record, frozen=True, tag="one_time_password"):
    """A password that was made up; shown only now."""

    login: str
    id: str
    password: str


class DirectoryChangedRecord(Record, frozen=True, tag="directory_changed"):
    """The directory was changed."""

    command: str
    """Its words, such as ``admin user set``."""
    id: str | None
    """Of what was made or changed, where that has an id."""
    version: int
    """The directory's version now."""
    ended_sessions: int
