# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to ldap3 against a real slapd: who is trusted, who is let in, and that a listing is whole or an error."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from ldapsync.config import Access, BindMethod, Security
from ldapsync.directory import Directory
from ldapsync.failures import (
    BindRefused,
    CertificateRefused,
    ConfigInvalid,
    ReadFailed,
    Unreachable,
)
from ldapsync.outcomes import SIZE_LIMIT_EXCEEDED, SUCCESS, UNAVAILABLE_CRITICAL_EXTENSION
from ldapsync.verdicts import Verdict
from tests.support.ldap_company import BASE, Company, portrait
from tests.support.ldap_proxy import Proxy, Speaker, answer_to_last
from tests.support.slapd import LIMITED, PASSWORD, READER, Slapd

PEOPLE = "(objectClass=inetOrgPerson)"


COMPANY = Company(700)


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with Slapd(tmp_path / "slapd", COMPANY) as slapd:
        yield slapd


@pytest.fixture
def access(slapd: Slapd) -> Access:
    return Access(servers=(slapd.ldaps_url,), ca_file=str(slapd.ca_file), bind_user=READER)


def count(access: Access, page_size: int = 100) -> int:
    with Directory.open(access, PASSWORD) as directory:
        return sum(1 for _ in directory.search(BASE, PEOPLE, ["cn"], page_size=page_size))


# ------------------------------------------------------------------------------------------ trust


def test_tls_and_starttls_check_the_certificate(slapd: Slapd, access: Access) -> None:
    for url in (slapd.ldaps_url, slapd.ldap_url):
        assert count(structs.replace(access, servers=(url,))) == 700
        with pytest.raises(CertificateRefused, match="ca_file"):
            count(structs.replace(access, servers=(url,), ca_file=""))
        elsewhere = structs.replace(access, servers=(url.replace("127.0.0.1", "localhost"),))
        with pytest.raises(CertificateRefused, match="localhost"):
            count(elsewhere)
        assert count(structs.replace(elsewhere, server_name="127.0.0.1")) == 700
        assert count(structs.replace(elsewhere, security=Security.UNCHECKED)) == 700


def test_without_tls_only_when_it_is_said(slapd: Slapd, access: Access) -> None:
    plain = structs.replace(access, servers=(slapd.ldap_url,), security=Security.PLAIN)
    assert count(plain) == 700
    slapd.restart(more_global="security tls=1")
    with pytest.raises(BindRefused, match="TLS"):
        count(plain)
    assert count(structs.replace(plain, security=Security.CHECKED)) == 700


