# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out one command: opens the profile, or goes through the door of the program that has it; errors become exit codes."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Final

import platformdirs

from client.cli.desk import Desk
from client.cli.door import Door, HostLeft, knock
from client.cli.failures import Exit, Failure
from client.cli.grammar import PROGRAM, parse, version
from client.cli.records.account import ErrorRecord
from client.cli.refusals import failure_of
from client.cli.shown import Shown
from client.cli.terminal import LocalTerminal, Terminal
from client.core.app import Core
from client.core.errors import CoreError, ProfileInUse

PROFILE_WAIT_S: Final = 10.0
"""How long another command may have the profile: most are done in less than a second."""
PROFILE_POLL_S: Final = 0.1
DOOR_AFTER_S: Final = 0.5
"""A command that takes longer than this lets others in; one that is nearly done only keeps them for a moment."""

LOG: Final = logging.getLogger("lanyard.cli")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Carry out one command with this process's terminal and return its exit code."""
    _set_up_log(is_verbose=options.verbose)
    terminal = LocalTerminal(wants_colour=not options.no_colour)
    ended = Exit.OK if options.is_endless else Exit.INTERRUPTED
    try:
        return asyncio.run(_in_order(carry_out(options, arguments, terminal)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        if sys.stderr.isatty():
            print(file=sys.stderr)  # behind the question, or the ^C
        return ended
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None  # or the interpreter would flush it once more
        return Exit.OK
    except Exception:  # noqa: BLE001 - the last door: what comes here is a fault of ours, and is said so
        traceback.print_exc()
        print(f"This is a fault of {PROGRAM}; the lines above say where.", file=sys.stderr)
        return Exit.INTERNAL


async def carry_out(
    options: argparse.Namespace, arguments: Sequence[str], terminal: Terminal
) -> int:
    """Carry out one command where the profile is open, or open it here."""
    profile = profile_folder(options.profile)
    now = asyncio.get_running_loop().time
    deadline = now() + PROFILE_WAIT_S
    while True:
        try:
            core = await Core.open(profile, device_kind="cli", software=f"{PROGRAM} {version()}")
        except ProfileInUse as error:
            if now() > deadline:
                return report(failure_of(error), terminal, is_json=options.json)
        except CoreError as error:
            return report(failure_of(error), terminal, is_json=options.json)
        else:
            async with core:
                return await _as_host(core, options, terminal, profile)
        try:
            code = await knock(profile, arguments, terminal, is_endless=options.is_endless)
        except HostLeft:
            deadline = now() + PROFILE_WAIT_S
            continue
        except Failure as failure:
            return report(failure, terminal, is_json=options.json)
        if code is not None:
            return code
        await asyncio.sleep(PROFILE_POLL_S)


async def _as_host(
    core: Core, options: argparse.Namespace, terminal: Terminal, profile: Path
) -> int:
    shown = Shown(profile)
    door = door_to(core, shown, profile)
    delay_s = 0.0 if options.is_endless else DOOR_AFTER_S
    opening = asyncio.create_task(door.open_after(delay_s), name="lanyard-door")
    try:
        if options.is_endless:
            await opening  # whoever sees that it runs may count on it
        return await perform(Desk(core, terminal, options, shown, profile))
    finally:
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await door.close()


def door_to(core: Core, shown: Shown, profile: Path) -> Door:
    """A door, still closed, through which other commands use this process's core."""

    async def serve(arguments: Sequence[str], guest: Terminal) -> int:
        return await perform(Desk(core, guest, parse(arguments), shown, profile))

    return Door(profile, serve)


async def perform(desk: Desk) -> int:
    """Run the command's function; a failure is printed and becomes its exit code."""
    try:
        code: int | None = await desk.options.run(desk)
    except (Failure, CoreError) as error:
        LOG.debug("the command failed", exc_info=True)
        return report(failure_of(error), desk.terminal, is_json=desk.is_json)
    return Exit.OK if code is None else code


def report(failure: Failure, terminal: Terminal, *, is_json: bool) -> int:
    """Print a failure to standard error and return its exit code."""
    code = failure.exit_code
    if is_json:
        record = ErrorRecord(int(code), code.name.lower(), failure.sentence, failure.candidates)
        terminal.err(record.encode())
        return code
    terminal.err(failure.sentence)
    for line in failure.candidates:
        terminal.err(f"  {line}")
    return code


def profile_folder(given: str | None) -> Path:
    """The folder of the local data: the one given, or the user's own."""
    if given is not None:
        return Path(given).expanduser().absolute()
    return platformdirs.user_data_path("lanyard", appauthor=False) / "cli"


async def _in_order(work: Coroutine[None, None, int]) -> int:
    """Let SIGTERM end the command as Ctrl+C does."""
    task = asyncio.current_task()
    if os.name == "posix" and task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def _set_up_log(*, is_verbose: bool) -> None:
    """The library's log is for whoever asks for it: what a user must know is printed by the command."""
    if is_verbose:
        form = "%(asctime)s %(levelname).1s %(name)s: %(message)s"
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=form)
    else:
        logging.getLogger("lanyard").addHandler(logging.NullHandler())
