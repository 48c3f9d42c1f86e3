# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor at a real slapd: what is in order, and what is wrong with which entry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from ldapsync.checks import Finding, Level, run
from ldapsync.config import DirectoryConfig, Kind, Security
from tests.support.ldap_company import PEOPLE
from tests.support.ldap_office import LdapOffice, ldap_office
from tests.support.slapd import LIMITED


@pytest.fixture
def office(tmp_path: Path) -> Iterator[LdapOffice]:
    with ldap_office(tmp_path) as office:
        yield office


def findings(config: DirectoryConfig) -> dict[str, Finding]:
    """The worst of each check."""
    order = list(Level)
    found = sorted(
        run(config, time.time_ns() // 1_000_000), key=lambda each: order.index(each.level)
    )
    return {each.check: each for each in found}


def test_all_is_well_but_the_certificate_of_the_test_ends_soon(office: LdapOffice) -> None:
    found = findings(office.config())
    assert {name: each.level for name, each in found.items()} == {
        "connection": Level.OK,
        "certificate": Level.WARNING,
        "kind": Level.OK,
        "reading": Level.OK,
        "notices": Level.NOTICE,
    }
    assert "300 people" in found["reading"].text
    assert "mobile" in found["notices"].text


def test_what_is_wrong_is_said(office: LdapOffice) -> None:
    config = office.config()
    foreign = structs.replace(config, kind=Kind.SAMBA)
    assert findings(foreign)["kind"].level is Level.WARNING
    open_line = structs.replace(config, servers=(office.slapd.ldap_url,), security=Security.PLAIN)
    assert findings(open_line)["protection"].level is Level.WARNING
    one_of_two = structs.replace(config, servers=("ldap://127.0.0.1:1", *config.servers))
    assert findings(one_of_two)["connection"].level is Level.PROBLEM
    assert findings(one_of_two)["reading"].level is Level.OK
    assert (
        findings(structs.replace(config, bind_user="cn=nobody"))["sign-in"].level is Level.PROBLEM
    )
    assert findings(structs.replace(config, ca_file=""))["sign-in"].level is Level.PROBLEM


def test_limits_and_entries(office: LdapOffice) -> None:
    office.slapd.change(
        f"dn: cn=No login,{PEOPLE}\nobjectClass: inetOrgPerson\ncn: No login\nsn: No\n"
    )
    entry = findings(office.config())["entries"]
    assert (entry.dn, entry.level) == (f"cn=No login,{PEOPLE}", Level.WARNING)
    assert entry.mend
    office.slapd.restart(limits=LIMITED.replace("500", "200"))
    assert "size limit" in findings(office.config())["reading"].text
    office.slapd.without("moduleload syncprov", "overlay syncprov", "syncprov-sessionlog 1000")
    assert "syncprov" in findings(office.config())["following"].mend
