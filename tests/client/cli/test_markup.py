# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe subset of rich text: marks in, plain text and spans out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cli.markup import parse
from protocol.codec import decode_posted, encode_content
from protocol.messages.content import Text


def _marked(source: str) -> tuple[str, list[tuple[str, str]]]:
    text, spans = parse(source)
    return text, [(one.kind, text[one.start : one.start + one.length]) for one in spans]


@pytest.mark.parametrize(
    ("source", "text", "spans"),
    [
        ("a **b** c", "a b c", [("bold", "b")]),
        ("*b*", "b", [("italic", "b")]),
        ("~~b~~", "b", [("strike", "b")]),
        ("`*x*`", "*x*", [("code", "*x*")]),
        ("**a *b* c**", "a b c", [("bold", "a b c"), ("italic", "b")]),
        ("2 * 3 * 4", "2 * 3 * 4", []),
        ("**unfinished", "**unfinished", []),
        (r"\*no\*", "*no*", []),
        ("> said **x**\nme", "said x\nme", [("quote", "said x"), ("bold", "x")]),
        ("- one\n- two", "one\ntwo", [("list_item", "one"), ("list_item", "two")]),
        ("```python\nx = *y*\n```\nend", "x = *y*\nend", [("code_block", "x = *y*")]),
        ("```\nopen", "```\nopen", []),
        ("[the **plan**](https://a.example/x)", "the **plan**", [("link", "the **plan**")]),
        ("[bad](javascript:alert)", "[bad](javascript:alert)", []),
        ("**中文**，好", "中文，好", [("bold", "中文")]),
        ("", "", []),
    ],
)
def test_marks(source: str, text: str, spans: list[tuple[str, str]]) -> None:
    assert _marked(source) == (text, spans)


def test_a_block_keeps_its_language_and_a_link_its_target() -> None:
    assert parse("```python\nx\n```")[1][0].language == "python"
    assert parse("[a](mailto:b@c.example)")[1][0].url == "mailto:b@c.example"


@given(st.text(alphabet="ab *~`[]()>-\\\n中:/", max_size=60))
def test_whatever_is_typed_makes_a_message_that_a_server_takes(source: str) -> None:
    text, spans = parse(source)
    ends = [(one.start, one.start + one.length) for one in spans]
    for first, last in ends:
        assert 0 <= first < last <= len(text)
        for other_first, other_last in ends:
            assert not first < other_first < last < other_last, "spans may nest, never cross"
    if text.strip():
        decode_posted(encode_content(Text(text, spans)))
