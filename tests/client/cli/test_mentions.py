# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is mentioned in a text."""

from __future__ import annotations

import pytest

from client.cli.failures import Failure
from client.cli.mentions import Names
from protocol.messages.content import Span
from protocol.messages.people import Person

YA = Person(b"y" * 16, "zhouyawen", "周雅雯", "Yawen Zhou")
BOB = Person(b"b" * 16, "bob.miller", "Robert Miller")
BO = Person(b"o" * 16, "bob", "Bo")
WEI_1 = Person(b"1" * 16, "zhangwei", "张伟")
WEI_2 = Person(b"2" * 16, "zhangwei2", "张伟")
NAMES = Names((YA, BOB, BO, WEI_1, WEI_2))


def _found(text: str) -> list[tuple[str, bytes | None]]:
    spans, _unknown = NAMES.spans(text)
    return [(text[one.start : one.start + one.length], one.user) for one in spans]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@zhouyawen hi", [("@zhouyawen", YA.id)]),
        ("hi @周雅雯看一下", [("@周雅雯", YA.id)]),
        ("请@周雅雯，@Bo", [("@周雅雯", YA.id), ("@Bo", BO.id)]),
        ("@Yawen Zhou!", [("@Yawen Zhou", YA.id)]),
        ("@ZHOUYAWEN", [("@ZHOUYAWEN", YA.id)]),
        ("@bob.miller", [("@bob.miller", BOB.id)]),
        ("@bob. Then", [("@bob", BO.id)]),
        ("@zhangwei and @zhangwei2", [("@zhangwei", WEI_1.id), ("@zhangwei2", WEI_2.id)]),
        ("@all and @所有人", [("@all", None), ("@所有人", None)]),
        ("mail bob@bob.example", []),
        ("@boby", []),
        ("@ bob", []),
        ("@", []),
        ("", []),
    ],
)
def test_mentions_are_found(text: str, found: list[tuple[str, bytes | None]]) -> None:
    assert _found(text) == found


def test_positions_count_code_points() -> None:
    spans, _ = NAMES.spans("🎉🎉 @bob")
    assert (spans[0].start, spans[0].length) == (3, 4)


def test_a_name_of_two_people_is_refused_with_their_logins() -> None:
    with pytest.raises(Failure, match="@zhangwei, @zhangwei2"):
        NAMES.spans("@张伟 please")


def test_what_names_nobody_is_told() -> None:
    assert NAMES.spans("@nobody and @bob")[1] == ["nobody"]
    assert NAMES.spans("@allan")[1] == ["allan"]


def test_code_is_left_alone() -> None:
    text = "@bob says `@bob`"
    assert len(NAMES.spans(text, [Span("code", 10, 6)])[0]) == 1
