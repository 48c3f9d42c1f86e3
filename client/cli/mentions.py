# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds who is mentioned in a text: ``@login``, ``@name`` and ``@all``. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from client.cli import show
from client.cli.failures import Exit, Failure
from protocol.messages.content import Span, SpanKind
from protocol.messages.people import Person

EVERYBODY: Final = ("all", "所有人", "全体成员")
"""Words that mean all members."""

_CODE: Final = (SpanKind.CODE.value, SpanKind.CODE_BLOCK.value)


class Names:
    """What people may be called after an @."""

    def __init__(self, people: Iterable[Person]) -> None:
        by_name: dict[str, dict[bytes, Person]] = defaultdict(dict)
        for person in people:
            for name in (person.login, person.name, person.other_name):
                if name.strip():
                    by_name[name.casefold()][person.id] = person
        self._by_name: Mapping[str, Mapping[bytes, Person]] = by_name
        lengths = {len(name) for name in (*by_name, *EVERYBODY)}
        self._lengths = sorted(lengths, reverse=True)

    def spans(self, text: str, others: Iterable[Span] = ()) -> tuple[tuple[Span, ...], list[str]]:
        """The mentions in a text, and the words after an @ that name nobody. Code (``others``) is left alone.

        Raises Failure for a name that several people bear.
        """
        code = [span for span in others if span.kind in _CODE]
        found: list[Span] = []
        unknown: list[str] = []
        at = text.find("@")
        while at >= 0:
            end = at + 1
            is_code = any(span.start <= at < span.start + span.length for span in code)
            if not is_code and not (at and _is_word(text[at - 1])):
                if span := self._span_at(text, at):
                    found.append(span)
                    end = span.start + span.length
                elif word := _word_at(text, at + 1):
                    unknown.append(word)
            at = text.find("@", end)
        return tuple(found), unknown

    def _span_at(self, text: str, at: int) -> Span | None:
        """The longest name that stands after the @."""
        for length in self._lengths:
            name = text[at + 1 : at + 1 + length].casefold()
            if len(name) != length or _goes_on(text, at + 1 + length):
                continue
            if bearers := self._by_name.get(name):
                return Span(SpanKind.MENTION.value, at, length + 1, user=_one_of(bearers, name))
            if name in EVERYBODY:
                return Span(SpanKind.MENTION_ALL.value, at, length + 1)
        return None


def _one_of(bearers: Mapping[bytes, Person], name: str) -> bytes:
    by_login = [one.id for one in bearers.values() if one.login.casefold() == name]
    if len(bearers) == 1 or by_login:
        return by_login[0] if by_login else next(iter(bearers))
    logins = ", ".join(sorted(f"@{one.login}" for one in bearers.values()))
    raise Failure(
        f"@{show.one_line(name)} may be {logins}: write the login, or use --no-mentions.",
        Exit.NOT_FOUND,
    )


def _is_word(letter: str) -> bool:
    """Letters of scripts that put spaces between words: in Chinese a mention may stand anywhere."""
    return letter.isalnum() and ord(letter) < 0x2E80


def _goes_on(text: str, end: int) -> bool:
    """Whether the word before ``end`` is only the beginning of a longer one."""
    return end < len(text) and _is_word(text[end]) and _is_word(text[end - 1])


def _word_at(text: str, start: int) -> str:
    end = start
    while end < len(text) and (text[end].isalnum() or text[end] in "._-"):
        end += 1
    return text[start:end].rstrip("._-")
