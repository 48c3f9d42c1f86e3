# SPDX-License-Identifier: GPL-3.0-or-later
"""chats, read, draft, group: the list, what is ours alone, and groups."""

from __future__ import annotations

from pathlib import Path

from client.cli.failures import Exit
from tests.client.cli.seat import House, Paper, play


def test_the_list_says_what_is_unread(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await house.seat("zhouyawen"), await house.seat("bob")
        assert (
            await bob.ok("chats")
        ).text == "No chats yet. `lanyard-cli send WHO TEXT` begins one."
        for text in ("one", "two", "三"):
            await ya.ok("send", "bob", text)
        await bob.settle()
        shown = (await bob.ok("chats", paper=Paper(width=80))).outs
        assert shown[0].split() == ["Chat", "Unread", "Last"]
        assert shown[1].split()[:2] == ["周雅雯", "3"]
        assert shown[1].endswith("三")
        record = (await bob.json("chats", "--unread"))[0]
        assert (record["unread"], record["kind"], record["peer"]["login"]) == (
            3,
            "direct",
            "zhouyawen",
        )
        assert record["last"]["text"] == "三"
        second = (await bob.json("history", "zhouyawen"))[2]["id"]
        await bob.ok("read", "zhouyawen", "--upto", second)
        assert (await bob.json("chats"))[0]["unread"] == 1
        assert (await bob.ok("read", "--all")).text == "Read: 周雅雯."
        assert (await bob.ok("read", "--all")).text == "Nothing is unread."
        assert (await bob.ok("chats", "--unread")).text == "Nothing is unread."
        assert (await bob("read")).code == Exit.USAGE
        mine = (await ya.ok("chats")).outs[1]
        assert "me: 三 (" in mine

    play(tmp_path, story)


def test_drafts_are_kept_shown_and_removed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya = await house.seat("zhouyawen")
        await ya.ok("send", "bob", "x")
        await ya.ok("draft", "bob", "not", "yet")
        await ya.settle()
        assert (await ya.ok("draft", "bob")).text == "not yet"
        assert (await ya.json("draft", "bob"))[0]["text"] == "not yet"
        assert "Draft: not yet" in (await ya.ok("chats")).text
        assert (await ya.ok("draft", "bob", "--remove")).text == "The draft is removed."
        assert (await ya.ok("draft", "bob")).text == "There is no draft."
        nobody = await ya("draft", "eve", "x")
        assert nobody.code == Exit.NOT_FOUND
        assert "`lanyard-cli send` begins one" in nobody.said

    play(tmp_path, story)


def test_the_life_of_a_group(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await house.seat("zhouyawen"), await house.seat("bob")
        made = await ya.ok("group", "create", "项目 X", "bob", "eve")
        assert made.text == "Created: 项目 X, 3 members."
        assert (await ya.ok("group", "add", "项目 X", "zhangwei")).text == "Added to 项目 X: 张伟."
        assert (
            await ya.ok("group", "remove", "项目 X", "eve")
        ).text == "Removed from 项目 X: Eve O'Neill."
        assert (
            await ya.ok("group", "rename", "项目 X", "Project Y")
        ).text == "项目 X is now called Project Y."
        assert "only its owner" in (await ya.ok("group", "readers-only", "Project Y", "on")).text
        await ya.settle()
        members = await ya.json("group", "members", "project y")
        assert [(one["user"]["login"], one["role"]) for one in members] == [
            ("zhouyawen", "owner"),
            ("bob", "member"),
            ("zhangwei", "member"),
        ]
        history = await ya.json("history", "Project Y")
        assert [one["kind"] for one in history] == [
            "created",
            "members_changed",
            "members_changed",
            "group_changed",
            "group_changed",
        ]
        assert history[1]["added"][0]["login"] == "zhangwei"
        assert history[2]["removed"][0]["login"] == "eve"
        told = (await ya.ok("history", "Project Y")).text
        assert "周雅雯 created “项目 X” with Robert Miller, Eve O'Neill" in told
        assert "周雅雯 removed Eve O'Neill" in told
        await bob.settle()
        assert (await bob.ok("group", "pin", "Project Y")).text == "Project Y is pinned."
        assert (await bob.ok("group", "mute", "Project Y", "--json", "on")).code == 0
        await bob.settle()
        chat = (await bob.json("chats"))[0]
        assert (chat["is_pinned"], chat["is_muted"]) == (True, True)
        assert (await bob.ok("group", "leave", "#Project Y")).text == "You have left Project Y."
        await bob.settle()
        assert (await bob.ok("chats")).outs[0].startswith("No chats yet")
        assert (await bob.json("chats", "--over"))[0]["is_over"] is True

    play(tmp_path, story)


def test_what_is_no_group_is_not_changed_as_one(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya = await house.seat("zhouyawen")
        await ya.ok("send", "bob", "x")
        ran = await ya("group", "rename", "bob", "Bobby")
        assert (ran.code, ran.said) == (Exit.USAGE, "Robert Miller is a direct chat, not a group.")
        assert (await ya("group", "role", "bob", "king", "bob")).code == Exit.USAGE
        assert (await ya("group", "leave", "nothing")).code == Exit.NOT_FOUND
        assert (await ya("group", "create", "")).code == Exit.USAGE

    play(tmp_path, story)


def test_a_person_and_a_group_of_one_name(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya = await house.seat("zhouyawen")
        await ya.ok("group", "create", "Robert Miller", "bob")
        await ya.ok("group", "create", "eve", "bob")
        unclear = await ya("send", "Robert Miller", "hi")
        assert unclear.code == Exit.NOT_FOUND
        assert len(unclear.errs) == 3
        await ya.ok("send", "#Robert Miller", "to the group")
        await ya.ok("send", "@bob", "to the person")
        # A login is a person's alone.
        await ya.ok("send", "eve", "to the person")
        kinds = {one["name"]: one["kind"] for one in await ya.json("chats") if one["last"]}
        assert kinds["Eve O'Neill"] == "direct"
        group = next(
            one
            for one in await ya.json("chats")
            if one["kind"] == "group" and one["name"] == "Robert Miller"
        )
        assert group["last"]["text"] == "to the group"
        await ya.ok("send", group["id"], "by id")
        await ya.ok("send", group["id"][-8:], "by the end of its id")

    play(tmp_path, story)
