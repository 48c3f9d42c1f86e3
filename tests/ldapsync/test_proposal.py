# SPDX-License-Identifier: GPL-3.0-or-later
"""What is proposed for a directory is a configuration that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ldapsync.config import Access, FollowMethod, Kind
from ldapsync.config_file import parse
from ldapsync.failures import ReadFailed
from ldapsync.proposal import propose
from ldapsync.reading import read
from tests.support.ldap_company import PEOPLE
from tests.support.ldap_office import ldap_office
from tests.support.slapd import READER, Slapd


def access_to(slapd: Slapd) -> Access:
    return Access(
        servers=(slapd.ldaps_url,),
        ca_file=str(slapd.ca_file),
        bind_user=READER,
        password_file=str(slapd.password_file),
    )


def test_a_proposal_can_be_used_as_it_is(tmp_path: Path) -> None:
    with ldap_office(tmp_path) as office:
        proposal = propose(access_to(office.slapd), "office")
        config = parse(proposal.toml).directories["office"]
        assert (config.kind, config.people.bases, config.follow) == (
            Kind.OPENLDAP,
            (PEOPLE,),
            FollowMethod.SYNCREPL,
        )
        wanted = read(config, 0)
        assert len(wanted.people) == 300
        assert len(proposal.samples.people) == 3
        for anchor, sample in proposal.samples.people.items():
            assert sample.login == wanted.people[anchor].login
            assert sample.places == wanted.people[anchor].places
        assert "# photo = " in proposal.toml
        office.slapd.without("moduleload syncprov", "overlay syncprov", "syncprov-sessionlog 1000")
        assert 'follow = "modify_timestamp"' in propose(access_to(office.slapd)).toml


def test_nobody_to_be_seen(tmp_path: Path) -> None:
    with Slapd(tmp_path / "slapd") as slapd, pytest.raises(ReadFailed, match="Nobody below"):
        propose(access_to(slapd))
