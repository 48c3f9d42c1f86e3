# SPDX-License-Identifier: GPL-3.0-or-later
"""config.toml: read and checked, written with every option's meaning, and described for the manual. What the options are: config.py."""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from server.config import (
    EVERYWHERE,
    LDAP,
    Config,
    LdapSection,
    Option,
    ldap_options,
    sections,
)
from server.failures import ConfigInvalid, Exit, Failure

_LDAP_MEANING: Final = " ".join((LdapSection.__doc__ or "").split())
_PLAIN_WORDS: Final = {
    "`int`": "a whole number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a section",
    "enum value": "choice",
}
"""What msgspec calls things, and what an administrator does."""


def parse(text: str, source: str = "config.toml") -> Config:
    """Read the text of a config.toml. Raises ConfigInvalid naming the source, line and option, and what to do."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{source}: this is not valid TOML: {error}.") from error
    _refuse_unknown(tables, text, source)
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(_explain(error, text, source)) from error
    _check_addresses(config, text, source)
    return config


def load(path: Path) -> Config:
    """Read a config.toml. Raises Failure when it can't be read, ConfigInvalid when it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path}: this is not UTF-8 text: {error}.") from error
    except PermissionError as error:
        raise Failure(f"{path} may not be read by this user.", Exit.NO_RIGHTS) from error
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror}.", Exit.NO_INPUT) from error
    return parse(text, str(path))


def render(config: Config) -> str:
    """The text of a config.toml with every option and its meaning; options at their default are commented out."""
    lines = [
        "# Configuration of the Lanyard server. Lines that begin with # are comments; a commented option has the value shown.",
        "# After a change: systemctl reload, or send SIGHUP. Options marked (restart) need a restart.",
        "# `lanyard-server check` reads this file and says what is wrong with it.",
    ]
    for section, meaning, options in sections():
        lines += ["", "", f"[{section}]", f"# {meaning}"]
        for option in options:
            value = getattr(getattr(config, section), option.name)
            is_default = value == option.default
            lines += ["", *_comment(option)]
            lines.append(f"{'# ' if is_default else ''}{option.name} = {_toml(value)}")
    if not config.ldap:
        lines += ["", "", "# People from LDAP or Active Directory: add a section [ldap.NAME]."]
    for name, ldap in config.ldap.items():
        lines += ["", "", f"[{LDAP}.{name}]", f"# {_LDAP_MEANING}"]
        for option in ldap_options(name):
            value = getattr(ldap, option.name)
            is_default = value == option.default
            lines += ["", *_comment(option)]
            lines.append(f"{'# ' if is_default else ''}{option.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def manual() -> str:
    """The options as Markdown, for the manual."""
    lines = []
    ldap = (f"{LDAP}.NAME", f"{_LDAP_MEANING} Any number of them.", ldap_options("NAME"))
    for section, meaning, options in (*sections(), ldap):
        lines += [f"### `[{section}]`", "", meaning, ""]
        lines += ["| option | default | meaning |", "|---|---|---|"]
        for option in options:
            meaning = option.meaning
            meaning += f" In {option.unit}." if option.unit else ""
            meaning += f" Example: `{_toml(option.example)}`." if option.example else ""
            meaning += " Needs a restart." if option.needs_restart else ""
            lines.append(f"| `{option.name}` | `{_toml(option.default)}` | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def _refuse_unknown(tables: dict[str, Any], text: str, source: str) -> None:
    """Name the first section or option that does not exist, with the nearest that does."""
    known = {section: {option.name for option in options} for section, _, options in sections()}
    for section, values in _tables(tables):
        if section.startswith(f"{LDAP}."):
            known[section] = {option.name for option in ldap_options("")}
        if section not in known and not isinstance(values, dict):
            at = _line_of(text, "", section)
            raise ConfigInvalid(f"{source}{at}: {section} stands in no section.")
        if section not in known:
            at = _line_of(text, section, None)
            hint = _nearest(section, known)
            raise ConfigInvalid(f"{source}{at}: there is no section [{section}].{hint}")
        if not isinstance(values, dict):
            at = _line_of(text, "", section)
            raise ConfigInvalid(f"{source}{at}: {section} is a section; write [{section}].")
        for name in values:
            if name not in known[section]:
                at = _line_of(text, section, name)
                hint = _nearest(name, known[section])
                raise ConfigInvalid(f"{source}{at}: there is no option {section}.{name}.{hint}")


def _tables(tables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The sections as they are written: [ldap.NAME] is one."""
    for section, values in tables.items():
        if section == LDAP and isinstance(values, dict):
            yield from ((f"{LDAP}.{name}", each) for name, each in values.items())
        else:
            yield section, values


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]}?"
    return f" There are: {', '.join(sorted(known))}."


def _explain(error: msgspec.ValidationError, text: str, source: str) -> str:
    """msgspec's message with the option instead of a path, and the line."""
    message, _, path = str(error).partition(" - at `$")
    section, _, name = path.strip("`.").partition(".")
    name = name.partition("[")[0]
    at = _line_of(text, section, name)
    option = f"{section}.{name}"
    known = {each.full_name: each for _, _, options in sections() for each in options}
    example = known[option].example or known[option].default if option in known else None
    hint = f" For example: {name} = {_toml(example)}" if example is not None else ""
    for theirs, ours in _PLAIN_WORDS.items():
        message = message.replace(theirs, ours)
    return f"{source}{at}: {option}: {message[:1].lower()}{message[1:]}.{hint}"


def _check_addresses(config: Config, text: str, source: str) -> None:
    for address in config.listen.addresses:
        if address == EVERYWHERE:
            continue
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            at = _line_of(text, "listen", "addresses")
            raise ConfigInvalid(
                f"{source}{at}: listen.addresses: {address!r} is not an IP address of this machine. "
                f'Host names do not belong here; "{EVERYWHERE}" is all addresses.'
            ) from error


def _line_of(text: str, section: str, name: str | None) -> str:
    """``, line 12`` for an option (or a section, without ``name``); empty when it is written in a way not looked for."""
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if header:
            here = header[1]
            if name is None and here == section:
                return f", line {number}"
        elif here == section and name and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f", line {number}"
    return ""


def _comment(option: Option) -> Iterator[str]:
    """The meaning of an option as comment lines that fit a terminal."""
    text = option.meaning
    text += f" In {option.unit}." if option.unit else ""
    text += " (restart)" if option.needs_restart else ""
    line = "#"
    for word in text.split():
        if len(line) + len(word) > 100:
            yield line
            line = "#"
        line += f" {word}"
    yield line
    if option.example is not None:
        yield f"# Example: {option.name} = {_toml(option.example)}"


def _toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
        return msgspec.json.encode(str(value)).decode().replace("\x7f", "\\u007f")
    return str(value)
