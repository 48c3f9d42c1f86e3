# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: founds a sample office, starts its server, plays a scene between three people, and stays up for guests.

    python -m tests.scenes.office [--once] [--keep DIR]

``--once`` ends after the scene: exit code 0 only if every step was seen on the receiving side.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from client.cli.show import Paint, Style
from client.core.errors import CoreError
from client.core.events import MessagesArrived
from protocol.messages.chat import ConversationKind
from tests.scenes.actor import Actor, NotSeen
from tests.scenes.stage import Stage, found, invitation
from tests.scenes.steps import play

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="dev.py demo", description="Play a scene in a sample office."
    )
    parser.add_argument("--once", action="store_true", help="end after the scene")
    parser.add_argument("--keep", metavar="DIR", help="keep the office in this new folder")
    options = parser.parse_args(arguments)
    logging.getLogger("lanyard").addHandler(logging.NullHandler())
    folder = Path(options.keep or tempfile.mkdtemp(prefix="lanyard-demo-")).absolute()
    if options.keep and folder.exists() and any(folder.iterdir()):
        print(f"{folder} is not empty; give a new folder.", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(_in_order(_run(folder, is_once=options.once)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nThe office is closed.")
        return 130 if options.once else 0
    finally:
        if options.keep:
            print(f"The office is kept in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _in_order(work: object) -> int:
    """Let SIGTERM end the demo as Ctrl+C does."""
    task = asyncio.current_task()
    if os.name == "posix" and task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work  # type: ignore[misc,no-any-return]


async def _run(folder: Path, *, is_once: bool) -> int:
    paint = Paint(has_colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    print(
        "Founding a sample office of 200 people with lanyard-server init and import ...", flush=True
    )
    try:
        founded = await _to_its_end(lambda: found(folder))
    except (AssertionError, subprocess.TimeoutExpired) as error:
        print(f"{paint(Style.DANGER, '✗')} The office could not be founded: {error}", flush=True)
        return 1
    stage = Stage(founded, folder, paint)
    began = time.monotonic()
    try:
        try:
            await _to_its_end(stage.open)
        except AssertionError as error:
            print(f"{paint(Style.DANGER, '✗')} {str(error).capitalize()}", flush=True)
            return 1
        print(f"The server runs at {stage.address}.", flush=True)
        await stage.prepare()
        try:
            await play(stage)
        except (NotSeen, CoreError, TimeoutError) as error:
            print(
                f"\n{paint(Style.DANGER, '✗')} {str(error) or 'A step took too long.'}", flush=True
            )
            print("\nThe server's log:\n" + stage.server.logged(), file=sys.stderr)
            return 1
        took_s = time.monotonic() - began
        print(
            f"\n{stage.seen} things were seen where they had to arrive, in {took_s:.1f} s.",
            flush=True,
        )
        if not is_once:
            print("\n" + "\n".join(invitation(stage)), flush=True)
            await _stay(stage)
        return 0
    finally:
        await stage.close()


async def _to_its_end(work: Callable[[], Result]) -> Result:
    """Run it in a thread. When the demo is ended meanwhile it is waited for: what it starts must be known, to be stopped."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        raise


async def _stay(stage: Stage) -> None:
    """Keep the office open until Ctrl+C; whoever is written to reads it and answers."""
    async with asyncio.TaskGroup() as tasks:
        for actor in stage.actors:
            tasks.create_task(_answer(actor))


async def _answer(actor: Actor) -> None:
    core = actor.core
    with core.subscribe() as events:
        async for event in events:
            if not isinstance(event, MessagesArrived):
                continue
            chat = await core.chats.get(event.conversation)
            await core.chats.mark_read(event.conversation)
            others = [one for one in event.messages if not one.is_mine]
            if others and chat.kind == ConversationKind.DIRECT.value:
                text = f"收到，谢谢。{actor.name} has read: “{others[-1].text[:200]}”"
                await core.messages.send(event.conversation, text, reply_to=others[-1].id)


if __name__ == "__main__":
    sys.exit(main())
