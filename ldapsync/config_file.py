# SPDX-License-Identifier: GPL-3.0-or-later
"""ldapsync.toml: read, checked against config.py, and described for the manual."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from msgspec import structs

from ldapsync import config
from ldapsync.config import BindMethod, Config, DirectoryConfig, Kind, Security
from ldapsync.failures import ConfigInvalid
from ldapsync.names import NameInvalid, check_filter, parse_dn
from ldapsync.presets import beneath

_TABLES: Final = {"server", "guards", "directory"}


def load(path: Path) -> Config:
    """Read an ldapsync.toml. Raises ConfigInvalid, which names the option and what to do."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path}: this is not UTF-8 text: {error}.") from error
    except OSError as error:
        raise ConfigInvalid(f"{path} can't be read: {error.strerror}.") from error
    return parse(text, path)


def parse(text: str, path: Path = Path("ldapsync.toml")) -> Config:
    """The same for a text that came from ``path``; files named in it are relative to the path's folder."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{path}: this is not valid TOML: {error}.") from error
    if unknown := next((name for name in tables if name not in _TABLES), None):
        raise ConfigInvalid(f"{path}: there is no table [{unknown}].{_nearest(unknown, _TABLES)}")
    directories = tables.get("directory", {})
    if not isinstance(directories, dict) or not all(
        isinstance(each, dict) for each in directories.values()
    ):
        raise ConfigInvalid(f"{path}: each directory is a table with a name: [directory.NAME].")
    server = _convert(tables.get("server", {}), config.ServerConfig, f"{path}: server")
    return Config(
        server=_with_files(server, path.parent),
        guards=_guards(tables.get("guards", {}), f"{path}: guards"),
        directories={name: _directory(name, each, path) for name, each in directories.items()},
        path=path,
    )


def _guards(table: Any, where: str) -> config.Guards:
    """Of a guard that is half written, the other half keeps its default."""
    written: config.Guards = _convert(table, config.Guards, where)
    defaults = config.Guards()
    halves = {
        name: {**structs.asdict(getattr(defaults, name)), **each} for name, each in table.items()
    }
    return msgspec.convert({**structs.asdict(written), **halves}, config.Guards)


def _directory(name: str, table: dict[str, Any], path: Path) -> DirectoryConfig:
    where = f"{path}: directory.{name}"
    if "name" in table:
        raise ConfigInvalid(f"{where}.name: the name is the one in the header.")
    try:
        kind = Kind(table.get("kind", Kind.OPENLDAP))
    except ValueError as error:
        raise ConfigInvalid(f"{where}.kind: choose one of {', '.join(Kind)}.") from error
    converted = _convert({**beneath(kind, table), "name": name}, DirectoryConfig, where)
    made: DirectoryConfig = _with_files(converted, path.parent)
    _check(made, where)
    return made


def _with_files(record: Any, folder: Path) -> Any:
    """File names in a table are relative to the file in which they stand."""
    names = ["password_file", "ca_file", "certificate_file", "key_file", "folder"]
    written = {name: getattr(record, name, "") for name in names}
    return structs.replace(
        record, **{name: str(folder / value) for name, value in written.items() if value}
    )


def _check(made: DirectoryConfig, where: str) -> None:
    """What a type can't say."""
    if not made.base:
        raise ConfigInvalid(f'{where}.base is missing. For example: base = "dc=example,dc=com"')
    for url in made.servers:
        scheme, separator, _ = url.partition("://")
        if not separator or scheme not in {"ldap", "ldaps", "ldapi"}:
            raise ConfigInvalid(
                f"{where}.servers: {url!r} begins with none of ldaps://, ldap://, ldapi://."
            )
    if made.bind_method is BindMethod.SIMPLE and not made.bind_user:
        raise ConfigInvalid(f"{where}.bind_user is missing: the account that reads.")
    if made.security is Security.PLAIN and any(url.startswith("ldaps:") for url in made.servers):
        raise ConfigInvalid(f"{where}.security: plain does not go with ldaps://.")
    departments = made.departments
    if config.DepartmentSource.GROUPS in departments.sources and not departments.group_filter:
        raise ConfigInvalid(
            f"{where}.departments.group_filter is missing: which groups are departments."
        )
    _check_names(made, where)


