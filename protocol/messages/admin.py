# SPDX-License-Identifier: GPL-3.0-or-later
"""Administration: the directory as its keepers change it, roles, visibility, policy.

All changes of the directory go through one request that is carried out whole or not at all.
"""

import enum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from protocol import limits
from protocol.ids import ConversationId, DepartmentId, RoleId, UserId
from protocol.messages.kinds import Count, Done, Integer, Reply, Request
from protocol.messages.people import Field, Jpeg, PhotoDigest, Place
from protocol.messages.session import Login, Name, Password, Policy

Custom = Annotated[dict[Name, Field], Meta(max_length=limits.MAX_CUSTOM_FIELDS)]


class Permission(enum.StrEnum):
    """What a role may allow. Names are append-only; unknown ones allow nothing."""

    ADMIN_PEOPLE = "admin.people"
    """Create, change and disable people and departments."""
    ADMIN_ROLES = "admin.roles"
    """Define roles, give and take them, and set visibility rules."""
    ADMIN_POLICY = "admin.policy"
    """Change the organisation's policy."""
    ADMIN_SESSIONS = "admin.sessions"
    """See and end other people's sessions and devices."""
    SEE_EVERYONE = "people.see_all"
    """No visibility rule hides anybody from, or closes anybody to, the bearer."""
    CREATE_GROUPS = "chat.create_groups"
    """Create groups."""
    MENTION_ALL = "chat.mention_all"
    """Mention @all in groups where the bearer is neither owner nor admin, and in departments."""
    RECALL_ANY = "chat.recall_any"
    """Recall other people's messages, without a time limit."""


Permissions = Annotated[
    tuple[Annotated[str, Meta(max_length=limits.MAX_KIND_CHARS)], ...],
    Meta(max_length=limits.MAX_PERMISSIONS_PER_ROLE),
]


class Role(Struct, frozen=True, omit_defaults=True):
    """A named set of permissions."""

    id: RoleId
    name: Name
    permissions: Permissions = ()
    """Any of Permission."""
    is_for_everyone: bool = False
    """Held by everybody without being given."""


class RoleGrant(Struct, frozen=True, omit_defaults=True):
    """A role held by a person, everywhere or only over one subtree of departments."""

    user: UserId
    role: RoleId
    department: DepartmentId | None = None
    source: Field = ""
    """Which directory gave it; empty: given by hand. What was given by hand stays so."""


class Effect(enum.StrEnum):
    """What a visibility rule does to the people it is about."""

    ALLOW = "allow"
    """See them and write to them."""
    SEE_ONLY = "see_only"
    """See them; open no chat with them (they may open one, and then be answered)."""
    HIDE = "hide"
    """Neither see nor write to them."""


class VisibilityRule(Struct, frozen=True, omit_defaults=True):
    """For viewers and targets that match, the first rule in order decides; without a match: allow.

    Colleagues of the same department always see each other; nobody is hidden from themselves.
    """

    viewers: DepartmentId | None = None
    """Viewers in this subtree; None: everybody."""
    viewers_role: RoleId | None = None
    """Viewers who hold this role."""
    targets: DepartmentId | None = None
    """Targets in this subtree; None: everybody."""
    targets_role: RoleId | None = None
    """Targets who hold this role."""
    effect: Effect = Effect.ALLOW
    spares_insiders: bool = True
    """The rule does not apply to viewers who are themselves among its targets."""


class PutDepartment(Struct, frozen=True, omit_defaults=True, tag_field="k", tag="put_department"):
    """Create a department or set all its fields."""

    id: DepartmentId
    name: Name
    parent: DepartmentId | None = None
    other_name: Field = ""
    order: Integer = 0
    has_conversation: bool = False
    source: Field = ""
    """Which directory it comes from; empty: kept by hand."""
    anchor: Field = ""
    """Its immutable id in that directory."""


class RemoveDepartment(Struct, frozen=True, tag_field="k", tag="remove_department"):
    """Remove a department in which nobody sits and below which nothing is."""

    id: DepartmentId


class PutPerson(Struct, frozen=True, omit_defaults=True, tag_field="k", tag="put_person"):
    """Create a person or set all fields of the person."""

    id: UserId
    login: Login
    name: Name
    other_name: Field = ""
    sort_key: Field = ""
    email: Field = ""
    phone: Field = ""
    places: Annotated[tuple[Place, ...], Meta(max_length=limits.MAX_PLACES_PER_PERSON)] = ()
    custom: Custom = {}
    is_disabled: bool = False
    """Closed by an administrator of Lanyard. True ends the person's sessions at once."""
    is_bot: bool = False
    source: Field = ""
    anchor: Field = ""
    manager: UserId | None = None
    """To whom the person reports."""
    is_off_at_source: bool = False
    """Closed because the directory says so. The account is closed when either of the two is true."""
    photo: PhotoDigest = b""
    """The digest of the photo. Not looked at in a change: PutPhoto sets it."""


