# SPDX-License-Identifier: GPL-3.0-or-later
"""A first ldapsync.toml for a directory that was asked what it is, and a few people as they would arrive."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct, structs

from ldapsync import passwords, vendors
from ldapsync.config import (
    Access,
    BindMethod,
    DepartmentSource,
    DirectoryConfig,
    FollowMethod,
    Kind,
)
from ldapsync.config_file import commented, quoted
from ldapsync.departments import Unit, UnitRules, UnitTree
from ldapsync.directory import Directory
from ldapsync.failures import ReadFailed
from ldapsync.links import Gathered, Links
from ldapsync.names import is_below, normal, parent
from ldapsync.people import Found, PersonRules
from ldapsync.presets import beneath
from ldapsync.questions import NO_ATTRIBUTES
from ldapsync.vendors import Vendor
from ldapsync.wanted import Wanted

SAMPLES: Final = 3
"""People shown: enough to see whether names, logins and departments are right."""

_FALLBACKS: Final = {
    FollowMethod.SYNCREPL: FollowMethod.MODIFY_TIMESTAMP,
    FollowMethod.DIRSYNC: FollowMethod.USN,
}
"""Ways of following for servers that don't offer the best one."""
_SHOWN_OF_DIRECTORY: Final = (
    "page_size", "has_referrals", "may_be_empty", "poll_every_s", "full_every_minutes",
    "connect_timeout_s", "answer_timeout_s",
)  # fmt: skip


class Proposal(Struct, frozen=True):
    """What init proposes."""

    vendor: Vendor
    toml: str
    """The file, complete but for the server."""
    samples: Wanted
    """A few people, with the departments that they sit in."""


def propose(access: Access, name: str = "main", kind: Kind | None = None) -> Proposal:
    """Ask a directory and propose a table for it. ``kind`` overrules what it says it is.

    Raises what Directory.open raises, SecretMissing, and ReadFailed when it holds nothing that looks like people.
    """
    password = None
    if access.bind_method is BindMethod.SIMPLE:
        password = passwords.fetch(access, f"directory.{name}")
    with Directory.open(access, password) as directory:
        vendor = vendors.ask(directory)
        if not vendor.bases:
            raise ReadFailed("The directory does not name its naming contexts; write base by hand.")
        config = _configured(access, name, kind or vendor.kind or Kind.OPENLDAP, vendor)
        config = _narrowed(config, directory)
        return Proposal(vendor, _written(config), _samples(config, directory))


def _configured(access: Access, name: str, kind: Kind, vendor: Vendor) -> DirectoryConfig:
    table = msgspec.to_builtins(access)
    table |= {"name": name, "kind": kind, "base": vendor.bases[0]}
    config = msgspec.convert(beneath(kind, table), DirectoryConfig)
    if not vendor.can_follow(config.follow):
        config = structs.replace(config, follow=_FALLBACKS[config.follow])
    return config


def _narrowed(config: DirectoryConfig, directory: Directory) -> DirectoryConfig:
    """With the one container that holds all people, if there is one; and departments only where there are units."""
    base = normal(config.base)
    tops: Counter[str] = Counter()
    names: dict[str, str] = {}
    for entry in directory.search(config.base, config.people.filter, NO_ATTRIBUTES):
        top, key = entry.dn, normal(entry.dn)
        while is_below(key, base) and parent(key) not in {base, ""}:
            key = parent(key)
            top = _above(top)
        tops[key] += 1
        names[key] = top
    if not tops:
        raise ReadFailed(
            f"Nobody below {config.base} matches {config.people.filter}, or the account may not read them."
        )
    (key, count), *others = tops.most_common()
    if others or count == 1 or config.kind in {Kind.ACTIVE_DIRECTORY, Kind.SAMBA}:
        return config  # a unit of Active Directory is a department, not a container for people
    return structs.replace(config, people=structs.replace(config.people, bases=(names[key],)))


def _above(dn: str) -> str:
    """The DN of the entry above, as it is written."""
    at = 0
    while at < len(dn) and dn[at] != ",":
        at += 2 if dn[at] == "\\" else 1
    return dn[at + 1 :].lstrip()


def _units(config: DirectoryConfig, directory: Directory) -> Iterator[Unit]:
    rules = UnitRules(config)
    for base in config.unit_bases:
        for entry in directory.search(base, config.departments.filter, rules.attributes):
            if isinstance(unit := rules.take(entry), Unit):
                yield unit


def _samples(config: DirectoryConfig, directory: Directory) -> Wanted:
    rules = PersonRules(config)
    is_tree = DepartmentSource.OU_TREE in config.departments.sources
    tree = UnitTree(config, _units(config, directory) if is_tree else ())
    people: dict[str, Found] = {}
    for base in config.people_bases:
        search = directory.search(base, config.people.filter, rules.attributes, page_size=50)
        for entry in search:
            found = rules.take(entry, base, 0)
            if isinstance(found, Found) and not found.why_off:
                people[found.anchor] = found
            if len(people) == SAMPLES:
                search.close()
                break
    return Links(config, rules, Gathered(people, tree)).wanted("", 0)


def _written(config: DirectoryConfig) -> str:
    options = ["kind", "servers", "base", "bind_method", "bind_user", "password_file", "password_env",
               "password_keyring", "security", "ca_file", "server_name", "certificate_file", "key_file",
               "follow"]  # fmt: skip
    lines = [
        "# Made by lanyard-ldapsync init. A commented option has the value shown; what it means stands above it.",
        "",
        f"[directory.{config.name}]",
    ]
    always = {"kind", "servers", "base", "follow"}
    for option in options:
        value = getattr(config, option)
        if option in always or value != getattr(DirectoryConfig(), option):
            lines.append(f"{option} = {quoted(value)}")
    lines += commented(config, _SHOWN_OF_DIRECTORY)
    lines += ["", f"[directory.{config.name}.people]"]
    if config.people.bases:
        lines.append(f"bases = {quoted(config.people.bases)}")
    lines += commented(config.people)
    lines += ["", f"[directory.{config.name}.departments]", *commented(config.departments)]
    lines += ["", f"[directory.{config.name}.groups]", *commented(config.groups)]
    lines += [
        "",
        "# Members of a group hold a role:",
        f"# [[directory.{config.name}.roles]]",
        '# group = "cn=admins,..."',
        '# role = "Administrators"',
    ]
    return "\n".join(lines) + "\n"