def _check_names(made: DirectoryConfig, where: str) -> None:
    dns = {
        "base": (made.base,),
        "people.bases": made.people.bases,
        "departments.bases": made.departments.bases,
        "departments.leave_out": made.departments.leave_out,
        "departments.group_bases": made.departments.group_bases,
        "groups.bases": made.groups.bases,
        "roles.group": tuple(rule.group for rule in made.roles),
        "roles.department": tuple(rule.department for rule in made.roles if rule.department),
    }
    filters = {
        "people.filter": made.people.filter,
        "departments.filter": made.departments.filter,
        "departments.group_filter": made.departments.group_filter,
        "groups.filter": made.groups.filter,
        "groups.kinds": made.groups.kinds,
    }
    for option, values in dns.items():
        for value in values:
            _checked(parse_dn, value, f"{where}.{option}")
    for option, text in filters.items():
        if text:
            _checked(check_filter, text, f"{where}.{option}")


def _checked(check: Callable[[str], object], text: str, where: str) -> None:
    try:
        check(text)
    except NameInvalid as error:
        raise ConfigInvalid(f"{where}: {error}") from error


def _convert(table: Any, into: type[Any], where: str) -> Any:
    if not isinstance(table, dict):
        raise ConfigInvalid(f"{where} is a table.")
    try:
        return msgspec.convert(table, into)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        inside = path.strip("`")
        hint = ""
        if message.startswith("Object contains unknown field"):
            name = message.split("`")[1]
            record = _record_at(into, inside)
            hint = _nearest(name, [each.name for each in structs.fields(record)])
            raise ConfigInvalid(f"{where}{inside}: there is no option {name}.{hint}") from error
        raise ConfigInvalid(f"{where}{inside}: {message[:1].lower()}{message[1:]}.") from error


def _record_at(into: type[Any], path: str) -> type[Any]:
    """The record that a path of msgspec such as ``.people`` or ``.roles[0]`` leads to."""
    for name in re.sub(r"\[[^\]]*\]", "", path).split(".")[1:]:
        kind = next(each.type for each in structs.fields(into) if each.name == name)
        into = next(
            (
                each
                for each in _parts(kind)
                if isinstance(each, type) and issubclass(each, msgspec.Struct)
            ),
            into,
        )
    return into


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def _nearest(name: str, known: Iterable[str]) -> str:
    if close := difflib.get_close_matches(name, list(known), n=1, cutoff=0.5):
        return f" Did you mean {close[0]}?"
    return f" There are: {', '.join(sorted(known))}."


def manual() -> str:
    """All options as Markdown tables, for the manual."""
    tables: dict[str, type[msgspec.Struct]] = {
        "[server]": config.ServerConfig,
        "[guards]": config.Guards,
        "[directory.NAME]": DirectoryConfig,
        "[directory.NAME.people]": config.PeopleConfig,
        "[directory.NAME.departments]": config.DepartmentsConfig,
        "[directory.NAME.groups]": config.GroupsConfig,
        "[[directory.NAME.roles]]": config.RoleRule,
    }
    lines: list[str] = []
    for title, record in tables.items():
        about = (record.__doc__ or "").strip().splitlines()
        lines += [f"### `{title}`", "", *(line.strip() for line in about), ""]
        lines += ["| option | default | meaning |", "|---|---|---|", *_rows(record), ""]
    return "\n".join(lines)


def commented(record: msgspec.Struct, names: Iterable[str] = ()) -> list[str]:
    """Options as lines of a TOML table, each with its meaning and commented out; all, or those named."""
    lines: list[str] = []
    for each in structs.fields(type(record)):
        meta = next((part for part in _metas(each.type) if part.description), None)
        if meta is None or (names and each.name not in names):
            continue
        lines += [f"# {meta.description}", f"# {each.name} = {_toml(getattr(record, each.name))}"]
    return lines


def quoted(value: object) -> str:
    """A value as TOML writes it."""
    return _toml(value)


def _rows(record: type[msgspec.Struct]) -> Iterator[str]:
    for each in structs.fields(record):
        meta = next((part for part in _metas(each.type) if part.description), None)
        if meta is None:
            continue
        unit = (meta.extra_json_schema or {}).get("unit")
        example = f" Example: `{_toml(meta.examples[0])}`." if meta.examples else ""
        unit_words = f" In {unit}." if unit else ""
        default = "" if each.default is msgspec.NODEFAULT else f"`{_toml(each.default)}`"
        yield f"| `{each.name}` | {default} | {meta.description}{unit_words}{example} |"


def _metas(kind: Any) -> Iterator[msgspec.Meta]:
    for part in getattr(kind, "__metadata__", ()):
        if isinstance(part, msgspec.Meta):
            yield part


def _toml(value: object) -> str:
    """A value as TOML writes it, within a line."""
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return msgspec.json.encode(str(value)).decode()
    return str(value)
