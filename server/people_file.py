# SPDX-License-Identifier: GPL-3.0-or-later
"""People and departments from a CSV or JSON file: read and checked, each mistake with its place. Nothing is compared or changed here."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from protocol import limits
from protocol.messages.people import Field
from protocol.messages.session import Login, Name, Password
from server.failures import Exit, Failure

CSV_COLUMNS: Final = ("login", "name", "email", "phone", "department", "title", "password")
REQUIRED_COLUMNS: Final = ("login", "name")
PATH_SEPARATOR: Final = "/"
PLACES_SEPARATOR: Final = ";"
MAX_FILE_BYTES: Final = 256 << 20
"""A million people take about 100 MB; more is not a list of people."""
MAX_MISTAKES: Final = 50
"""Named at once: enough to see what they have in common."""

Key = Annotated[str, Meta(min_length=1, max_length=limits.MAX_FIELD_CHARS)]


class FilePlace(Struct, frozen=True, forbid_unknown_fields=True):
    """A seat in a department, named by the department's key."""

    key: Key
    title: Field = ""
    order: int = 0
    is_head: bool = False


class FileDepartment(Struct, frozen=True, forbid_unknown_fields=True):
    """A department; its key is what the file knows it by, from one import to the next."""

    key: Key
    name: Name
    parent: Key | None = None
    order: int | None = None


class FilePerson(Struct, frozen=True, forbid_unknown_fields=True):
    """A person; what is None is not in the file and stays as it is."""

    login: Login
    name: Name
    email: Field | None = None
    phone: Field | None = None
    departments: (
        Annotated[tuple[FilePlace, ...], Meta(max_length=limits.MAX_PLACES_PER_PERSON)] | None
    ) = None
    password: Password | None = None


class PeopleFile(Struct, frozen=True):
    """What a file says."""

    departments: tuple[FileDepartment, ...]
    """Parents before what is below them."""
    people: tuple[FilePerson, ...]
    has_keys: bool
    """Whether departments have keys of their own; otherwise the key is the path of names."""


class FileInvalid(Failure):
    """The file has mistakes; ``mistakes`` are sentences with file and line."""

    def __init__(self, mistakes: list[str]) -> None:
        more = len(mistakes) - MAX_MISTAKES
        shown = mistakes[:MAX_MISTAKES] + ([f"... and {more} more"] if more > 0 else [])
        super().__init__("\n".join([*shown, "Nothing was changed."]), Exit.BAD_DATA)
        self.mistakes = mistakes


def read(path: Path) -> PeopleFile:
    """Read a file by the ending of its name. Raises FileInvalid with all mistakes, Failure when there is no such file."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Failure(f"{path} is larger than {MAX_FILE_BYTES >> 20} MB.", Exit.BAD_DATA)
        data = path.read_bytes()
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror}.", Exit.NO_INPUT) from error
    try:
        text = data.decode("utf-8-sig")  # spreadsheets put a mark in front
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        sentence = f"{path}, line {line}: this is not UTF-8 text; save the file as UTF-8."
        raise FileInvalid([sentence]) from error
    if path.suffix.lower() == ".json":
        return parse_json(text, str(path))
    if path.suffix.lower() == ".csv":
        return parse_csv(text, str(path))
    raise Failure(f"{path}: the name must end in .csv or .json.", Exit.BAD_DATA)


def parse_json(text: str, source: str) -> PeopleFile:
    """Read the JSON form. Raises FileInvalid."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileInvalid([f"{source}, line {error.lineno}: {error.msg}."]) from error
    parts = content if isinstance(content, dict) else {"": content}
    departments, people = parts.pop("departments", []), parts.pop("people", [])
    if parts or not isinstance(departments, list) or not isinstance(people, list):
        raise FileInvalid(
            [f'{source}: expected {{"departments": [...], "people": [...]}} and nothing else.']
        )
    mistakes: list[str] = []
    places = [f"{source}, departments[{number}]" for number in range(len(departments))]
    read_departments = list(_convert(departments, FileDepartment, places, "key", mistakes))
    places = [f"{source}, people[{number}]" for number in range(len(people))]
    read_people = list(_convert(people, FilePerson, places, "login", mistakes))
    mistakes += _twice([person.login.casefold() for person in read_people], source, "login")
    mistakes += _twice(
        [department.key for department in read_departments], source, "department key"
    )
    known = {department.key for department in read_departments}
    for person in read_people:
        for place in person.departments or ():
            if place.key not in known:
                mistakes.append(f"{source}: {person.login}: there is no department {place.key!r}.")
    ordered = _parents_first(read_departments, source, mistakes)
    if mistakes:
        raise FileInvalid(mistakes)
    return PeopleFile(tuple(ordered), tuple(read_people), has_keys=True)


