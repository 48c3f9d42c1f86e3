# SPDX-License-Identifier: GPL-3.0-or-later
"""`watch`: stays up and brings changes of the directories to the server as they happen."""

import argparse
import json
import signal
import sys
import threading
from typing import Any

import msgspec

from ldapsync import words
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.config import Config, DirectoryConfig
from ldapsync.exits import Outcome, exit_code_of
from ldapsync.failures import SyncError
from ldapsync.rounds import Round, now_ms
from ldapsync.watch import Watch
from protocol.ids import format_id
from protocol.messages.sync import RunCommitted


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(
        commands, "watch", "stay up, and bring changes to the server as they happen", watch
    )
    arguments.add_directory(parser)


def watch(options: argparse.Namespace) -> Outcome:
    """Follow until Ctrl+C or SIGTERM."""
    config = arguments.config_of(options)
    stop = threading.Event()
    log = _Log(is_json=options.json)
    watches = [
        _watch(each, config, stop, log) for each in arguments.directories_of(config, options)
    ]
    threads = [threading.Thread(target=each.run, name="lanyard-watch") for each in watches]
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        for thread in threads:
            thread.start()
        while not stop.wait(1.0) and any(thread.is_alive() for thread in threads):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        signal.signal(signal.SIGTERM, before)
    return Outcome("", {})


def _watch(directory: DirectoryConfig, config: Config, stop: threading.Event, log: "_Log") -> Watch:
    name = directory.name
    return Watch(
        config,
        directory,
        lambda: arguments.server_line(config),
        stop,
        applied_one=lambda made, done: log.applied(name, made, done),
        stopped_by_guards=lambda made: log.guarded(name, made),
        failed=lambda error: log.failed(name, error),
    )


class _Log:
    """One line for what happens, as it happens; from several threads."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self._lock = threading.Lock()

    def applied(self, name: str, made: Round, done: RunCommitted) -> None:
        """A run was carried out."""
        run = words.short(done.run)
        text = f"run {run}: {words.summary(made.plan)}; directory version {done.version}"
        data = {"run": format_id(done.run), "counts": made.plan.counts(), "version": done.version}
        self._say("applied", name, text, data)

    def guarded(self, name: str, made: Round) -> None:
        """A run was stopped."""
        document = made.document(words.SHOWN_PER_KIND)
        text = "\n".join(words.guard_lines(document)).strip()
        guards = msgspec.to_builtins(made.plan.tripped)
        self._say(
            "guarded", name, f"{text}\nwatch goes on; lift a guard with apply.", {"guards": guards}
        )

    def failed(self, name: str, error: SyncError) -> None:
        """Something went wrong; it is tried again."""
        code = int(exit_code_of(error))
        self._say(
            "failed", name, f"{error} Trying again.", {"error": str(error), "exit_code": code}
        )

    def _say(self, event: str, name: str, text: str, data: dict[str, Any]) -> None:
        at_ms = now_ms()
        record = {"event": event, "directory": name, "at_ms": at_ms, **data}
        line = f"{words.moment(at_ms)} {name}: {event}: {text}"
        with self._lock:
            said = json.dumps(record, ensure_ascii=False) if self._is_json else line
            sys.stdout.write(f"{said}\n")
            sys.stdout.flush()
