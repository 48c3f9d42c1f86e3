# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory server with its company and a reader's configuration of it, for tests of reading and following."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ldapsync.config import DirectoryConfig
from ldapsync.config_file import parse
from ldapsync.reading import read
from ldapsync.wanted import Wanted, WantedPerson
from tests.support.ldap_company import PEOPLE, Company, Staff
from tests.support.slapd import Slapd

IN_PEOPLE = f'[people]\nbases = ["{PEOPLE}"]\n'


class LdapOffice:
    """One slapd and how it is read."""

    def __init__(self, slapd: Slapd, company: Company) -> None:
        self.slapd = slapd
        self.company = company

    def config(self, more: str = "", *, top: str = "", urls: str = "") -> DirectoryConfig:
        """The configuration; ``more`` is tables such as [people], ``top`` options of the directory itself."""
        has_people = "[people]" in more
        text = self.slapd.toml(f"{top}\n{'' if has_people else IN_PEOPLE}{more}", urls=urls)
        return parse(text).directories["main"]

    def read(self, more: str = "", *, top: str = "") -> Wanted:
        return read(self.config(more, top=top), 0)

    def person(self, wanted: Wanted, staff: Staff | int) -> WantedPerson:
        """One of the company in a reading."""
        staff = self.company.people[staff] if isinstance(staff, int) else staff
        return wanted.people[staff.anchor]


@contextmanager
def ldap_office(folder: Path, people_count: int = 300, **settings: str) -> Iterator[LdapOffice]:
    """An office whose directory runs."""
    company = Company(people_count)
    with Slapd(folder / "slapd", company, **settings) as slapd:
        yield LdapOffice(slapd, company)