def parse_csv(text: str, source: str) -> PeopleFile:
    """Read the CSV form; the separator is found by itself. Raises FileInvalid."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    mistakes: list[str] = []
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    paths: dict[tuple[str, ...], None] = {}
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        mistakes += _wrong_header(header, source)
        reader.fieldnames = header
        for row in [] if mistakes else reader:
            at = f"{source}, line {reader.line_num}"
            if None in row or None in row.values():
                mistakes.append(f"{at}: expected {len(header)} values, as in the first line.")
                continue
            values = {name: (value or "").strip() for name, value in row.items()}
            if any(values.values()):
                rows.append(_person_of(values, header, paths))
                lines.append(at)
    except csv.Error as error:
        mistakes.append(f"{source}, line {reader.reader.line_num}: {error}.")
    people = list(_convert(rows, FilePerson, lines, "login", mistakes))
    mistakes += _twice([person.login.casefold() for person in people], source, "login")
    departments = list(
        _convert(_path_departments(paths), FileDepartment, [source] * len(paths), "key", mistakes)
    )
    if mistakes:
        raise FileInvalid(mistakes)
    return PeopleFile(tuple(departments), tuple(people), has_keys=False)


def _wrong_header(header: list[str], source: str) -> Iterator[str]:
    for name in REQUIRED_COLUMNS:
        if name not in header:
            yield f"{source}, line 1: there is no column {name!r}. Columns: {', '.join(CSV_COLUMNS)}."
    for name in header:
        if name not in CSV_COLUMNS:
            yield f"{source}, line 1: unknown column {name!r}. Columns: {', '.join(CSV_COLUMNS)}."
    yield from _twice(header, f"{source}, line 1", "column")


def _person_of(
    values: dict[str, str], header: list[str], paths: dict[tuple[str, ...], None]
) -> dict[str, Any]:
    """A row as the JSON form has it; adds the departments that it names to ``paths``."""
    person: dict[str, Any] = {
        name: values[name] for name in ("login", "name", "email", "phone") if name in header
    }
    if values.get("password"):
        person["password"] = values["password"]
    if "department" in header:
        named = [_path_of(text) for text in values["department"].split(PLACES_SEPARATOR)]
        named = [path for path in named if path]
        titles = [title.strip() for title in values.get("title", "").split(PLACES_SEPARATOR)]
        if len(titles) == 1:  # one title holds for every place
            titles *= len(named)
        titles += [""] * (len(named) - len(titles))
        for path in named:
            paths.update((path[:depth], None) for depth in range(1, len(path) + 1))
        person["departments"] = [
            {"key": PATH_SEPARATOR.join(path), "title": title}
            for path, title in zip(named, titles, strict=False)
        ]
    return person


def _path_of(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(PATH_SEPARATOR) if name.strip())


def _path_departments(paths: dict[tuple[str, ...], None]) -> list[dict[str, Any]]:
    return [
        {
            "key": PATH_SEPARATOR.join(path),
            "name": path[-1],
            "parent": PATH_SEPARATOR.join(path[:-1]) or None,
        }
        for path in paths
    ]


def _convert(
    values: list[Any], kind: type[Any], places: list[str], name: str, mistakes: list[str]
) -> Iterator[Any]:
    """Check each value; one that is wrong becomes a sentence in ``mistakes``."""
    for value, place in zip(values, places, strict=True):
        try:
            yield msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            known = value.get(name, "") if isinstance(value, dict) else ""
            label = f" ({name} {known!r})" if known else ""
            what = str(error).replace(" - at `$.", ": `").replace("`str`", "a text")
            mistakes.append(f"{place}{label}: {what}.")


def _twice(values: list[str], source: str, what: str) -> list[str]:
    seen: set[str] = set()
    found = []
    for value in values:
        if value in seen:
            found.append(f"{source}: the {what} {value!r} stands there twice.")
        seen.add(value)
    return found


def _parents_first(
    departments: list[FileDepartment], source: str, mistakes: list[str]
) -> list[FileDepartment]:
    """The departments in an order in which they can be made."""
    by_key = {department.key: department for department in departments}
    ordered: dict[str, FileDepartment] = {}
    for department in departments:
        chain: list[FileDepartment] = []
        current: FileDepartment | None = department
        while current is not None and current.key not in ordered:
            if current in chain:
                mistakes.append(f"{source}: department {current.key!r} stands below itself.")
                break
            if len(chain) >= limits.MAX_DEPARTMENT_DEPTH:
                mistakes.append(
                    f"{source}: department {department.key!r} stands more than "
                    f"{limits.MAX_DEPARTMENT_DEPTH} levels deep."
                )
                break
            chain.append(current)
            if current.parent is not None and current.parent not in by_key:
                mistakes.append(
                    f"{source}: department {current.key!r}: "
                    f"there is no department {current.parent!r}."
                )
                break
            current = by_key[current.parent] if current.parent is not None else None
        else:
            ordered.update((each.key, each) for each in reversed(chain))
    return list(ordered.values())
