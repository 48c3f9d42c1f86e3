# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of ldapsync.toml, declared once: type, default, unit, meaning. The file is read, and the manual made, in config_file.py;
what a kind of directory brings along stands in presets.py."""

import enum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from protocol import limits

Names: TypeAlias = tuple[str, ...]
Seconds = Annotated[int, Meta(ge=1, le=3600)]
DirectoryName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]*$", max_length=40)]

_SECONDS: Final = {"unit": "seconds"}


class Kind(enum.StrEnum):
    """What a directory is; it decides the defaults of all options below it."""

    ACTIVE_DIRECTORY = "active_directory"
    SAMBA = "samba"
    OPENLDAP = "openldap"
    DS389 = "389ds"
    FREEIPA = "freeipa"


class Security(enum.StrEnum):
    """How the connection is protected."""

    CHECKED = "checked"
    """TLS, by ldaps:// or by StartTLS on ldap://, and the certificate is checked."""
    UNCHECKED = "unchecked"
    """TLS with whoever answers: protects from listeners, not from impostors."""
    PLAIN = "plain"
    """No TLS. Passwords travel readable."""


class BindMethod(enum.StrEnum):
    """How ldapsync shows who it is."""

    SIMPLE = "simple"
    EXTERNAL = "external"
    """By the certificate of certificate_file, or by the user of an ldapi:// socket."""
    KERBEROS = "kerberos"
    """By the ticket of the user who runs ldapsync (GSSAPI)."""
    ANONYMOUS = "anonymous"


class Scope(enum.StrEnum):
    """How deep below a base to look."""

    SUBTREE = "subtree"
    ONE_LEVEL = "one_level"


class DepartmentSource(enum.StrEnum):
    """Where departments come from."""

    OU_TREE = "ou_tree"
    ATTRIBUTE = "attribute"
    GROUPS = "groups"


class UniqueField(enum.StrEnum):
    """What can be asked to be somebody's own."""

    LOGIN = "login"
    EMAIL = "email"


class OffSign(enum.StrEnum):
    """Signs by which a directory says that somebody has no access."""

    USER_ACCOUNT_CONTROL = "userAccountControl"
    ACCOUNT_EXPIRES = "accountExpires"
    NS_ACCOUNT_LOCK = "nsAccountLock"
    PWD_ACCOUNT_LOCKED = "pwdAccountLockedTime"  # noqa: S105 - the name of an attribute
    SHADOW_EXPIRE = "shadowExpire"


class FollowMethod(enum.StrEnum):
    """How watch learns that something changed."""

    SYNCREPL = "syncrepl"
    MODIFY_TIMESTAMP = "modify_timestamp"
    DIRSYNC = "dirsync"
    USN = "usn"
    FULL = "full"
    """By full reads alone."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of ldapsync.toml."""


class Password(Section, frozen=True):
    """Where a password is kept; never the password itself."""

    password_file: Annotated[
        str, Meta(description="File whose first line is the password; readable by its owner only.")
    ] = ""
    password_env: Annotated[
        str, Meta(description="Environment variable that holds the password.")
    ] = ""
    password_keyring: Annotated[
        str,
        Meta(
            description="Entry of the system's keyring, as service/user.",
            examples=["lanyard/ldap-reader"],
        ),
    ] = ""


class ServerConfig(Password, frozen=True):
    """The Lanyard server."""

    address: Annotated[
        str, Meta(description="Host name or IP address, with :port when it is not the usual one.")
    ] = ""
    fingerprint: Annotated[
        str, Meta(description="Fingerprint of the organisation, as lanyard-server prints it.")
    ] = ""
    login: Annotated[
        str,
        Meta(description="Login of an administrator (admin.people, and admin.roles for roles)."),
    ] = ""
    folder: Annotated[
        str,
        Meta(description="Instead of all these, on the server itself: the organisation's folder."),
    ] = ""


class Limit(Section, frozen=True):
    """A guard stops a run with more changes of a kind than both of these."""

    count: Annotated[int, Meta(ge=0, description="Changes of this kind that always pass.")] = 0
    percent: Annotated[
        float, Meta(ge=0, le=100, description="Per cent of what the source has that always pass.")
    ] = 0.0


class Guards(Section, frozen=True):
    """How much one run may change without being asked. `--allow KIND=N` lifts a guard once."""

    create: Annotated[Limit, Meta(description="New people.")] = Limit(100_000, 100.0)
    update: Annotated[Limit, Meta(description="People whose fields change.")] = Limit(50, 20.0)
    move: Annotated[Limit, Meta(description="People who change departments.")] = Limit(50, 20.0)
    disable: Annotated[Limit, Meta(description="People who lose access.")] = Limit(5, 2.0)
    remove_department: Annotated[Limit, Meta(description="Departments that go.")] = Limit(2, 5.0)
    remove_group: Annotated[Limit, Meta(description="Groups that go.")] = Limit(2, 5.0)
    remove_member: Annotated[Limit, Meta(description="Memberships that end.")] = Limit(50, 20.0)
    grant_role: Annotated[
        Limit, Meta(description="Roles with rights of administrators that are given.")
    ] = Limit(0, 0.0)
    set_aside: Annotated[Limit, Meta(description="Entries that can't be taken.")] = Limit(20, 2.0)


