# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of the server, declared once: type, default, unit, meaning. The file, its check and
the manual are made from this (config_file.py)."""

import enum
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from protocol import limits
from protocol.version import DEFAULT_PORT

EVERYWHERE: Final = "*"
"""In ``listen.addresses``: all IPv4 and IPv6 addresses of the machine."""

_RESTART: Final = {"needs_restart": True}

Port: TypeAlias = Annotated[int, Meta(ge=0, le=65535)]
Names: TypeAlias = tuple[str, ...]


class LogLevel(enum.StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How a log line looks."""

    TEXT = "text"
    JSON = "json"


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of config.toml."""


class OrganisationSection(Section, frozen=True):
    """The organisation as people see it."""

    name: Annotated[
        str,
        Meta(
            max_length=limits.MAX_NAME_CHARS,
            description="Name of the organisation, shown before sign-in and when the server is announced in the network.",
            examples=["Example Ltd"],
        ),
    ] = "Lanyard"


class ListenSection(Section, frozen=True):
    """Where clients connect."""

    addresses: Annotated[
        Names,
        Meta(
            min_length=1,
            description='Addresses of this machine on which to listen; "*" is all of them, IPv4 and IPv6.',
            examples=[["192.0.2.10", "2001:db8::10"]],
            extra=_RESTART,
        ),
    ] = (EVERYWHERE,)
    port: Annotated[
        Port,
        Meta(
            description="TCP port. 0 takes any free one; the ready line says which.",
            examples=[443],
            extra=_RESTART,
        ),
    ] = DEFAULT_PORT
    announce: Annotated[
        bool,
        Meta(
            description="Announce the server in the local network (mDNS), so that clients find it without an address.",
            extra=_RESTART,
        ),
    ] = True


class CertificateSection(Section, frozen=True):
    """How long certificates last, and under which names clients reach the server."""

    names: Annotated[
        Names,
        Meta(
            description="All host names and IP addresses under which clients reach this server. "
            "After a change the certificate is renewed by itself; clients need nothing.",
            examples=[["chat.example.com", "192.0.2.10"]],
        ),
    ] = ()
    server_days: Annotated[
        int,
        Meta(
            ge=2,
            le=3650,
            description="Lifetime of the server's certificate. It is renewed when a third of it is left.",
            extra_json_schema={"unit": "days"},
        ),
    ] = 365
    device_days: Annotated[
        int,
        Meta(
            ge=1,
            le=365,
            description="Lifetime of a device's certificate; devices in use renew theirs. "
            "After that a device has to sign in with its token or the password.",
            extra_json_schema={"unit": "days"},
        ),
    ] = 30


class StoreSection(Section, frozen=True):
    """Where everything is kept."""

    url: Annotated[
        str,
        Meta(
            description="The database: sqlite: and a file, relative to this folder.",
            examples=["sqlite:/var/lib/lanyard/lanyard.db"],
            extra=_RESTART,
        ),
    ] = "sqlite:lanyard.db"
    backup_folder: Annotated[
        str,
        Meta(
            description="Where the backup command puts its files when it is given no place; relative to this folder.",
            examples=["/mnt/backup/lanyard"],
        ),
    ] = "backups"


class LimitsSection(Section, frozen=True):
    """What the server takes on."""

    connections: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections at the same time. Each needs one file descriptor of the process (LimitNOFILE=).",
        ),
    ] = 12_000
    connections_per_address: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections from one IP address; raise it when many people come through one gateway (NAT, terminal server).",
        ),
    ] = 1_000
    posts_per_s: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Messages, edits and reactions that one user may post a second in the long run; "
            "raise it for programs that report a lot.",
        ),
    ] = 20
    posts_at_once: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="How many one user may post at once after a pause, such as what was written without a network.",
        ),
    ] = 300


class SignInSection(Section, frozen=True):
    """Passwords and how long a device may return without one."""

    password_min_chars: Annotated[
        int,
        Meta(
            ge=1,
            le=128,
            description="Shortest password that people may choose. Applies to new passwords.",
            extra_json_schema={"unit": "characters"},
        ),
    ] = limits.MIN_PASSWORD_CHARS
    token_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3650,
            description="How long a device that was not used may still return without the password.",
            extra_json_schema={"unit": "days"},
        ),
    ] = 90


class PolicySection(Section, frozen=True):
    """Rules of conversations; they hold until an administrator sets others in the program."""

    edit_within_s: Annotated[
        int,
        Meta(
            ge=0,
            description="How long people may edit a message they sent; 0: never.",
            extra_json_schema={"unit": "seconds"},
        ),
    ] = 24 * 60 * 60
    recall_within_s: Annotated[
        int,
        Meta(
            ge=0,
            description="How long people may recall a message they sent; 0: never.",
            extra_json_schema={"unit": "seconds"},
        ),
    ] = 2 * 60 * 60
    has_read_receipts: Annotated[
        bool, Meta(description="Whether senders see who has read their messages.")
    ] = True


class LogSection(Section, frozen=True):
    """The log, on standard error."""

    level: Annotated[
        LogLevel,
        Meta(description="How much is logged. Message texts, passwords and keys never are."),
    ] = LogLevel.INFO
    format: Annotated[
        LogFormat, Meta(description="text for people, json (one object per line) for programs.")
    ] = LogFormat.TEXT


class ControlSection(Section, frozen=True):
    """How the commands reach the running server."""

    socket: Annotated[
        str,
        Meta(
            description="Unix socket for the commands of lanyard-server, relative to this folder. "
            "Only the user who runs the server gets in. At most 100 characters in all.",
            extra=_RESTART,
        ),
    ] = "control.sock"


class LdapSection(Section, frozen=True):
    """A directory (LDAP, Active Directory) that lanyard-ldapsync reads, under its name there: [directory.NAME] in the file named
    here says how it is reached and who its people are."""

    file: Annotated[
        str,
        Meta(
            description="Configuration of lanyard-ldapsync, relative to this folder.",
            extra=_RESTART,
        ),
    ] = "ldapsync.toml"
    sign_in: Annotated[
        bool,
        Meta(
            description="Whether people from it sign in with their password there.", extra=_RESTART
        ),
    ] = True
    cache_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=24 * 7,
            description="How long a password that was right opens again while the directory is away; 0: never. "
            "Who loses access there meanwhile still gets in.",
            extra_json_schema={"unit": "hours"},
            extra=_RESTART,
        ),
    ] = 0
    every_minutes: Annotated[
        int,
        Meta(
            ge=0,
            le=24 * 60,
            description="How often the server brings people in step, by lanyard-ldapsync apply; 0: never. "
            "The file must name this folder in [server].",
            extra_json_schema={"unit": "minutes"},
            extra=_RESTART,
        ),
    ] = 0


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """config.toml."""

    organisation: OrganisationSection = OrganisationSection()
    listen: ListenSection = ListenSection()
    certificate: CertificateSection = CertificateSection()
    store: StoreSection = StoreSection()
    limits: LimitsSection = LimitsSection()
    sign_in: SignInSection = SignInSection()
    policy: PolicySection = PolicySection()
    log: LogSection = LogSection()
    control: ControlSection = ControlSection()
    ldap: dict[str, LdapSection] = {}


LDAP: Final = "ldap"
"""Sections named [ldap.NAME], any number of them."""


class Option(Struct, frozen=True):
    """One option, as the file and the manual describe it."""

    section: str
    name: str
    kind: str
    default: object
    meaning: str
    unit: str
    example: object
    needs_restart: bool

    @property
    def full_name(self) -> str:
        """As messages name it: ``listen.port``."""
        return f"{self.section}.{self.name}"


class Change(Struct, frozen=True):
    """An option whose value is another than before."""

    option: Option
    before: object
    after: object


def sections() -> Iterator[tuple[str, str, tuple[Option, ...]]]:
    """Name, meaning and options of each section that is there once."""
    for field in msgspec.structs.fields(Config):
        if field.name == LDAP:
            continue
        meaning = (field.type.__doc__ or "").strip()
        yield field.name, meaning, tuple(_options(field.name, field.type))


def ldap_options(name: str) -> tuple[Option, ...]:
    """The options of [ldap.NAME]."""
    return tuple(_options(f"{LDAP}.{name}", LdapSection))


def differences(before: Config, after: Config) -> tuple[Change, ...]:
    """The options that have another value."""
    found = []
    for section, _, options in sections():
        for option in options:
            old = getattr(getattr(before, section), option.name)
            new = getattr(getattr(after, section), option.name)
            if old != new:
                found.append(Change(option, old, new))
    for name in sorted(before.ldap.keys() | after.ldap.keys()):
        earlier, later = before.ldap.get(name), after.ldap.get(name)
        for option in ldap_options(name):
            old, new = getattr(earlier, option.name, None), getattr(later, option.name, None)
            if old != new:
                found.append(Change(option, old, new))
    return tuple(found)


def _options(section: str, kind: type[Section]) -> Iterator[Option]:
    for field in msgspec.structs.fields(kind):
        meta = _metadata(field.type)
        schema = meta.extra_json_schema or {}
        yield Option(
            section,
            field.name,
            _kind_of(field.default),
            field.default,
            meta.description or "",
            str(schema.get("unit", "")),
            meta.examples[0] if meta.examples else None,
            bool((meta.extra or {}).get("needs_restart", False)),
        )


def _metadata(annotated: Any) -> Meta:
    """The part of an annotation that describes the option; the rest only bounds it."""
    found = [meta for meta in annotated.__metadata__ if isinstance(meta, Meta)]
    return next(meta for meta in found if meta.description)


def _kind_of(default: object) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return "whole number"
    return "list of texts" if isinstance(default, tuple) else "text"
