# SPDX-License-Identifier: GPL-3.0-or-later
"""watch: what happens, as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from client.cli.failures import Exit
from protocol.errors import ErrorCode
from protocol.messages.session import SessionEnded
from tests.client.cli.seat import House, Paper, Ran, play


async def _watched(
    house: House, login: str, words: list[str], happen: Callable[[], Awaitable[None]]
) -> tuple[Ran, Paper]:
    """What a watch prints while something happens; a minute is enough for everything."""
    seat = house.seats[[one.computer.login for one in house.seats].index(login)]
    paper = Paper(width=80)
    watching = asyncio.ensure_future(seat("watch", "--seconds", "60", *words, paper=paper))
    await asyncio.sleep(1)
    await happen()
    return await watching, paper


def test_messages_changes_and_ticks_are_printed_as_they_come(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await house.seat("zhouyawen"), await house.seat("bob")

        async def happen() -> None:
            sent = (await ya.json("send", "bob", "first"))[0]["id"]
            await ya.ok("edit", sent, "first, better")
            await bob.ok("send", "zhouyawen", "answer")
            await ya.settle()
            await ya.ok("read", "bob")
            await ya.settle()

        ran, _ = await _watched(house, "bob", [], happen)
        assert ran.code == Exit.OK
        text = "\n".join(ran.outs)
        assert "周雅雯  first" in text
        assert "changed:" in text
        assert "first, better  (edited" in text
        assert "me  answer" in text
        assert ran.outs[-1].endswith("  read")
        assert "connected" in ran.errs[0]

    play(tmp_path, story)


def test_records_for_programs(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await house.seat("zhouyawen"), await house.seat("bob")
        await ya.ok("send", "bob", "before")
        await bob.settle()

        async def happen() -> None:
            ya.core.chats.typing(ya.core.chats.direct_with(house.bob))
            await ya.ok("presence", "set", "busy")
            sent = (await ya.json("send", "bob", "now"))[0]["id"]
            await ya.ok("recall", sent)

        ran, _ = await _watched(house, "bob", ["--json", "--typing", "--presence"], happen)
        records = [json.loads(line) for line in ran.outs]
        kinds = {one["type"] for one in records}
        assert kinds == {"connection", "typing", "presence", "message", "changed", "chat"}
        message = next(one for one in records if one["type"] == "message")
        assert (message["text"], message["conversation"]["name"]) == ("now", "周雅雯")
        changed = [one for one in records if one["type"] == "changed"]
        assert changed[-1]["message"]["recalled_by"]["login"] == "zhouyawen"
        typing = next(one for one in records if one["type"] == "typing")
        assert [one["login"] for one in typing["users"]] == ["zhouyawen"]
        assert "before" not in [one.get("text") for one in records]

    play(tmp_path, story)


def test_only_one_chat_and_only_so_many(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await house.seat("zhouyawen"), await house.seat("bob")
        eve = await house.seat("eve")
        await eve.ok("send", "bob", "hello")
        await bob.settle()

        async def happen() -> None:
            await ya.ok("send", "bob", "not this")
            for number in range(3):
                await eve.ok("send", "bob", f"this {number}")

        ran, _ = await _watched(house, "bob", ["--in", "eve", "--count", "2", "--read"], happen)
        assert ran.code == Exit.OK
        assert [line.rsplit("  ", 1)[-1] for line in ran.outs] == ["this 0", "this 1"]
        await bob.settle()
        chats = {one["name"]: one["unread"] for one in await bob.json("chats")}
        assert chats == {"Eve O'Neill": 1, "周雅雯": 1}

    play(tmp_path, story)


def test_a_watch_says_when_the_server_goes_and_comes_back(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.seat("bob")

        async def happen() -> None:
            house.network.is_down = True
            house.network.cut()
            await asyncio.sleep(5)
            house.network.is_down = False

        ran, _ = await _watched(house, "bob", [], happen)
        assert ran.code == Exit.OK
        assert [line.split()[1].rstrip(":.") for line in ran.errs] == [
            "connected",
            "offline",
            "connected",
        ]

    play(tmp_path, story)


def test_a_session_that_is_ended_ends_the_watch(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.seat("bob")

        async def happen() -> None:
            house.office.tokens.clear()
            for guest in tuple(house.office.guests):
                guest.push(
                    SessionEnded(ErrorCode.SESSION_ENDED.value, "An administrator ended it.")
                )
            await asyncio.sleep(1)
            house.network.cut()

        ran, _ = await _watched(house, "bob", [], happen)
        assert ran.code == Exit.NOT_SIGNED_IN
        assert "An administrator ended it." in ran.said

    play(tmp_path, story)


def test_a_count_that_is_not_reached_is_a_failure(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.seat("bob")
        assert (await bob("watch", "--count", "1", "--seconds", "2")).code == Exit.TIMED_OUT
        assert (await bob("watch", "--offline")).code == Exit.UNREACHABLE

    play(tmp_path, story)
