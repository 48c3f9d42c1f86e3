# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers as child processes on the server's core: the real one, and others that say where they listen on one line."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.failures import BenchFailed
from bench.vitals import on_core

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 60.0
"""A server with 10,000 connections says goodbye to each."""
_LOOK_S: Final = 0.02


class Served(Struct, frozen=True):
    """A server that runs."""

    process: int
    address: tuple[str, int]


@contextlib.contextmanager
def lanyard_server(folder: Path, core: int) -> Iterator[Served]:
    """`lanyard-server run` on an organisation's folder, until the end of it. Raises BenchFailed."""
    ready_file = folder.with_suffix(".ready")
    words = ["server.main", "run", str(folder), "--ready-file", str(ready_file)]
    with _child(words, core, folder.with_suffix(".log")) as child:
        ready = json.loads(_wait_for(ready_file, child, folder.with_suffix(".log")))
        host, port = ready["addresses"][0]
        yield Served(child.pid, (host, port))


@contextlib.contextmanager
def module(name: str, words: Sequence[str], core: int, log: Path) -> Iterator[Served]:
    """A module of ours that serves and writes its port into the file that is its last argument. Raises BenchFailed."""
    port_file = log.with_suffix(".port")
    with _child([name, *words, str(port_file)], core, log) as child:
        port = int(_wait_for(port_file, child, log))
        yield Served(child.pid, ("127.0.0.1", port))


@contextlib.contextmanager
def _child(words: Sequence[str], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output, on_core(core):
        child = subprocess.Popen([sys.executable, "-m", *words], stdout=output, stderr=output)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_for(file: Path, child: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not file.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise BenchFailed(f"the server did not start: {tail}")
        time.sleep(_LOOK_S)
    text = file.read_text(encoding="utf-8")
    file.unlink()
    return text
