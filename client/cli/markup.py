# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe subset of rich text as people type it (``--rich``): marks in, plain text and spans out. Pure.

**bold**  *italic*  ~~strike~~  `code`  [text](https://...)  > quote  - item  and ``` blocks. A backslash takes the meaning away.
"""

import re
from collections.abc import Iterator
from typing import Final

from protocol.messages.content import Span, SpanKind

_PAIRS: Final = (("**", SpanKind.BOLD), ("~~", SpanKind.STRIKE), ("*", SpanKind.ITALIC))
_LINK: Final = re.compile(r"\[([^\[\]\n]+)\]\(((?:https?://|mailto:|lanyard:)[^()\s]+)\)")
_LINES: Final = (("> ", SpanKind.QUOTE), ("- ", SpanKind.LIST_ITEM))
_FENCE: Final = "```"
DEEPEST: Final = 8
"""Marks inside marks: more is noise."""


class _Writing:
    """Text and spans as they grow."""

    def __init__(self) -> None:
        self.text = ""
        self.spans: list[Span] = []

    def mark(self, kind: SpanKind, start: int, *, url: str = "", language: str = "") -> None:
        """What was written since ``start`` is of this kind."""
        if length := len(self.text) - start:
            self.spans.append(Span(kind.value, start, length, url=url, language=language))


def parse(source: str) -> tuple[str, tuple[Span, ...]]:
    """The plain text and its spans, outer ones before those inside."""
    writing = _Writing()
    is_first = True
    for kind, part, language in _parts(source):
        if not is_first:
            writing.text += "\n"
        is_first = False
        start = len(writing.text)
        if kind is SpanKind.CODE_BLOCK:
            writing.text += part
            writing.mark(kind, start, language=language)
            continue
        _inline(part, writing, 0)
        if kind is not None:
            writing.mark(kind, start)
    spans = sorted(writing.spans, key=lambda span: (span.start, -span.length))
    return writing.text, tuple(spans)


def _parts(source: str) -> Iterator[tuple[SpanKind | None, str, str]]:
    """Lines with what they are; a fenced block is one part."""
    lines = source.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if line.startswith(_FENCE) and _FENCE in lines[index:]:
            end = lines.index(_FENCE, index)
            yield SpanKind.CODE_BLOCK, "\n".join(lines[index:end]), line[3:].strip()[:40]
            index = end + 1
            continue
        for prefix, kind in _LINES:
            if line.startswith(prefix):
                yield kind, line.removeprefix(prefix), ""
                break
        else:
            yield None, line, ""


def _inline(source: str, writing: _Writing, depth: int) -> None:
    at = 0
    while at < len(source):
        at = _step(source, at, writing, depth)


def _step(source: str, at: int, writing: _Writing, depth: int) -> int:
    """Write what stands at ``at``; the result is where to go on."""
    letter = source[at]
    if letter == "\\" and at + 1 < len(source) and source[at + 1] in "\\*~`[>-@":
        writing.text += source[at + 1]
        return at + 2
    start = len(writing.text)
    if letter == "`" and (end := source.find("`", at + 1)) > at + 1:
        writing.text += source[at + 1 : end]
        writing.mark(SpanKind.CODE, start)
        return end + 1
    if depth < DEEPEST:
        if letter == "[" and (link := _LINK.match(source, at)):
            _inline(link[1], writing, DEEPEST)
            writing.mark(SpanKind.LINK, start, url=link[2])
            return link.end()
        for mark, kind in _PAIRS:
            inner = _between(source, at, mark)
            if inner is not None:
                _inline(inner, writing, depth + 1)
                writing.mark(kind, start)
                return at + len(inner) + 2 * len(mark)
    writing.text += letter
    return at + 1


def _between(source: str, at: int, mark: str) -> str | None:
    """What stands between two marks that hug their text; None when there are not two."""
    if not source.startswith(mark, at):
        return None
    begin = at + len(mark)
    end = source.find(mark, begin + 1)
    while end >= 0 and source[end - 1] in " \\":
        end = source.find(mark, end + 1)
    if end < 0 or source[begin] == " ":
        return None
    return source[begin:end]