class PutPhoto(Struct, frozen=True, omit_defaults=True, tag_field="k", tag="put_photo"):
    """Set a person's photo; without ``jpeg``, remove it."""

    user: UserId
    digest: PhotoDigest = b""
    """SHA-256 of the photo as its source holds it, so that a source can tell whether it has changed."""
    jpeg: Jpeg = b""


class RemovePerson(Struct, frozen=True, tag_field="k", tag="remove_person"):
    """Remove a person who never signed in and to whom no conversation, grant, group or other person
    refers."""

    id: UserId


class PutGroup(Struct, frozen=True, omit_defaults=True, tag_field="k", tag="put_group"):
    """Create a group whose members follow a directory, or set all its fields."""

    id: ConversationId
    """Of the group's conversation."""
    name: Name
    members: Annotated[tuple[UserId, ...], Meta(max_length=limits.MAX_GROUP_MEMBERS)] = ()
    source: Field = ""
    anchor: Field = ""


class RemoveGroup(Struct, frozen=True, tag_field="k", tag="remove_group"):
    """Remove a group that follows a directory: everybody leaves its conversation."""

    id: ConversationId


class SetPassword(Struct, frozen=True, omit_defaults=True, tag_field="k", tag="set_password"):
    """Set a person's password; with ``must_change``, a one-time password."""

    user: UserId
    password: Password
    must_change: bool = True


class PutRole(Struct, frozen=True, tag_field="k", tag="put_role"):
    """Create a role or set all its fields."""

    role: Role


class RemoveRole(Struct, frozen=True, tag_field="k", tag="remove_role"):
    """Remove a role and all its grants."""

    id: RoleId


class GrantRole(Struct, frozen=True, tag_field="k", tag="grant_role"):
    """Give a role."""

    grant: RoleGrant


class RevokeRole(Struct, frozen=True, tag_field="k", tag="revoke_role"):
    """Take a role back."""

    grant: RoleGrant


class SetVisibility(Struct, frozen=True, tag_field="k", tag="set_visibility"):
    """Replace the visibility rules."""

    rules: Annotated[tuple[VisibilityRule, ...], Meta(max_length=limits.MAX_VISIBILITY_RULES)]


DirectoryChange: TypeAlias = (
    PutDepartment
    | RemoveDepartment
    | PutPerson
    | SetPassword
    | PutRole
    | RemoveRole
    | GrantRole
    | RevokeRole
    | SetVisibility
    | PutPhoto
    | RemovePerson
    | PutGroup
    | RemoveGroup
)


class DirectoryChanged(Reply, frozen=True, tag="directory_changed"):
    """The changes are durable (or, in a trial, would be)."""

    version: Count
    """The directory's version after them."""
    created: Count = 0
    changed: Count = 0
    unchanged: Count = 0
    ended_sessions: Count = 0


class ChangeDirectory(Request[DirectoryChanged], frozen=True, tag="change_directory"):
    """Carry out changes in order, all or none."""

    changes: Annotated[tuple[DirectoryChange, ...], Meta(max_length=limits.MAX_CHANGES_PER_REQUEST)]
    expected_version: Count | None = None
    """Refuse with ``conflict`` when the directory is at another version."""
    is_trial: bool = False
    """Check everything, change nothing."""


class AdminPerson(Struct, frozen=True, omit_defaults=True):
    """A person with what only administrators see."""

    person: PutPerson
    has_password: bool = False
    must_change_password: bool = False
    last_seen_ms: Count = 0
    device_count: Count = 0


class AdminDirectory(Reply, frozen=True, tag="admin_directory"):
    """The directory as administrators see it, page by page."""

    version: Count
    people: tuple[AdminPerson, ...] = ()
    departments: tuple[PutDepartment, ...] = ()
    """With the first page."""
    roles: tuple[Role, ...] = ()
    """With the first page."""
    grants: tuple[RoleGrant, ...] = ()
    """With the first page."""
    rules: tuple[VisibilityRule, ...] = ()
    """With the first page."""
    after: UserId | None = None
    """Not None: ask again with it for the next page."""
    groups: tuple[PutGroup, ...] = ()
    """With the first page."""


class GetAdminDirectory(Request[AdminDirectory], frozen=True, tag="get_admin_directory"):
    """Everything about the directory."""

    after: UserId | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_ADMIN_PAGE)] = 2_000


class ServerStatus(Reply, frozen=True, tag="server_status"):
    """How the server is."""

    software: str
    started_ms: Count
    now_ms: Count
    sessions: Count
    """Signed-in connections."""
    users_online: Count
    people: Count
    events: Count
    """Events stored since the beginning."""
    store_bytes: Count
    directory_version: Count


class GetServerStatus(Request[ServerStatus], frozen=True, tag="get_server_status"):
    """How the server is."""


class SetPolicy(Request[Done], frozen=True, tag="set_policy"):
    """Replace the organisation's policy."""

    policy: Policy