class Access(Password, frozen=True):
    """How a directory is reached. The server's sign-in by bind is configured with the same words."""

    servers: Annotated[
        Names,
        Meta(
            min_length=1,
            description="Servers of the directory, tried in order: ldaps://host, ldap://host (StartTLS) or ldapi:// with a socket's path.",
            examples=[["ldaps://dc1.example.com", "ldaps://dc2.example.com"]],
        ),
    ] = ()
    security: Annotated[
        Security,
        Meta(description="checked: TLS and the certificate is checked; unchecked; plain: no TLS."),
    ] = Security.CHECKED
    ca_file: Annotated[
        str,
        Meta(
            description="Certificates (PEM) of the authorities that are trusted; empty: the system's."
        ),
    ] = ""
    server_name: Annotated[
        str,
        Meta(description="Name that the certificate must bear when it is not the one in servers."),
    ] = ""
    certificate_file: Annotated[
        str, Meta(description="Own certificate (PEM), for bind_method external.")
    ] = ""
    key_file: Annotated[
        str, Meta(description="Its private key (PEM), when it stands in a file of its own.")
    ] = ""
    bind_method: Annotated[
        BindMethod, Meta(description="simple (name and password), external, kerberos, anonymous.")
    ] = BindMethod.SIMPLE
    bind_user: Annotated[
        str,
        Meta(
            description="Name of the account that reads: a DN; with Active Directory also user@domain.",
            examples=["cn=reader,dc=example,dc=com"],
        ),
    ] = ""
    connect_timeout_s: Annotated[
        Seconds,
        Meta(description="Until a server counts as unreachable.", extra_json_schema=_SECONDS),
    ] = 5
    answer_timeout_s: Annotated[
        Seconds,
        Meta(description="Silence until an answer counts as lost.", extra_json_schema=_SECONDS),
    ] = 60


class PeopleConfig(Section, frozen=True):
    """Who the people are, and what of them comes from which attribute.

    Lists of attributes are tried in order: the first that an entry has wins. A text with braces is put
    together: "{sn}{givenName}". Attributes may carry a language: "sn;lang-en".
    """

    bases: Annotated[Names, Meta(description="DNs below which people are; empty: base.")] = ()
    scope: Annotated[Scope, Meta(description="subtree, or one_level.")] = Scope.SUBTREE
    filter: Annotated[str, Meta(description="LDAP filter for people.")] = "(objectClass=person)"
    anchor: Annotated[
        str,
        Meta(description="Attribute with the immutable id; never a name, mail address or DN."),
    ] = "entryUUID"
    login: Annotated[Names, Meta(description="What people sign in with.")] = ("uid",)
    name: Annotated[Names, Meta(description="Name as colleagues see it.")] = ("displayName", "cn")
    other_name: Annotated[Names, Meta(description="Name in another script or language.")] = ()
    sort_key: Annotated[Names, Meta(description="Phonetic name, for sorting and typing.")] = ()
    email: Annotated[Names, Meta(description="Mail address.")] = ("mail",)
    phone: Annotated[Names, Meta(description="Telephone number.")] = ("telephoneNumber", "mobile")
    title: Annotated[Names, Meta(description="Title, in each of the person's departments.")] = (
        "title",
    )
    order: Annotated[Names, Meta(description="Number by which a department lists people.")] = ()
    manager: Annotated[str, Meta(description="DN of the manager; empty: not read.")] = "manager"
    photo: Annotated[str, Meta(description="Portrait; empty: not read.")] = ""
    custom: Annotated[
        dict[str, Names],
        Meta(
            max_length=limits.MAX_CUSTOM_FIELDS,
            description="Further fields by their name.",
            examples=[{"Room": ["roomNumber"]}],
        ),
    ] = {}
    unique: Annotated[
        tuple[UniqueField, ...],
        Meta(
            description="What no two people may have in common, login and email; whoever does is set aside until it is settled."
            " Without email people may share a mailbox."
        ),
    ] = (UniqueField.LOGIN, UniqueField.EMAIL)
    off: Annotated[
        tuple[OffSign, ...],
        Meta(description="Signs of an account without access that count."),
    ] = ()
    off_when: Annotated[
        dict[str, Names],
        Meta(
            description="Further signs: an attribute and the values that mean no access.",
            examples=[{"employeeType": ["left"]}],
        ),
    ] = {}


