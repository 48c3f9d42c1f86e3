# SPDX-License-Identifier: GPL-3.0-or-later
"""DNs and filters: built so that nothing in a value can break out, and compared as directories compare them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapsync import names
from ldapsync.names import NameInvalid

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("UID=Ann , OU=Sales,dc=E", "uid=ann,ou=sales,dc=e"),
        ("ou=Sales\\2C EMEA,dc=e", "ou=sales\\, EMEA,dc=e"),
        ('cn="a, b",dc=e', "cn=a\\, b,dc=e"),
        ("cn=\\20a\\ ,dc=e", "cn=a,dc=e"),
        ("sn=B+cn=A,dc=e", "cn=a + sn=b,dc=e"),
        ("cn=Zoe\u0308,dc=e", "cn=ZO\u00cb,dc=e"),
        ("cn=Lu\\C4\\8Di\\C4\\87,dc=e", "cn=Lučić,dc=e"),
        ("cn=a  b,dc=e", "cn=A b,dc=e"),
        ("cn=\\#1,dc=e", "cn=\\231,dc=e"),
        ("cn=a=b,dc=e", "cn=a\\3Db,dc=e"),
        ("cn=a;dc=e", "cn=a,dc=e"),
    ],
)
def test_one_entry_however_it_is_written(one: str, other: str) -> None:
    assert names.normal(one) == names.normal(other)


@given(TEXTS, st.sampled_from(["", "dc=e", "ou=x\\2cy,dc=e"]))
def test_any_value_stays_one_level(value: str, above: str) -> None:
    dn = names.join("cn", value, above)
    assert names.parse_dn(dn)[0] == (("cn", value),)
    assert names.parent(names.normal(dn)) == names.normal(above)


@given(TEXTS)
def test_any_value_stays_one_condition(value: str) -> None:
    for asked in (names.equals("cn", value), names.equals("cn", value.encode())):
        names.check_filter(asked)
        names.check_filter(names.all_of(names.present("sn"), names.any_of(asked, asked)))
        assert asked.count("(") == 1


def test_below() -> None:
    assert names.is_below("cn=a,ou=b,dc=e", "ou=b,dc=e")
    assert names.is_below("ou=b,dc=e", "ou=b,dc=e")
    assert not names.is_below("cn=a,xou=b,dc=e", "ou=b,dc=e")
    assert names.is_below("cn=a", "")


@pytest.mark.parametrize(
    "text", ["foo", "cn=a,", ",cn=a", "=a", "cn=a\\", 'cn="a', 'cn="a"b', "cn=\\c3,dc=e"]
)
def test_no_dn(text: str) -> None:
    with pytest.raises(NameInvalid, match="no distinguished name"):
        names.normal(text)


@pytest.mark.parametrize(
    "text",
    ["a=b", "(a=b", "(a=b))", "(&)", "(=b)", "(a=(b)", "(a=\\zz)", "", "(a)", "(!(a=b)(c=d))"],
)
def test_no_filter(text: str) -> None:
    with pytest.raises(NameInvalid, match="no search filter"):
        names.check_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        "(a=b)",
        "(&(a=b)(|(c=*)(!(d=e*f))))",
        "(:dn:2.4.6:=x)",
        "(a:1.2.3:=2)",
        "(cn;lang-de=\\2a)",
        "(a>=1)",
        "(a~=b)",
    ],
)
def test_filters(text: str) -> None:
    names.check_filter(text)


def test_attributes_are_names_and_nothing_else() -> None:
    assert names.is_attribute("cn;lang-en")
    with pytest.raises(NameInvalid):
        names.equals("cn=*)(uid", "x")


def test_what_an_entry_is_called() -> None:
    assert names.last_value("ou=Sales\\2C EMEA,dc=e") == "Sales, EMEA"
    assert names.last_value("nonsense") == "nonsense"
