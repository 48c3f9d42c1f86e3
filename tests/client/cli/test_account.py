# SPDX-License-Identifier: GPL-3.0-or-later
"""login, logout, status, servers, password: as a person meets them, and as a script does."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.cli.failures import Exit
from protocol.identity import fingerprint, fingerprint_hex, fingerprint_words
from tests.client.cli.seat import House, Paper, play
from tests.client.support.office import AUTHORITY

PRINT = fingerprint(AUTHORITY)
LOGIN = ("login", "office", "bob")


def test_a_person_compares_the_fingerprint_and_types_the_password(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        paper = Paper(is_interactive=True, answers=["yes", "secret"])
        ran = await bob.ok(*LOGIN, paper=paper)
        assert ran.text == "Signed in as Robert Miller."
        words = fingerprint_words(PRINT).split()
        assert any(" ".join(words[:6]) in line for line in ran.errs)
        assert any(" ".join(words[6:]) in line for line in ran.errs)
        assert any(fingerprint_hex(PRINT) in line for line in ran.errs)
        assert paper.asked == [
            ("Are they the same? Trust this server? [yes/no] ", False),
            ("Password of bob: ", True),
        ]
        # The second time it is a known server, and the login is known, too.
        again = await bob.ok("login", paper=Paper(is_interactive=True, answers=["secret"]))
        assert again.text == "Signed in as Robert Miller."

    play(tmp_path, story)


def test_a_person_who_is_not_sure_gives_nothing_away(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        ran = await bob(*LOGIN, paper=Paper(is_interactive=True, answers=["no"]))
        assert ran.code == Exit.TRUST
        assert ran.errs[-1] == "The server was not trusted, and nothing was sent to it."
        assert not house.office.guests
        assert bob.core.servers.trusted is None

    play(tmp_path, story)


@pytest.mark.parametrize(
    "given",
    [PRINT.hex(), PRINT.hex().upper(), fingerprint_hex(PRINT), fingerprint_words(PRINT)],
)
def test_a_script_gives_the_fingerprint_and_pipes_the_password(tmp_path: Path, given: str) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        ran = await bob.ok(*LOGIN, "--fingerprint", given, paper=Paper(input="secret\n"))
        assert ran.text == "Signed in as Robert Miller."
        assert ran.errs == []
        record = (await bob.ok("login", "--json", paper=Paper(input="secret"))).records[0]
        assert record["type"] == "account"
        assert record["user"] == {
            "id": record["user"]["id"],
            "login": "bob",
            "name": "Robert Miller",
        }

    play(tmp_path, story)


def test_a_script_without_fingerprint_is_told_what_to_compare(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        ran = await bob(*LOGIN, paper=Paper(input="secret\n"))
        assert ran.code == Exit.TRUST
        assert PRINT.hex() in ran.said
        assert "--fingerprint" in ran.said
        assert len(ran.errs) == 1

    play(tmp_path, story)


@pytest.mark.parametrize("given", ["00" * 32, PRINT.hex()[:16], "abandon " * 12, ""])
def test_another_fingerprint_is_no_fingerprint(tmp_path: Path, given: str) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        ran = await bob(*LOGIN, "--fingerprint", given, paper=Paper(input="secret\n"))
        assert ran.code == Exit.TRUST
        assert "has another fingerprint" in ran.said
        assert not house.office.guests
        # Nor for a server that is trusted already.
        await bob.ok(*LOGIN, "--fingerprint", PRINT.hex(), paper=Paper(input="secret\n"))
        again = await bob("login", "--fingerprint", given, paper=Paper(input="secret\n"))
        assert again.code == Exit.TRUST

    play(tmp_path, story)


def test_a_wrong_password_is_refused_with_the_next_step(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        trusted = ("--fingerprint", PRINT.hex())
        ran = await bob(*LOGIN, *trusted, paper=Paper(input="wrong\n"))
        assert ran.code == Exit.REFUSED
        assert "an administrator can set a new one" in ran.said
        assert "wrong" not in ran.said.replace("is wrong", "")
        assert (await bob(*LOGIN, paper=Paper(input=""))).said == "The password is empty."
        file = await bob(
            *LOGIN, "--password-file", "pw", paper=Paper(files={"pw": "secret\r\nmore"})
        )
        assert file.code == Exit.OK
        missing = await bob(*LOGIN, "--password-file", "nothing")
        assert (missing.code, missing.said) == (Exit.USAGE, "nothing can't be read.")

    play(tmp_path, story)


def test_a_first_password_has_to_be_changed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        house.office.must_change.add("bob")
        bob = await house.newcomer("bob")
        trusted = (*LOGIN, "--fingerprint", PRINT.hex())
        told = await bob(*trusted, paper=Paper(input="secret\n"))
        assert told.code == Exit.USAGE
        assert "--new-password-file" in told.said
        twice = Paper(is_interactive=True, answers=["secret", "new secret", "other secret"])
        assert (
            await bob(*trusted, paper=twice)
        ).said == "The two are not the same. Nothing was changed."
        assert twice.asked[1] == ("New password (at least 8 characters): ", True)
        same = Paper(input="secret\nsecret\n")
        assert "is the old one" in (await bob(*trusted, paper=same)).said
        done = await bob.ok(*trusted, paper=Paper(input="secret\nnew secret\n"))
        assert done.text == "Signed in as Robert Miller."
        assert house.office.passwords["bob"] == "new secret"

    play(tmp_path, story)


def test_servers_are_found(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        nothing = await bob("login", paper=Paper(input="secret"))
        assert nothing.code == Exit.NOT_FOUND
        assert "Ask IT for its address" in nothing.said
        assert (await bob.ok("servers")).text == "No server was found. Ask IT for its address."
        house.announced = ["office:7370", "lab:7370"]
        several = await bob("login", paper=Paper(input="secret"))
        assert several.code == Exit.NOT_FOUND
        assert several.errs[1:] == [
            "  office:7370  Office at office:7370",
            "  lab:7370  Office at lab:7370",
        ]
        assert [one["address"] for one in await bob.json("servers", "example.com")] == [
            "office:7370",
            "lab:7370",
        ]
        house.announced = ["office:7370"]
        paper = Paper(is_interactive=True, answers=["y", "bob", "secret"])
        assert (await bob.ok("login", paper=paper)).text == "Signed in as Robert Miller."

    play(tmp_path, story)


def test_status_tells_by_its_exit_code(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.newcomer("bob")
        before = await bob("status")
        assert before.code == Exit.NOT_SIGNED_IN
        assert before.outs[0] == "Signed in   nobody"
        for words in (("chats",), ("send", "eve", "hi"), ("logout",), ("watch",), ("password",)):
            ran = await bob(*words)
            assert ran.code == Exit.NOT_SIGNED_IN, words
            assert "lanyard-cli login" in ran.said
        await bob.ok(*LOGIN, "--fingerprint", PRINT.hex(), paper=Paper(input="secret\n"))
        record = (await bob.json("status"))[0]
        assert (record["phase"], record["user"]["login"], record["organisation"]) == (
            "connected",
            "bob",
            "Example Works",
        )
        house.network.is_down = True
        house.network.cut()
        await bob.settle()
        offline = await bob("status")
        assert offline.code == Exit.UNREACHABLE
        assert "the cable is out" in offline.text
        assert (await bob("chats")).code == Exit.OK
        patient = await bob("chats", "--timeout", "5")
        assert "Shown is what this computer has." in patient.said

    play(tmp_path, story)


def test_the_password_is_changed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.seat("bob")
        done = await bob.ok("password", paper=Paper(input="secret\nnew secret\n"))
        assert done.text == "The password is changed."
        assert house.office.passwords["bob"] == "new secret"
        weak = await bob("password", paper=Paper(input="new secret\nshort\n"))
        assert (weak.code, weak.said) == (Exit.REFUSED, "At least 8 characters.")
        files = Paper(files={"old": "new secret\n", "new": "newest secret\n"})
        await bob.ok(
            "password", "--password-file", "old", "--new-password-file", "new", paper=files
        )
        assert house.office.passwords["bob"] == "newest secret"
        wrong = await bob("password", paper=Paper(input="no\nanything long\n"))
        assert wrong.code == Exit.REFUSED

    play(tmp_path, story)


def test_signing_out_and_being_forgotten(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        bob = await house.seat("bob")
        other = await bob("login", "office", "eve", paper=Paper(input="secret"))
        assert other.code == Exit.PROFILE
        assert "Robert Miller (bob) is signed in here" in other.said
        await bob.ok("send", "eve", "x", "--wait", "queued", "--offline")
        house.network.is_down = True
        house.network.cut()
        await bob.settle()
        waiting = await bob("logout", "--forget")
        assert waiting.code == Exit.USAGE
        house.network.is_down = False
        assert (await bob.ok("logout")).text == "Signed out."
        assert not house.office.tokens
        assert (await bob("chats")).code == Exit.NOT_SIGNED_IN
        assert (await bob.ok("logout", "--forget", "--yes")).text == "Signed out."
        assert bob.core.account.me is None
        assert bob.core.servers.trusted is None

    play(tmp_path, story)
