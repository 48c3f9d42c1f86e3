# SPDX-License-Identifier: GPL-3.0-or-later
"""How docs/protocol.md writes types, limits, defaults and decoded values; the tests compare by it."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
from msgspec import inspect

from protocol import limits
from protocol.messages import admin

REQUIRED = "required"
_ID_BYTES = 16
_CHANGES: tuple[type[msgspec.Struct], ...] = admin.DirectoryChange.__args__


def fields_of(kind: type[msgspec.Struct]) -> list[tuple[str, str, str, str]]:
    """Name, type, default and limits of each field of a record, as the specification writes them."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return [
        (field.name, type_of(field.type), _default(field), limits_of(field.type))
        for field in info.fields
    ]


def type_of(info: inspect.Type) -> str:
    """The name of a type."""
    match info:
        case inspect.BoolType():
            return "boolean"
        case inspect.IntType():
            return "count" if info.ge is not None and info.ge >= 0 else "integer"
        case inspect.StrType():
            return "text"
        case inspect.BytesType():
            return "id" if info.min_length == info.max_length == _ID_BYTES else "bytes"
        case inspect.RawType():
            return "content"
        case inspect.EnumType() | inspect.StructType():
            return info.cls.__name__
        case inspect.VarTupleType():
            return f"list of {type_of(info.item_type)}"
        case inspect.DictType():
            return f"map of {type_of(info.key_type)} to {type_of(info.value_type)}"
        case inspect.UnionType():
            return _union(info)
        case _:
            raise AssertionError(info)


def _union(info: inspect.UnionType) -> str:
    if info.includes_none:
        (kind,) = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
        return f"{type_of(kind)} or nil"
    assert {kind.cls for kind in info.types if isinstance(kind, inspect.StructType)} == {*_CHANGES}
    return "DirectoryChange"


def limits_of(info: inspect.Type) -> str:
    """What bounds a value, beside its type; empty when nothing does."""
    match info:
        case inspect.IntType():
            low, high = info.ge, info.le
            is_usual = high == limits.MAX_INTEGER and low in (0, -limits.MAX_INTEGER)
            if is_usual:
                return ""
            return f"at least {low}" if high == limits.MAX_INTEGER else f"{low} to {high}"
        case inspect.StrType():
            return _range(info.min_length, info.max_length, "characters")
        case inspect.BytesType():
            is_id = info.min_length == info.max_length == _ID_BYTES
            return "" if is_id else _range(info.min_length, info.max_length, "bytes")
        case inspect.VarTupleType():
            each = limits_of(info.item_type)
            return _joined(
                _range(info.min_length, info.max_length, "items"), each and f"each {each}"
            )
        case inspect.DictType():
            keys, values = limits_of(info.key_type), limits_of(info.value_type)
            return _joined(
                _range(info.min_length, info.max_length, "entries"),
                keys and f"keys {keys}",
                values and f"values {values}",
            )
        case inspect.UnionType():
            return _joined(*(limits_of(kind) for kind in info.types))
        case _:
            return ""


def _range(shortest: int | None, longest: int | None, of: str) -> str:
    if longest is None:
        assert not shortest
        return ""
    return f"{shortest} to {longest} {of}" if shortest else f"up to {longest} {of}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _default(field: inspect.Field) -> str:
    if field.required:
        return REQUIRED
    default = field.default
    if default is msgspec.NODEFAULT:
        default = field.default_factory()
    if isinstance(default, enum.Enum):
        return f"`{default.value}`"
    if isinstance(default, msgspec.Struct):
        assert default == type(default)()
        return "all defaults"
    if default is None:
        return "nil"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int):
        return str(default)
    return f"`{default}`" if default else "empty"


def diagnostic(value: Any) -> str:
    """A decoded value on one line: JSON, with bytes as h'..' (after RFC 8949 section 8)."""
    match value:
        case bytes():
            return f"h'{value.hex()}'"
        case dict():
            entries = (f"{diagnostic(key)}: {diagnostic(each)}" for key, each in value.items())
            return "{" + ", ".join(entries) + "}"
        case list():
            return "[" + ", ".join(diagnostic(each) for each in value) + "]"
        case _:
            return msgspec.json.encode(value).decode()
