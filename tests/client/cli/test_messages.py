# SPDX-License-Identifier: GPL-3.0-or-later
"""send, edit, recall, react, forward, where, outbox, history, search: in words and as records."""

from __future__ import annotations

from pathlib import Path

from client.cli.failures import Exit
from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.chat import Post
from protocol.messages.kinds import Reply, Request
from tests.client.cli.seat import House, Paper, Seat, play
from tests.client.support.wires import Wire


async def _two(house: House) -> tuple[Seat, Seat]:
    return await house.seat("zhouyawen"), await house.seat("bob")


def test_a_message_is_sent_read_and_answered(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        sent = await ya.ok("send", "bob", "Good morning. 方案看过了")
        assert sent.outs[0].startswith("Sent to Robert Miller (")
        short = sent.outs[0][-10:-2]
        await bob.settle()
        lines = (await bob.ok("history", "周雅雯")).outs
        assert lines[-1].split() == [
            short,
            lines[-1].split()[1],
            "周雅雯",
            *["Good", "morning.", "方案看过了"],
        ]
        assert "── 1 unread ──" in lines
        answered = await bob.ok("send", "@zhouyawen", "Thank you", "--reply", short)
        await ya.settle()
        page = await ya.json("history", "bob")
        assert [one["type"] for one in page] == ["notice", "message", "message"]
        assert page[1]["id"].replace("-", "").endswith(short)
        assert page[1]["delivery"]["state"] in ("sent", "delivered", "read")
        assert page[2]["reply"] == {
            "id": page[1]["id"],
            "sender": page[1]["sender"],
            "text": "Good morning. 方案看过了",
            "is_recalled": False,
        }
        assert page[2]["sender"]["login"] == "bob"
        assert answered.outs[0].startswith("Sent to 周雅雯")

    play(tmp_path, story)


def test_what_is_not_exactly_one_person_gets_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya = await house.seat("zhouyawen")
        namesakes = await ya("send", "张伟", "hi")
        assert namesakes.code == Exit.NOT_FOUND
        assert namesakes.errs == [
            "'张伟' may mean one of 2. Write the login, or the id of the chat.",
            "  @zhangwei  张伟",
            "  @zhangwei2  张伟",
        ]
        nobody = await ya("send", "bobb", "hi")
        assert nobody.code == Exit.NOT_FOUND
        assert nobody.errs == [
            "There is nobody and no group called 'bobb'. Similar:",
            "  @bob  Robert Miller",
        ]
        assert not house.office.talks
        as_record = await ya("send", "张伟", "hi", "--json")
        assert as_record.code == Exit.NOT_FOUND
        assert '"kind":"not_found"' in as_record.errs[0]
        assert '"candidates":["@zhangwei  张伟"' in as_record.errs[0]
        for empty in ("", "  "):
            assert (await ya("send", "bob", empty)).said == "The message is empty."

    play(tmp_path, story)


def test_text_comes_from_standard_input_and_is_whole(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        text = "line one\n\n  中文 line 😀\n"
        await ya.ok("send", "bob", "-", paper=Paper(input=text))
        await ya.ok(
            "send", "bob", "-", "--code", "--language", "python", paper=Paper(input="x = 1\n")
        )
        await ya.ok("send", "bob", "--rich", "a **b**")
        await bob.settle()
        whole, code, rich = (await bob.json("history", "zhouyawen"))[1:]
        assert whole["text"] == text.rstrip("\n")
        assert code["spans"] == [
            {
                "kind": "code_block",
                "start": 0,
                "length": 5,
                "user": None,
                "url": "",
                "language": "python",
            }
        ]
        assert rich["text"] == "a b"
        assert rich["spans"][0]["kind"] == "bold"
        assert (await ya("send", "bob", "x", "--language", "c")).code == Exit.USAGE

    play(tmp_path, story)


def test_mentions_reach_who_is_meant(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        eve = await house.seat("eve")
        await ya.ok("group", "create", "项目 X", "bob", "eve")
        sent = await ya.ok("send", "项目 X", "@bob 看一下, @nobody too")
        assert sent.errs == ["@nobody is nobody here, and stays plain text."]
        await ya.ok("send", "项目 X", "@bob", "--no-mentions")
        await bob.settle()
        assert [
            one["mentions_me"]
            for one in await bob.json("history", "项目 X")
            if one["type"] == "message"
        ] == [True, False]
        assert "(mentions you)" in (await bob.ok("history", "#项目 X")).text
        assert not [one for one in await eve.json("history", "项目 X") if one.get("mentions_me")]
        chats = {one["name"]: one for one in await bob.json("chats")}
        assert chats["项目 X"]["mentions"] == 1

    play(tmp_path, story)


def test_changes_of_a_message(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        sent = (await ya.json("send", "bob", "Tusday"))[0]
        assert sent["type"] == "delivery"
        await bob.settle()
        short = (await bob.ok("history", "zhouyawen")).outs[-1].split()[0]
        assert (await bob.ok("react", short, "👍")).text == f"Put 👍 on {short}."
        assert (await ya.ok("edit", sent["id"], "Tuesday")).text == f"Edited {short}."
        await ya.settle()
        message = (await ya.json("history", "bob"))[-1]
        assert message["text"] == "Tuesday"
        assert message["edited"] is not None
        assert [(one["emoji"], one["users"][0]["login"]) for one in message["reactions"]] == [
            ("👍", "bob")
        ]
        shown = (await ya.ok("history", "bob")).outs
        assert "Tuesday  (edited" in shown[-2]
        assert shown[-1].endswith("👍 Robert Miller")
        await bob.ok("react", short, "👍", "--off")
        assert (await ya.ok("recall", short)).text == f"Recalled {short}."
        await bob.settle()
        recalled = (await bob.json("history", "zhouyawen"))[-1]
        assert (recalled["text"], recalled["recalled_by"]["login"]) == ("", "zhouyawen")
        assert "(recalled)" in (await bob.ok("history", "zhouyawen")).text
        late = await ya("edit", short, "again")
        assert (late.code, late.said) == (Exit.REFUSED, "This message was recalled.")

    play(tmp_path, story)


def test_forwarding_says_where_it_came_from(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, _bob = await _two(house)
        eve = await house.seat("eve")
        sent = (await ya.json("send", "bob", "the plan"))[0]
        done = await ya.ok("forward", sent["id"], "eve", "@zhangwei")
        assert len(done.outs) == 2
        await eve.settle()
        got = (await eve.json("history", "zhouyawen"))[-1]
        assert (got["text"], got["forwarded"]["sender"]["login"]) == ("the plan", "zhouyawen")
        assert "forwarded from 周雅雯" in (await eve.ok("history", "zhouyawen")).text

    play(tmp_path, story)


def test_where_a_message_is(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        sent = (await ya.json("send", "bob", "one", "--wait", "delivered"))[0]
        assert sent["delivery"]["state"] == "delivered"
        await bob.ok("read", "zhouyawen")
        await ya.settle()
        where = (await ya.json("where", sent["id"]))[0]
        assert where["delivery"]["state"] == "read"
        assert where["here"] is None
        assert where["server"]["number"] == 2
        assert [(one["user"]["login"], one["state"]) for one in where["recipients"]] == [
            ("bob", "read")
        ]
        lines = (await ya.ok("where", sent["id"])).outs
        assert lines[0].endswith("to Robert Miller: read")
        assert any("Read by" in line and "Robert Miller" in line for line in lines)
        late = await ya("send", "eve", "hello", "--wait", "read", "--timeout", "3")
        assert late.code == Exit.TIMED_OUT
        assert "lanyard-cli where" in late.said

    play(tmp_path, story)


def test_without_the_server_a_message_waits_and_is_not_lost(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        house.network.is_down = True
        house.network.cut()
        await ya.settle()
        waiting = await ya("send", "bob", "later")
        assert waiting.code == Exit.UNREACHABLE
        assert "It waits on this computer" in waiting.said
        queued = await ya.ok("send", "bob", "later, too", "--wait", "queued")
        assert "still on this computer" in queued.text
        listed = await ya.json("outbox", "list")
        assert [(one["kind"], one["preview"], one["failure"]) for one in listed] == [
            ("text", "later", None),
            ("text", "later, too", None),
        ]
        assert "queued" in (await ya.ok("outbox", "list")).text
        where = (await ya.json("where", listed[1]["id"], "--offline"))[0]
        assert (where["delivery"]["state"], where["here"]["position"]) == ("queued", 1)
        assert "(queued)" in (await ya.ok("history", "bob", "--offline")).text
        gone = await ya.ok("outbox", "discard", listed[1]["id"])
        assert gone.text.startswith("Discarded: ")
        house.network.is_down = False
        await ya.settle()
        await ya.ok("status")
        await bob.settle()
        got = await bob.json("history", "zhouyawen")
        assert [one["text"] for one in got if one["type"] == "message"] == ["later"]
        assert (await ya.ok("outbox", "list")).text == "Nothing waits on this computer."

    play(tmp_path, story)


def _refuse_posts(request: Request[Reply], wire: Wire) -> None:
    if isinstance(request, Post):
        raise RequestRefused(ErrorCode.FORBIDDEN, "You may not write to this person.")


def test_a_refused_message_is_kept_and_can_be_tried_again(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        house.network.before = _refuse_posts
        refused = await ya("send", "bob", "hi")
        assert refused.code == Exit.REFUSED
        assert refused.said.startswith("Not sent. ")
        assert "outbox retry" in refused.said
        kept = (await ya.json("outbox", "list"))[0]
        assert kept["failure"]["code"] == "forbidden"
        assert "not sent" in (await ya.ok("outbox", "list")).text
        assert "(not sent:" in (await ya.ok("history", "bob")).text
        house.network.before = lambda request, wire: None
        again = await ya.ok("outbox", "retry", "--all")
        assert again.text.startswith("Sent: ")
        await bob.settle()
        assert (await bob.json("history", "zhouyawen"))[-1]["text"] == "hi"
        for wrong in (("outbox", "retry"), ("outbox", "discard", "ffffffff")):
            assert (await ya(*wrong)).code in (Exit.USAGE, Exit.NOT_FOUND)

    play(tmp_path, story)


def test_history_in_pages_and_whole(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        group = house.office.group([house.ya, house.bob], "long")
        for number in range(120):
            house.office.say(group, house.bob, f"message {number}")
        ya = await house.seat("zhouyawen")
        page = await ya.ok("history", "long", "--limit", "10")
        assert page.outs[-1].endswith("message 119")
        older = page.errs[-1].removeprefix("Older: --before ")
        before = await ya.json("history", "long", "--limit", "10", "--before", older)
        assert [one["text"] for one in before] == [
            f"message {number}" for number in range(100, 110)
        ]
        by_number = await ya.json("history", "long", "--limit", "2", "--before", "12")
        assert [one["number"] for one in by_number] == [10, 11]
        whole = await ya.json("history", "long", "--all")
        assert [one["number"] for one in whole] == list(range(1, 122))
        offline = await ya.json("history", "long", "--all", "--offline")
        assert [one["number"] for one in offline] == list(range(1, 122))

    play(tmp_path, story)


def test_gaps_are_said_when_the_server_is_away(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        group = house.office.group([house.ya, house.bob], "long")
        for number in range(120):
            house.office.say(group, house.bob, f"message {number}")
        seat = house.office.talks[group].seats[house.ya]
        seat.delivered = seat.read = 121  # on another device: this one fetches the newest alone
        ya = await house.seat("zhouyawen")
        house.network.is_down = True
        house.network.cut()
        await ya.settle()
        ran = await ya.ok("history", "long", "--all")
        assert "Shown is what this computer has." in ran.said
        assert ran.outs[0] == "… 101 changes not on this computer …"
        assert ran.outs[-1].endswith("message 119")
        gap = (await ya("history", "long", "--json", "--offline")).records[0]
        assert (gap["type"], gap["first"], gap["last"]) == ("gap", 1, 101)

    play(tmp_path, story)


def test_search(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya, bob = await _two(house)
        await ya.ok("send", "bob", "the budget of the fourth quarter")
        await bob.ok("send", "zhouyawen", "预算第三页还需要再改一改")
        await ya.ok("group", "create", "X", "bob")
        await ya.ok("send", "X", "budget again")
        await ya.settle()
        assert [one["text"] for one in await ya.json("search", "budget")] == [
            "budget again",
            "the budget of the fourth quarter",
        ]
        assert [
            one["conversation"]["name"] for one in await ya.json("search", "budget", "--in", "X")
        ] == ["X"]
        found = await ya.ok("search", "第三页", "--from", "bob")
        assert "Robert Miller" in found.text
        nothing = await ya.ok("search", "unicorn")
        assert nothing.text == "Nothing is found by “unicorn” on this computer."
        assert (await ya.json("search", "unicorn")) == []

    play(tmp_path, story)


def test_ids_that_name_nothing_or_too_little(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ya = await house.seat("zhouyawen")
        await ya.ok("send", "bob", "x")
        for word in ("ffffffff", "ff", "no-id"):
            assert (await ya("edit", word, "y")).code == Exit.NOT_FOUND
        other = (await ya.json("send", "eve", "for eve"))[0]["id"]
        ran = await ya("send", "bob", "y", "--reply", other)
        assert ran.code == Exit.USAGE
        assert "is not in the chat" in ran.said

    play(tmp_path, story)