class DepartmentsConfig(Section, frozen=True):
    """Where departments come from; several sources at once are possible."""

    sources: Annotated[
        tuple[DepartmentSource, ...], Meta(description="Any of ou_tree, attribute, groups.")
    ] = (DepartmentSource.OU_TREE,)
    bases: Annotated[
        Names, Meta(description="DNs below which units are; empty: people.bases.")
    ] = ()
    filter: Annotated[str, Meta(description="LDAP filter for units of the tree.")] = (
        "(objectClass=organizationalUnit)"
    )
    anchor: Annotated[str, Meta(description="Immutable id of a unit; empty: that of people.")] = ""
    name: Annotated[Names, Meta(description="Name of a unit.")] = ("ou",)
    other_name: Annotated[Names, Meta(description="Its name in another language.")] = ()
    order: Annotated[Names, Meta(description="Number by which units are listed.")] = ()
    has_bases: Annotated[bool, Meta(description="Whether a base is itself a department.")] = False
    leave_out: Annotated[
        Names,
        Meta(
            description="DNs of units that are no departments; what is below them moves up.",
            examples=[["ou=Users,ou=Berlin,dc=example,dc=com"]],
        ),
    ] = ()
    attribute: Annotated[
        str, Meta(description="For attribute: where people name their department.")
    ] = "departmentNumber"
    separator: Annotated[
        str,
        Meta(description='What separates levels in it, such as "/"; empty: one level.'),
    ] = ""
    group_bases: Annotated[Names, Meta(description="For groups: DNs below which they are.")] = ()
    group_filter: Annotated[str, Meta(description="For groups: which are departments.")] = ""
    has_conversation: Annotated[
        bool, Meta(description="Whether each department gets a conversation.")
    ] = False


class GroupsConfig(Section, frozen=True):
    """Which groups of the directory become Lanyard groups, and how members are found. Nested groups are resolved."""

    bases: Annotated[Names, Meta(description="DNs below which groups are; empty: base.")] = ()
    filter: Annotated[
        str,
        Meta(
            description="Which become Lanyard groups; empty: none. All groups are read to resolve nesting."
        ),
    ] = ""
    kinds: Annotated[str, Meta(description="LDAP filter for all groups.")] = (
        "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
    )
    anchor: Annotated[str, Meta(description="Immutable id of a group; empty: that of people.")] = ""
    name: Annotated[Names, Meta(description="Name of a group.")] = ("cn",)
    member: Annotated[
        Names, Meta(description="Attributes with members; memberUid holds logins, others DNs.")
    ] = ("member", "uniqueMember", "memberUid")


class RoleRule(Section, frozen=True):
    """Members of a group hold a role."""

    group: Annotated[str, Meta(description="DN of the group.")]
    role: Annotated[str, Meta(description="Name of the role at the server.")]
    department: Annotated[
        str, Meta(description="DN of the unit over which the role is held; empty: everywhere.")
    ] = ""


class DirectoryConfig(Access, frozen=True):
    """One directory. People are known by its name and their immutable id: don't rename it."""

    name: DirectoryName = ""
    """From the table's header."""
    kind: Annotated[
        Kind, Meta(description="What it is: active_directory, samba, openldap, 389ds, freeipa.")
    ] = Kind.OPENLDAP
    base: Annotated[
        str,
        Meta(description="DN below which everything is.", examples=["dc=example,dc=com"]),
    ] = ""
    page_size: Annotated[
        int, Meta(ge=10, le=10_000, description="Entries per page; servers cap it, often at 1000.")
    ] = 500
    has_referrals: Annotated[
        bool,
        Meta(
            description="Parts of the tree that other servers hold may be missing; else a run stops at them."
        ),
    ] = False
    may_be_empty: Annotated[
        bool, Meta(description="Nobody found below a base is not an error.")
    ] = False
    follow: Annotated[
        FollowMethod,
        Meta(description="How watch follows: syncrepl, modify_timestamp, dirsync, usn, full."),
    ] = FollowMethod.SYNCREPL
    poll_every_s: Annotated[
        Seconds,
        Meta(description="How often watch asks when it has to ask.", extra_json_schema=_SECONDS),
    ] = 2
    full_every_minutes: Annotated[
        int,
        Meta(
            ge=1,
            le=7 * 24 * 60,
            description="How often watch reads everything.",
            extra_json_schema={"unit": "minutes"},
        ),
    ] = 24 * 60
    people: PeopleConfig = PeopleConfig()
    departments: DepartmentsConfig = DepartmentsConfig()
    groups: GroupsConfig = GroupsConfig()
    roles: tuple[RoleRule, ...] = ()

    @property
    def people_bases(self) -> Names:
        """Where people are."""
        return self.people.bases or (self.base,)

    @property
    def unit_bases(self) -> Names:
        """Where units of the tree are."""
        return self.departments.bases or self.people_bases

    @property
    def group_bases(self) -> Names:
        """Where groups are."""
        return self.groups.bases or (self.base,)


class Config(Struct, frozen=True):
    """All of ldapsync.toml."""

    server: ServerConfig = ServerConfig()
    guards: Guards = Guards()
    directories: dict[str, DirectoryConfig] = {}
    path: Path = Path()
    """Where it was read."""