def test_a_file_that_holds_no_certificates_is_named(access: Access, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for field in ("ca_file", "certificate_file"):
        for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
            with pytest.raises(ConfigInvalid, match=field):
                count(structs.replace(access, **{field: str(file)}))


# --------------------------------------------------------------------------------------- sign-in


def test_a_password_that_is_wrong(access: Access) -> None:
    with pytest.raises(BindRefused, match="cn=reader") as refused:
        Directory.open(access, "guess")
    assert refused.value.reason == Verdict.WRONG


def test_by_certificate_and_by_local_socket(slapd: Slapd, access: Access) -> None:
    by_certificate = structs.replace(
        access,
        bind_method=BindMethod.EXTERNAL,
        certificate_file=str(slapd.folder / "reader.pem"),
        key_file=str(slapd.folder / "reader.key"),
    )
    assert count(by_certificate) == 700
    local = structs.replace(access, servers=(slapd.ldapi_url,), security=Security.PLAIN)
    assert count(local) == 700


def test_people_sign_in_over_one_connection(slapd: Slapd, access: Access) -> None:
    ada = COMPANY.people[0]
    with Directory.open(access, is_bound=False) as directory:
        assert directory.bind(ada.dn, ada.password) is Verdict.ACCEPTED
        assert directory.bind(ada.dn, "guess") is Verdict.WRONG
        assert directory.bind(ada.dn, "") is Verdict.WRONG
        assert directory.bind("", "guess") is Verdict.WRONG
        assert directory.bind("no dn", "guess") is Verdict.WRONG
        assert directory.bind(ada.dn, ada.password) is Verdict.ACCEPTED


def test_an_unreachable_server_is_passed_over(slapd: Slapd, access: Access) -> None:
    nobody = "ldap://127.0.0.1:1"
    assert count(structs.replace(access, servers=(nobody, slapd.ldaps_url))) == 700
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        count(structs.replace(access, servers=(nobody,)))


def test_a_refused_password_is_not_tried_at_the_next_server(slapd: Slapd, access: Access) -> None:
    twice = structs.replace(access, servers=(slapd.ldaps_url, "ldap://127.0.0.1:1"))
    with pytest.raises(BindRefused):
        Directory.open(twice, "guess")


# ---------------------------------------------------------------------------------------- whole


def test_pages_add_up(access: Access) -> None:
    assert [count(access, size) for size in (50, 700, 1000)] == [700] * 3


def test_a_size_limit_is_an_error(slapd: Slapd, access: Access) -> None:
    slapd.restart(limits=LIMITED)
    with pytest.raises(ReadFailed, match="size limit"):
        count(access)


@pytest.mark.parametrize("octets", [200, 20_000, 60_000, 90_000])
def test_a_cut_line_is_an_error(slapd: Slapd, access: Access, octets: int) -> None:
    with Proxy(slapd.tls_port, octets, is_cut=True) as proxy, pytest.raises(Unreachable):
        count(structs.replace(access, servers=(f"ldaps://127.0.0.1:{proxy.port}",)))


@pytest.mark.parametrize("octets", [200, 60_000])
def test_a_server_that_falls_silent_is_an_error(slapd: Slapd, access: Access, octets: int) -> None:
    with Proxy(slapd.tls_port, octets, is_cut=False) as proxy:
        url = f"ldaps://127.0.0.1:{proxy.port}"
        with pytest.raises(Unreachable):
            count(structs.replace(access, servers=(url,), answer_timeout_s=1))


def asked_of_a_stranger(access: Access, *codes: int | None) -> int:
    """What a read of a server comes to that lets us in and ends searches with these codes, or talks nonsense."""

    def reply(number: int) -> bytes:
        code = SUCCESS if number == 1 else codes[min(number - 2, len(codes) - 1)]
        return (
            b"HTTP/1.1 400" if code is None else answer_to_last(0x61 if number == 1 else 0x65, code)
        )

    with Speaker(reply) as server:
        url = f"ldap://127.0.0.1:{server.port}"
        return count(structs.replace(access, servers=(url,), security=Security.PLAIN))


def test_a_page_that_does_not_say_whether_more_follow_is_an_error(access: Access) -> None:
    with pytest.raises(ReadFailed, match="whether more follow"):
        asked_of_a_stranger(access, SUCCESS)


def test_a_server_without_paging_gives_everything_at_once_or_an_error(access: Access) -> None:
    assert asked_of_a_stranger(access, UNAVAILABLE_CRITICAL_EXTENSION, SUCCESS) == 0
    with pytest.raises(ReadFailed, match="size limit"):
        asked_of_a_stranger(access, UNAVAILABLE_CRITICAL_EXTENSION, SIZE_LIMIT_EXCEEDED)


def test_nonsense_is_an_error(access: Access) -> None:
    with pytest.raises(ReadFailed, match="no LDAP"):
        asked_of_a_stranger(access, None)


def test_a_huge_entry_is_passed_over_and_the_others_come(slapd: Slapd, access: Access) -> None:
    huge = COMPANY.people[5]
    photo = base64.b64encode(portrait(1) + bytes(3_000_000)).decode()
    slapd.change(f"dn: {huge.dn}\nchangetype: modify\nreplace: jpegPhoto\njpegPhoto:: {photo}\n-\n")
    with Directory.open(access, PASSWORD, max_entry_bytes=1_000_000) as directory:
        found = list(directory.search(BASE, PEOPLE, ["uid", "jpegPhoto"]))
        assert len(found) == 700
        assert [each.dn for each in found if each.is_oversized] == [huge.dn]
        assert directory.read(huge.dn, ["uid"]) is not None


def test_an_entry_that_is_not_there_and_a_filter_that_is_none(access: Access) -> None:
    with Directory.open(access, PASSWORD) as directory:
        assert directory.read(f"cn=nobody,{BASE}") is None
        with pytest.raises(ReadFailed, match="does not exist"):
            list(directory.search("dc=elsewhere", PEOPLE, ["cn"]))
        with pytest.raises(ReadFailed, match="can't be asked for"):
            list(directory.search(BASE, "(cn=*", ["cn"]))
