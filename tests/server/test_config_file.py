# SPDX-License-Identifier: GPL-3.0-or-later
"""config.toml: what init writes is read back; whatever is wrong is named with file, line, option and the mend."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import config_file
from server.config import (
    Config,
    LdapSection,
    ListenSection,
    LogLevel,
    OrganisationSection,
    sections,
)
from server.config import differences as differing
from server.failures import ConfigInvalid, Exit, Failure

MANUAL = Path(__file__).parents[2] / "docs" / "admin" / "server.md"


def test_what_is_written_for_a_new_server_is_read_back() -> None:
    assert config_file.parse(config_file.render(Config())) == Config()


def test_every_option_stands_in_the_file_with_its_meaning() -> None:
    text = " ".join(config_file.render(Config()).replace("#", "").split())
    for section, _, options in sections():
        assert f"[{section}]" in text
        for option in options:
            assert f"{option.name} = " in text
            assert " ".join(option.meaning.split()) in text


def test_the_commented_values_are_the_defaults() -> None:
    lines = config_file.render(Config()).splitlines()
    bare = [line.removeprefix("# ") if " = " in line else line for line in lines]
    kept = [line for line in bare if not line.startswith(("Example:", "#"))]
    assert config_file.parse("\n".join(kept)) == Config()


@given(st.text(max_size=50), st.lists(st.text(max_size=20)), st.integers(0, 65535), st.booleans())
def test_any_value_survives_the_file(name: str, names: list[str], port: int, on: bool) -> None:
    config = Config(
        organisation=OrganisationSection(name=name),
        listen=ListenSection(port=port, announce=on),
        certificate=msgspec.structs.replace(Config().certificate, names=tuple(names)),
    )
    assert config_file.parse(config_file.render(config)) == config


def test_directories_have_sections_of_their_own() -> None:
    config = Config(ldap={"corp": LdapSection(every_minutes=15), "lab": LdapSection("lab.toml")})
    assert config_file.parse(config_file.render(config)) == config
    changed = differing(Config(), config)
    assert all(change.option.needs_restart for change in changed)
    assert "ldap.corp.every_minutes" in {change.option.full_name for change in changed}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[ldap.corp]\nfiel = 'x'",
            "line 2: there is no option ldap.corp.fiel. Did you mean file?",
        ),
        ("[ldap]\nfile = 'x'", "ldap.file is a section"),
        ("[ldap.corp]\nevery_minutes = -1", "ldap"),
        ("[listen]\n\nprot = 7", "line 3: there is no option listen.prot. Did you mean port?"),
        ("[listne]", r"line 1: there is no section \[listne\]. Did you mean listen?"),
        ("port = 7370", "line 1: port stands in no section"),
        ("[log]\nxyzzy = 1", "line 2: there is no option log.xyzzy. There are: format, level"),
        ("[listen]\nport = '7'", "line 2: listen.port: expected a whole number, got a text"),
        ("[listen]\nport = 70000", "listen.port: expected a whole number <= 65535. For example: "),
        ("[listen]\naddresses = [1]", "line 2: listen.addresses: expected a text"),
        ("[listen]\naddresses = ['host']", "line 2: .*'host' is not an IP address"),
        ("[log]\nlevel = 'loud'", "line 2: log.level: invalid choice 'loud'"),
        ("listen = 4", r"line 1: listen is a section; write \[listen\]"),
        ("[listen\nport = 1", "not valid TOML: .*line 1"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_mend(text: str, sentence: str) -> None:
    with pytest.raises(ConfigInvalid, match=sentence) as caught:
        config_file.parse(text, "/srv/config.toml")
    assert caught.value.sentence.startswith("/srv/config.toml")
    assert caught.value.exit_code == Exit.CONFIG


@given(st.text(max_size=200))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    try:
        config_file.parse(text)
    except ConfigInvalid:
        return
    tomllib.loads(text)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="can't be read") as caught:
        config_file.load(tmp_path / "config.toml")
    assert caught.value.exit_code == Exit.NO_INPUT
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="UTF-8"):
        config_file.load(tmp_path / "config.toml")


def test_differences_say_what_needs_a_restart() -> None:
    after = config_file.parse("[listen]\nport = 7371\n[log]\nlevel = 'debug'")
    found = {change.option.full_name: change for change in differing(Config(), after)}
    assert sorted(found) == ["listen.port", "log.level"]
    assert found["listen.port"].option.needs_restart
    assert not found["log.level"].option.needs_restart
    assert found["log.level"].after is LogLevel.DEBUG


def test_the_manual_describes_the_options_as_they_are() -> None:
    assert config_file.manual() in MANUAL.read_text(encoding="utf-8")
