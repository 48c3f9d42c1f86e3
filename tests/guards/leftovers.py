# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails a test that leaves a thread, a task or a process behind; runs `async def` tests.

What a fixture of a wider scope than the test starts is its own affair until its teardown.
"""

from __future__ import annotations

import asyncio
import asyncio.runners
import gc
import inspect
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

GRACE_S = 3.0  # what was told to stop may need a moment on a busy machine
POLL_S = 0.02


class Leftovers:
    """What was there before the test, what wider fixtures own, and what asyncio found unfinished."""

    def __init__(self) -> None:
        self.before: set[Any] = set()
        self.lent: set[Any] = set()
        self.tasks: list[str] = []

    def alive(self) -> set[Any]:
        """Threads, and child processes by number, that run now."""
        return {*threading.enumerate(), *_children()}

    def unfinished(self) -> list[str]:
        """A line for each thread, process and task that the test left; waits out the grace time."""
        deadline = time.monotonic() + GRACE_S
        while (left := self.alive() - self.before - self.lent) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        tasks, self.tasks = self.tasks, []
        return [*map(_describe, left), *tasks]


_LEFTOVERS = pytest.StashKey[Leftovers]()


def _children() -> list[int]:
    """Numbers of the running child processes; none where the kernel does not list them."""
    found = []
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            numbers = listing.read_text().split()
        except OSError:  # the thread has ended since
            continue
        found += [int(number) for number in numbers if _is_ours_and_runs(number)]
    return found


def _is_ours_and_runs(number: str) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        command = Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False
    # multiprocessing keeps one tracker until the interpreter ends.
    return state != "Z" and b"resource_tracker" not in command


def _describe(left: threading.Thread | int) -> str:
    if isinstance(left, threading.Thread):
        return f"thread {left.name} still runs"
    command = Path(f"/proc/{left}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    os.kill(left, signal.SIGKILL)
    return f"process {left} still ran and was killed: {command}"


def pytest_configure(config: pytest.Config) -> None:
    leftovers = config.stash[_LEFTOVERS] = Leftovers()
    # asyncio.run() cancels in silence what was left; this is the one place where it can be seen.
    cancel: Callable[[asyncio.AbstractEventLoop], None] = vars(asyncio.runners)["_cancel_all_tasks"]

    def note_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            leftovers.tasks.append(f"task was left to be cancelled: {task!r}")
        cancel(loop)

    patch = pytest.MonkeyPatch()
    patch.setattr(asyncio.runners, "_cancel_all_tasks", note_and_cancel)
    config.add_cleanup(patch.undo)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    leftovers = request.config.stash[_LEFTOVERS]
    before = leftovers.alive() if fixturedef.scope != "function" else None
    result = yield
    if before is not None:
        leftovers.lent |= leftovers.alive() - before
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    leftovers = item.config.stash[_LEFTOVERS]
    leftovers.before = leftovers.alive()
    leftovers.tasks.clear()
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    yield
    leftovers = item.config.stash[_LEFTOVERS]
    leftovers.lent &= leftovers.alive()
    if nextitem is None or nextitem.path != item.path:
        # Coroutines never awaited and Deferreds that failed unseen may hang in a cycle: let them
        # speak while the file that made them is still named.
        gc.collect()
    if lines := leftovers.unfinished():
        pytest.fail("left behind:\n  " + "\n  ".join(lines), pytrace=False)
