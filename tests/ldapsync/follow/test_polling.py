# SPDX-License-Identifier: GPL-3.0-or-later
"""Following by modifyTimestamp, against a real slapd."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from ldapsync.follow.follower import open_follower
from ldapsync.follow.polling import TIMESTAMP
from tests.support.ldap_office import ldap_office

POLLING = 'follow = "modify_timestamp"\npoll_every_s = 1\n'


def test_changes_are_found_once_and_what_was_before_is_no_news(tmp_path: Path) -> None:
    with ldap_office(tmp_path) as office:
        config = office.config(top=POLLING)
        now_ms = time.time_ns() // 1_000_000
        with closing(open_follower(config, {}, now_ms)) as follower:
            office.slapd.set(office.company.people[7].dn, title="Captain")
            change = follower.wait(10)
            assert change is not None
            assert [each.attributes["title"] for each in change.people] == [[b"Captain"]]
            assert follower.wait(1.5) is None
            marks = dict(follower.marks)
            office.slapd.move(office.company.units[0].dn, "ou=Renamed")
            change = follower.wait(10)
            assert change is not None
            assert change.is_full
        assert int(marks[TIMESTAMP]) > now_ms - 60_000
        with closing(open_follower(config, marks, now_ms)) as follower:
            change = follower.wait(10)
            assert change is not None
            assert change.is_full
