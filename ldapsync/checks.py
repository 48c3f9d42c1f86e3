# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor of a configured directory: each finding names what is wrong, with which entry, and the mend. Nothing is changed."""

import enum
from collections.abc import Iterator
from typing import Final

from msgspec import Struct, structs

from ldapsync import vendors
from ldapsync.config import BindMethod, DirectoryConfig, Security
from ldapsync.directory import Directory
from ldapsync.failures import DirectoryError, SyncError, Unreachable
from ldapsync.opening import open_directory
from ldapsync.reading import read
from ldapsync.wanted import Wanted

_DAY_S: Final = 86_400
_CERTIFICATE_DAYS: Final = 30
"""Days before its end from which a certificate is worth a word."""
_SHOWN: Final = 100
"""Entries set aside that are listed one by one."""


class Level(enum.StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    PROBLEM = "problem"
    """ldapsync can't work like this."""


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at."""

    check: str
    level: Level
    text: str
    mend: str = ""
    dn: str = ""


def run(config: DirectoryConfig, now_ms: int) -> list[Finding]:
    """Look at everything, from the connection to the last entry. Whatever fails is a finding; nothing is raised."""
    findings = [*_protection(config)]
    usable = []
    for url in config.servers:
        found = list(_server(structs.replace(config, servers=(url,)), url, now_ms))
        findings += found
        if not any(each.level is Level.PROBLEM for each in found):
            usable.append(url)
    if not usable:
        return findings
    return [*findings, *_reading(structs.replace(config, servers=tuple(usable)), now_ms)]


def _protection(config: DirectoryConfig) -> Iterator[Finding]:
    if config.security is Security.CHECKED:
        return
    what = (
        "Passwords travel readable"
        if config.security is Security.PLAIN
        else "Any impostor is believed"
    )
    if all(url.startswith("ldapi:") for url in config.servers):
        return
    yield Finding(
        "protection",
        Level.WARNING,
        f"{what}: security is {config.security}.",
        "Set security = checked, and ca_file when the directory has an authority of its own.",
    )


def _server(config: DirectoryConfig, url: str, now_ms: int) -> Iterator[Finding]:
    try:
        directory = open_directory(config)
    except Unreachable as error:
        yield Finding(
            "connection",
            Level.PROBLEM,
            str(error),
            "See whether it runs, and whether a firewall is between.",
        )
        return
    except SyncError as error:
        yield Finding("sign-in", Level.PROBLEM, str(error))
        return
    with directory:
        who = (
            "nobody"
            if config.bind_method is BindMethod.ANONYMOUS
            else config.bind_user or config.bind_method
        )
        yield Finding("connection", Level.OK, f"{url} answers and lets {who} in.")
        yield from _certificate(directory, url, now_ms)
        try:
            yield from _abilities(config, vendors.ask(directory), url)
        except DirectoryError as error:
            yield Finding("abilities", Level.WARNING, f"{url} does not say what it is: {error}")


def _certificate(directory: Directory, url: str, now_ms: int) -> Iterator[Finding]:
    end_s = directory.certificate_end_s
    if end_s is None:
        return
    days = int((end_s - now_ms / 1000) / _DAY_S)
    is_late = days < _CERTIFICATE_DAYS
    yield Finding(
        "certificate",
        Level.WARNING if is_late else Level.OK,
        f"The certificate of {url} is good for {days} more days.",
        "Renew it." if is_late else "",
    )


def _abilities(config: DirectoryConfig, vendor: vendors.Vendor, url: str) -> Iterator[Finding]:
    name = vendors.NAMES[vendor.kind] if vendor.kind else "something unknown"
    says = f" ({vendor.says})" if vendor.says else ""
    is_meant = vendor.kind in {config.kind, None}
    yield Finding(
        "kind",
        Level.OK if is_meant else Level.WARNING,
        f"{url} is {name}{says}.",
        ""
        if is_meant
        else f"Set kind = {vendor.kind}, or see whether the defaults of {config.kind} fit.",
    )
    if vendor.controls and not vendor.has_paging:
        yield Finding(
            "paging", Level.WARNING, f"{url} can't give listings page by page.",
            "Raise the account's size limit above the number of entries.",
        )  # fmt: skip
    if vendor.controls and not vendor.can_follow(config.follow):
        yield Finding(
            "following", Level.WARNING, f"{url} does not offer {config.follow}, which watch is to follow by.",
            "Set follow to another way; with OpenLDAP load the overlay syncprov.",
        )  # fmt: skip


def _reading(config: DirectoryConfig, now_ms: int) -> Iterator[Finding]:
    try:
        wanted = read(config, now_ms)
    except SyncError as error:
        yield Finding("reading", Level.PROBLEM, str(error))
        return
    yield Finding(
        "reading",
        Level.OK,
        f"{len(wanted.people)} people, {len(wanted.departments)} departments, {len(wanted.groups)} groups"
        f" and {len(wanted.grants)} roles were read whole.",
    )
    yield from _entries(wanted)


def _entries(wanted: Wanted) -> Iterator[Finding]:
    for each in wanted.set_aside[:_SHOWN]:
        yield Finding("entries", Level.WARNING, each.reason, each.mend, each.dn)
    if len(wanted.set_aside) > _SHOWN:
        yield Finding(
            "entries",
            Level.WARNING,
            f"{len(wanted.set_aside) - _SHOWN} more entries can't be taken.",
        )
    for notice in wanted.notices:
        yield Finding("notices", Level.NOTICE, notice)
