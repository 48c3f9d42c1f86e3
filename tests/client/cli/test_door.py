# SPDX-License-Identifier: GPL-3.0-or-later
"""The door: a second command through the first one's core, with the second one's terminal."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from client.cli import door as door_module
from client.cli.door import Door, HostLeft, Serve, knock
from client.cli.failures import Exit, Failure
from client.cli.grammar import version
from client.cli.terminal import Terminal
from tests.client.cli.seat import Paper


async def _echo(arguments: Sequence[str], terminal: Terminal) -> int:
    terminal.out(" ".join(arguments))
    terminal.err("said")
    return 7


async def _open(folder: Path, serve: Serve = _echo) -> Door:
    door = Door(folder, serve)
    await door.open_after(0.0)
    return door


async def test_a_guest_gets_output_and_exit_code(tmp_path: Path) -> None:
    door = await _open(tmp_path)
    paper = Paper(width=77)
    assert await knock(tmp_path, ["send", "周雅雯", "你好"], paper, is_endless=False) == 7
    assert (paper.outs, paper.errs) == (["send 周雅雯 你好"], ["said"])
    await door.close()
    assert await knock(tmp_path, ["x"], Paper(), is_endless=False) is None
    assert not (tmp_path / "door").exists()


async def test_questions_and_files_are_the_guests(tmp_path: Path) -> None:
    async def serve(arguments: Sequence[str], terminal: Terminal) -> int:
        assert (terminal.width, terminal.has_colour, terminal.is_interactive) == (50, True, True)
        terminal.out(await terminal.ask("Sure? "))
        terminal.out(await terminal.ask("Password: ", is_secret=True))
        terminal.out(await terminal.read_line())
        terminal.out(await terminal.read_all())
        terminal.out(await terminal.read_file("here"))
        try:
            await terminal.read_file("nowhere")
        except Failure as failure:
            terminal.err(failure.sentence)
            return failure.exit_code
        return 0

    door = await _open(tmp_path, serve)
    paper = Paper(50, True, True, ["yes", "geheim"], "one\ntwo\nthree", {"here": "file"})
    assert await knock(tmp_path, ["x"], paper, is_endless=False) == Exit.USAGE
    assert paper.outs == ["yes", "geheim", "one", "two\nthree", "file"]
    assert paper.asked == [("Sure? ", False), ("Password: ", True)]
    assert paper.errs == ["nowhere can't be read."]
    await door.close()


async def test_nobody_is_home(tmp_path: Path) -> None:
    assert await knock(tmp_path, ["x"], Paper(), is_endless=False) is None
    (tmp_path / "door").touch()  # left by a process that was killed
    assert await knock(tmp_path, ["x"], Paper(), is_endless=False) is None
    door = await _open(tmp_path)
    assert await knock(tmp_path, ["x"], Paper(), is_endless=False) == 7
    await door.close()


async def test_only_the_owner_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door = await _open(tmp_path)
    assert stat.S_IMODE((tmp_path / "door").stat().st_mode) == 0o600
    monkeypatch.setattr(os, "geteuid", lambda: 12345)  # the host thinks that it is somebody else
    assert await knock(tmp_path, ["x"], Paper(), is_endless=False) is None
    await door.close()


async def test_a_guest_who_leaves_ends_the_command(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def forever(arguments: Sequence[str], terminal: Terminal) -> int:
        terminal.out("begun")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    door = await _open(tmp_path, forever)
    paper = Paper()
    guest = asyncio.ensure_future(knock(tmp_path, ["watch"], paper, is_endless=True))
    await paper.has_printed.wait()
    guest.cancel()
    await asyncio.wait_for(ended.wait(), 5)
    await asyncio.gather(guest, return_exceptions=True)
    await door.close()


async def test_when_the_host_ends_the_short_may_finish_and_the_endless_move_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "GOODBYE_S", 0.5)
    may_end = asyncio.Event()

    async def serve(arguments: Sequence[str], terminal: Terminal) -> int:
        terminal.out("begun")
        await (may_end.wait() if list(arguments) == ["short"] else asyncio.Event().wait())
        return 0

    door = await _open(tmp_path, serve)
    papers = [Paper(), Paper(), Paper()]
    short, stuck, endless = (
        asyncio.ensure_future(knock(tmp_path, [word], paper, is_endless=word == "endless"))
        for word, paper in zip(("short", "stuck", "endless"), papers, strict=True)
    )
    for paper in papers:
        await paper.has_printed.wait()
    closing = asyncio.ensure_future(door.close())
    with pytest.raises(HostLeft):
        await endless
    may_end.set()
    assert await short == 0
    assert await stuck == Exit.UNREACHABLE
    assert "has ended" in papers[1].errs[0]
    await closing


async def test_a_host_that_is_killed_is_noticed(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        door_module._send(writer, door_module.Out("one"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "door")
    paper = Paper()
    with pytest.raises(Failure, match="has stopped") as caught:
        await knock(tmp_path, ["x"], paper, is_endless=False)
    assert caught.value.exit_code is Exit.UNREACHABLE
    assert paper.outs == ["one"]
    server.close()
    await server.wait_closed()


async def test_another_version_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = await _open(tmp_path)
    versions = iter(["0.2", "0.1", "0.1"])
    monkeypatch.setattr(door_module, "version", lambda: next(versions))
    paper = Paper()
    assert await knock(tmp_path, ["x"], paper, is_endless=False) == Exit.PROFILE
    assert "Version 0.1 has this profile open, and this is 0.2" in paper.errs[0]
    await door.close()


@pytest.mark.parametrize(
    "bytes_sent", [b"", b"\x00\x00\x00\x05hello", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\x90"]
)
async def test_what_is_no_command_is_dropped(tmp_path: Path, bytes_sent: bytes) -> None:
    door = await _open(tmp_path)
    reader, writer = await asyncio.open_unix_connection(tmp_path / "door")
    writer.write(bytes_sent)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert await knock(tmp_path, ["x"], Paper(), is_endless=False) == 7
    await door.close()


async def test_a_profile_with_a_very_long_path(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a" * 60] * 3)
    folder.mkdir(parents=True)
    door = await _open(folder)
    assert await knock(folder, ["x"], Paper(), is_endless=False) == 7
    await door.close()
    assert list(folder.iterdir()) == []


async def test_a_guest_who_does_not_read_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "MAX_UNREAD_BYTES", 100_000)
    gone = asyncio.Event()

    async def flood(arguments: Sequence[str], terminal: Terminal) -> int:
        try:
            while True:
                terminal.out("x" * 10_000)
                await asyncio.sleep(0)
        finally:
            gone.set()

    door = await _open(tmp_path, flood)
    _reader, writer = await asyncio.open_unix_connection(tmp_path / "door", limit=1)
    begin = door_module.Begin(version(), ("watch",), None, False, False, True)
    door_module._send(writer, begin)
    await asyncio.wait_for(gone.wait(), 10)
    writer.close()
    await door.close()
