# SPDX-License-Identifier: GPL-3.0-or-later
"""people, tree, presence: who works here, where, and who is there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import wcwidth

from client.cli.failures import Exit
from protocol.messages.people import Department, Place
from tests.client.cli.seat import House, Paper, play

TOP, SALES, NORTH = b"T" * 16, b"S" * 16, b"N" * 16


def _settle_in(house: House) -> None:
    """A tree of three, with people in it."""
    for one in (
        Department(TOP, "同合科技", None, "Tonghe"),
        Department(SALES, "市场部", TOP, "Sales"),
        Department(NORTH, "北区", SALES, "North", order=2),
    ):
        house.office.departments[one.id] = one
    for user, place in (
        (house.ya, Place(TOP, "总经理", is_head=True)),
        (house.bob, Place(NORTH, "Account Manager")),
        (house.wei1, Place(NORTH, "客户经理")),
        (house.wei2, Place(SALES, "客户经理")),
    ):
        person = house.office.people[user]
        house.office.people[user] = msgspec.structs.replace(person, places=(place,))


def test_people_are_found_in_any_script_and_aligned(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        _settle_in(house)
        ya = await house.seat("zhouyawen")
        for text in ("张", "zhang", "Wei Z"):
            assert [one["login"] for one in await ya.json("people", text)] == [
                "zhangwei",
                "zhangwei2",
            ]
        listed = (await ya.ok("people", paper=Paper(width=60))).outs
        assert listed[0].split()[:2] == ["Name", "Login"]
        place = wcwidth.width(listed[0][: listed[0].index("Login")])
        for login in ("bob", "zhangwei", "eve"):
            line = next(one for one in listed if f" {login} " in one)
            assert wcwidth.width(line[: line.index(f" {login} ") + 1]) == place, listed
        assert max(map(wcwidth.width, listed)) <= 60

    play(tmp_path, story)


def test_one_hit_is_shown_in_full(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        _settle_in(house)
        ya = await house.seat("zhouyawen")
        card = (await ya.ok("people", "Robert")).outs
        assert card[0] == "Robert Miller"
        assert "Department  北区, Account Manager" in card
        assert "Mail        bob@example.com" in card
        record = (await ya.json("people", "Robert"))[0]
        assert record["places"] == [
            {
                "department": "4e4e4e4e-4e4e-4e4e-4e4e-4e4e4e4e4e4e",
                "department_name": "北区",
                "title": "Account Manager",
                "is_head": False,
            }
        ]
        assert record["presence"] == "offline"
        assert (await ya.json("people", "Robert", "--offline"))[0]["presence"] is None
        assert (await ya.ok("people", "xyz")).text == "Nobody is found by 'xyz'."
        assert len(await ya.json("people", "--limit", "2")) == 2

    play(tmp_path, story)


def test_the_tree(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        _settle_in(house)
        ya = await house.seat("zhouyawen")
        assert (await ya.ok("tree")).outs == [
            "同合科技  Tonghe  4",
            "└─ 市场部  Sales  3",
            "   └─ 北区  North  2",
        ]
        people = (await ya.ok("tree", "市场部", "--people")).outs
        assert people == [
            "市场部  Sales  3",
            "│  张伟  @zhangwei2  客户经理",
            "└─ 北区  North  2",
            "      Robert Miller  @bob  Account Manager",
            "      张伟  @zhangwei  客户经理",
        ]
        records = await ya.json("tree", "--depth", "2")
        assert [
            (one["name"], one["depth"], one["people"], one["people_below"]) for one in records
        ] == [
            ("同合科技", 0, 1, 4),
            ("市场部", 1, 1, 3),
        ]
        for path in ("同合科技/市场部/北区", "Sales/North", "north"):
            assert (await ya.json("tree", path))[0]["name"] == "北区"
        wrong = await ya("tree", "市场")
        assert wrong.code == Exit.NOT_FOUND
        assert wrong.errs[1:] == ["  同合科技/市场部"]
        assert [one["login"] for one in await ya.json("people", "--department", "市场部")] == [
            "zhangwei2",
            "bob",
            "zhangwei",
        ]

    play(tmp_path, story)


def test_presence_is_set_and_seen(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await house.seat("zhouyawen"), await house.seat("bob")
        done = await ya.ok(
            "presence", "set", "do-not-disturb", "--status", "写方案", "--until", "2h"
        )
        assert done.text == "Set: Do not disturb, “写方案”."
        seen = await bob.json("presence", "周雅雯", "eve")
        assert [(one["login"], one["state"], one["status"]) for one in seen] == [
            ("zhouyawen", "do_not_disturb", "写方案"),
            ("eve", "offline", ""),
        ]
        shown = await bob.ok("presence", "zhouyawen")
        assert "Do not disturb" in shown.text
        assert "写方案" in shown.text
        away = await ya.ok("presence", "set", "away")
        assert "while this device is connected" in away.said
        for wrong in (
            ("presence", "set", "asleep"),
            ("presence", "set"),
            ("presence", "set", "busy", "--until", "2h"),
            ("presence", "bob", "--status", "x"),
        ):
            assert (await bob(*wrong)).code == Exit.USAGE, wrong
        assert (await bob("presence", "--offline")).code == Exit.UNREACHABLE

    play(tmp_path, story)


def test_names_of_others_cannot_command_the_terminal(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        evil = house.office.hire("evil", "\x1b]0;owned\x07Eve\x1b[2J\u202e")
        house.office.people[evil] = msgspec.structs.replace(
            house.office.people[evil], phone="\x1b[31m1", custom={"\x1bkey": "\x9bvalue"}
        )
        ya = await house.seat("zhouyawen")
        for words in (
            ("people",),
            ("people", "evil"),
            ("send", "evil", "hi"),
            ("chats",),
            ("history", "evil"),
        ):
            ran = await ya.ok(*words, paper=Paper(width=80))
            for line in (*ran.outs, *ran.errs):
                assert "\x1b" not in line, (words, line)
                assert "\x9b" not in line
                assert "\u202e" not in line

    play(tmp_path, story)
