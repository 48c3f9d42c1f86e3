# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of people who are missing from a reading."""

from __future__ import annotations

from pathlib import Path

from ldapsync.directory import Directory
from ldapsync.sights import Sight, whereabouts
from tests.support.ldap_company import BASE
from tests.support.ldap_office import ldap_office
from tests.support.slapd import PASSWORD


def test_gone_moved_out_and_no_longer_matching_are_told_apart(tmp_path: Path) -> None:
    with ldap_office(tmp_path) as office:
        here, gone, outside, retired = office.company.people[-4:]
        office.slapd.delete(gone.dn)
        office.slapd.move(outside.dn, f"uid={outside.uid}", BASE)
        office.slapd.set(retired.dn, employeeType="retired")
        config = office.config(
            f'[people]\nbases = ["ou=People,{BASE}"]\nfilter = "(&(objectClass=person)(!(employeeType=retired)))"\n'
        )
        anchors = [each.anchor for each in (here, gone, outside, retired)]
        with Directory.open(config, PASSWORD) as directory:
            found = whereabouts(directory, config, anchors)
    assert [found[each].sight for each in anchors] == [
        Sight.PRESENT, Sight.GONE, Sight.OUTSIDE, Sight.FILTERED,
    ]  # fmt: skip
    assert f"uid={outside.uid},{BASE}" in found[outside.anchor].sentence
    assert "employeeType=retired" in found[retired.anchor].sentence
