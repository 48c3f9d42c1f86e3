# SPDX-License-Identifier: GPL-3.0-or-later
"""ldapsync.toml: what it may say, and that a mistake is named with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ldapsync.config import FollowMethod, Kind, Limit, OffSign
from ldapsync.config_file import load, manual, parse
from ldapsync.failures import ConfigInvalid
from ldapsync.presets import PRESETS

MAIN = 'base = "dc=e"\nservers = ["ldaps://a"]\nbind_user = "cn=reader,dc=e"\npassword_file = "secret"\n'


def test_a_kind_brings_its_defaults_and_what_is_written_wins(tmp_path: Path) -> None:
    (tmp_path / "ldapsync.toml").write_text(
        f'[server]\nfolder = "organisation"\n[guards]\ndisable = {{ count = 3 }}\n'
        f'[directory.office]\nkind = "active_directory"\n{MAIN}[directory.office.people]\nlogin = ["mail"]\n'
    )
    config = load(tmp_path / "ldapsync.toml")
    office = config.directories["office"]
    assert office.people.login == ("mail",)
    assert (office.people.anchor, office.follow) == ("objectGUID", FollowMethod.DIRSYNC)
    assert office.people.off == (OffSign.USER_ACCOUNT_CONTROL, OffSign.ACCOUNT_EXPIRES)
    assert office.password_file == str(tmp_path / "secret")
    assert config.server.folder == str(tmp_path / "organisation")
    assert config.guards.disable == Limit(3, 2.0)
    assert office.unit_bases == office.people_bases == ("dc=e",)


@pytest.mark.parametrize("kind", Kind)
def test_each_preset_is_a_configuration(kind: Kind) -> None:
    made = parse(f'[directory.office]\nkind = "{kind}"\n{MAIN}').directories["office"]
    assert made.kind is kind
    assert kind in PRESETS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[directori.x]", r"no table \[directori\]. Did you mean directory"),
        ("[directory]\nx = 1", r"a table with a name"),
        ('[directory.x]\nkind = "novell"', r"directory.x.kind: choose one of"),
        (
            f"[directory.x]\n{MAIN}[directory.x.people]\nlogni = []",
            r"x.people: there is no option logni. Did you mean login",
        ),
        (
            f'[directory.x]\n{MAIN}[[directory.x.roles]]\ngroup = "a"\nrole = "b"\ngruop = 1',
            r"there is no option gruop. Did you mean group",
        ),
        ("[directory.x]", r"x.base is missing"),
        (f"[directory.x]\n{MAIN}page_size = 1", r"x.page_size: expected"),
        (f"[directory.x]\n{MAIN.replace('dc=e', 'dc')}", r"x.base: 'dc' is no distinguished name"),
        (
            f'[directory.x]\n{MAIN}[directory.x.people]\nfilter = "(a=b"',
            r"x.people.filter: .* is no search filter",
        ),
        (
            f"[directory.x]\n{MAIN.replace('ldaps://a', 'http://a')}",
            r"begins with none of ldaps://",
        ),
        (f'[directory.x]\n{MAIN}security = "plain"', r"plain does not go with ldaps://"),
        (
            f'[directory.x]\n{MAIN}[directory.x.departments]\nsources = ["groups"]',
            r"group_filter is missing",
        ),
        ('[directory.x]\nbase = "dc=e"\nservers = ["ldap://a"]', r"bind_user is missing"),
        ('[directory.x]\nname = "y"', r"the name is the one in the header"),
        ("[directory.X]\n" + MAIN, r"directory.X"),
        ("[guards]\ndisable = 3", r"guards.disable: expected"),
        ("x =", r"not valid TOML"),
    ],
)
def test_a_mistake_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ConfigInvalid, match=sentence):
        parse(text)


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="can't be read"):
        load(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigInvalid, match="not UTF-8"):
        load(tmp_path / "latin.toml")


def test_the_manual_has_every_option() -> None:
    text = manual()
    for option in (
        "password_keyring",
        "page_size",
        "leave_out",
        "off_when",
        "remove_member",
        "role",
    ):
        assert f"| `{option}` |" in text
