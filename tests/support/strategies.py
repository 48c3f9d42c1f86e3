# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypothesis strategies for anything that travels, made from the declared types and their limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from protocol.codec import CLIENT_KINDS, SERVER_KINDS, encode_content
from protocol.messages import chat, content
from protocol.messages.kinds import Message

LONGEST = 4
"""Longer texts and lists than this prove nothing new, but for the bounds, which have their own."""

POSTED: tuple[type[content.Content], ...] = content.PostedContent.__args__
CONTENTS: tuple[type[content.Content], ...] = content.EventContent.__args__


def from_client() -> st.SearchStrategy[Message]:
    """Anything that a client may send."""
    return st.sampled_from(list(CLIENT_KINDS.values())).flatmap(instances)


def from_server() -> st.SearchStrategy[Message]:
    """Anything that a server may send."""
    return st.sampled_from(list(SERVER_KINDS.values())).flatmap(instances)


def contents(kinds: tuple[type[content.Content], ...] = CONTENTS) -> st.SearchStrategy[Any]:
    """Anything that an event may hold."""
    return st.sampled_from(kinds).flatmap(instances)


def smallest(kind: type[msgspec.Struct]) -> Any:
    """A value with its required fields alone, each as short as it may be."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return kind(**{field.name: _smallest(field.type) for field in info.fields if field.required})


@cache
def instances(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Values of a record whose fields keep their limits; defaults come up often."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    required = {field.name: _field(kind, field) for field in info.fields if field.required}
    optional = {field.name: _field(kind, field) for field in info.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda made: kind(**made))


def _smallest(info: inspect.Type) -> Any:
    match info:
        case inspect.IntType():
            return info.ge
        case inspect.StrType():
            return "x" * (info.min_length or 0)
        case inspect.BytesType():
            return bytes(info.min_length or 0)
        case inspect.VarTupleType():
            return ()
        case inspect.StructType():
            return smallest(info.cls)
        case inspect.EnumType():
            return next(iter(info.cls))
        case inspect.RawType():
            return encode_content(content.Text(""))
        case _:
            raise AssertionError(info)


def _field(owner: type, field: inspect.Field) -> st.SearchStrategy[Any]:
    if isinstance(field.type, inspect.RawType):
        kinds = POSTED if owner is chat.Post else CONTENTS
        return contents(kinds).map(encode_content)
    return _value(field.type)


def _value(info: inspect.Type) -> st.SearchStrategy[Any]:
    if isinstance(info, inspect.UnionType):
        return st.one_of([_value(kind) for kind in info.types])
    return _MAKERS[type(info)](info)


def _texts(info: inspect.StrType) -> st.SearchStrategy[str]:
    shortest, longest = _lengths(info.min_length, info.max_length)
    return st.text(min_size=shortest, max_size=longest)  # no lone surrogate: it can't be sent


def _bytes(info: inspect.BytesType) -> st.SearchStrategy[bytes]:
    shortest, longest = _lengths(info.min_length, info.max_length)
    return st.binary(min_size=shortest, max_size=longest)


def _tuples(info: inspect.VarTupleType) -> st.SearchStrategy[tuple[Any, ...]]:
    shortest, longest = _lengths(info.min_length, info.max_length)
    return st.lists(_value(info.item_type), min_size=shortest, max_size=longest).map(tuple)


def _maps(info: inspect.DictType) -> st.SearchStrategy[dict[Any, Any]]:
    keys, values = _value(info.key_type), _value(info.value_type)
    shortest, longest = _lengths(info.min_length, info.max_length)
    return st.dictionaries(keys, values, min_size=shortest, max_size=longest)


def _lengths(shortest: int | None, longest: int | None) -> tuple[int, int]:
    least = shortest or 0
    return least, least + LONGEST if longest is None else min(longest, least + LONGEST)


_MAKERS: dict[type[inspect.Type], Callable[[Any], st.SearchStrategy[Any]]] = {
    inspect.NoneType: lambda _info: st.none(),
    inspect.BoolType: lambda _info: st.booleans(),
    inspect.IntType: lambda info: st.integers(info.ge, info.le),
    inspect.StrType: _texts,
    inspect.BytesType: _bytes,
    inspect.EnumType: lambda info: st.sampled_from(list(info.cls)),
    inspect.VarTupleType: _tuples,
    inspect.DictType: _maps,
    inspect.StructType: lambda info: instances(info.cls),
}
