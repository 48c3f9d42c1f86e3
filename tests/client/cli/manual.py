# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program has that its manual must name: commands with their words and options, records with their fields."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from client.cli import records
from client.cli.grammar import COMMANDS, PROGRAM, Parser, common_options, parser_of
from client.cli.records.record import Record

_WORDS = {
    str: "text",
    int: "number",
    float: "number",
    bool: "true or false",
    types.NoneType: "null",
}


def commands() -> dict[str, tuple[str, list[str]]]:
    """By name (``group add``): how it is written, and all its words and options."""
    found = {}
    for name in [name for section in COMMANDS.values() for name in section]:
        for parser in _leaves(parser_of(name)):
            named = [_named(action) for action in parser._actions if action.dest != "help"]
            listed = [text for text in named if text not in shared_options()]
            line = " ".join((parser.prog, *filter(None, map(_in_line, parser._actions))))
            found[parser.prog.removeprefix(f"{PROGRAM} ")] = (line, listed)
    return found


def shared_options() -> list[str]:
    """The options of all commands."""
    return [_named(action) for action in common_options(is_first=True)._actions]


def _leaves(parser: Parser) -> Iterator[Parser]:
    if parser.own_verbs is None:
        yield parser
        return
    for _name, verb in parser.own_verbs:
        yield from _leaves(verb)


def _named(action: argparse.Action) -> str:
    """As the manual names it: ``--limit N``, ``WHO``."""
    names = ", ".join(action.option_strings)
    value = _value(action) if action.nargs != 0 else ""
    return " ".join(filter(None, (names, value)))


def _value(action: argparse.Action) -> str:
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    text = str(action.metavar or choices)
    many = {"*": f"{text} ...", "+": f"{text} ..."}
    return many.get(str(action.nargs), text)


def _in_line(action: argparse.Action) -> str:
    """What stands in the line that shows how a command is written: words, and options that must be there."""
    if action.option_strings:
        return _named(action) if action.required else ""
    return f"[{_value(action)}]" if action.nargs in ("?", "*") else _value(action)


def record_kinds() -> dict[str, type[Record]]:
    """All records by the value of their field ``type``."""
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    return {str(kind.__struct_config__.tag): kind for kind in Record.__subclasses__()}


def parts() -> dict[str, type[msgspec.Struct]]:
    """What stands inside of records, by the name that the manual gives it."""
    found: dict[str, type[msgspec.Struct]] = {}
    waiting: list[Any] = [
        hint for kind in record_kinds().values() for hint in _hints(kind).values()
    ]
    while waiting:
        hint = waiting.pop()
        waiting += get_args(hint)
        is_part = isinstance(hint, type) and issubclass(hint, msgspec.Struct)
        if is_part and not issubclass(hint, Record) and part_name(hint) not in found:
            found[part_name(hint)] = hint
            waiting += _hints(hint).values()
    return found


def part_name(part: type) -> str:
    """``DeliveryPart`` is called Ticks, as ``delivery`` is a record."""
    return {"DeliveryPart": "Ticks"}.get(part.__name__, part.__name__.removesuffix("Record"))


def fields(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Each field with its type, as the manual names it."""
    return {name: _type_name(hint) for name, hint in _hints(kind).items()}


def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: hints[name] for name in kind.__struct_fields__}


def _type_name(hint: Any) -> str:
    if hint in _WORDS:
        return _WORDS[hint]
    origin = get_origin(hint)
    if origin in (types.UnionType, Union):
        return " or ".join(map(_type_name, get_args(hint)))
    if origin is tuple:
        return f"list of {_type_name(get_args(hint)[0])}"
    if origin is dict:
        return "object"
    if issubclass(hint, Record):
        return f"`{hint.__struct_config__.tag}`"
    return part_name(hint)
