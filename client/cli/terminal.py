# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the person sits: what a command prints, asks and reads goes through here, so that it may sit behind the door as well."""

import asyncio
import getpass
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TextIO, TypeVar, cast

from client.cli.failures import Exit, Failure

MAX_READ_BYTES: Final = 16 << 20
"""A file or standard input: far more than any text, list of people or password may be."""

Result = TypeVar("Result")


class Terminal(Protocol):
    """The two streams, the questions and the files of whoever gave the command."""

    @property
    def width(self) -> int | None:
        """Columns; None where nobody looks: then nothing is shortened or broken."""

    @property
    def has_colour(self) -> bool:
        """Whether to use colour."""

    @property
    def is_interactive(self) -> bool:
        """Whether somebody can be asked."""

    def out(self, text: str) -> None:
        """Print a line of result."""

    def err(self, text: str) -> None:
        """Print a line about the command itself."""

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        """The answer of the person; a secret is not shown. Raises Failure when there is nobody to ask."""

    async def read_line(self) -> str:
        """The next line of standard input that is no terminal, without its end; empty at the end."""

    async def read_all(self) -> str:
        """The rest of standard input. Raises Failure when it is not text."""

    async def read_file(self, path: str) -> str:
        """A file's text. Raises Failure, naming the file."""


class LocalTerminal:
    """This process's own streams."""

    def __init__(self, *, wants_colour: bool = True) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(
                stream, "reconfigure"
            ):  # a name in a script that the console can't show is no reason to stop
                stream.reconfigure(errors="replace")
        is_seen = sys.stdout.isatty()
        self.width = max(shutil.get_terminal_size().columns, 20) if is_seen else None
        self.is_interactive = sys.stdin is not None and sys.stdin.isatty()
        self.has_colour = wants_colour and is_seen and _has_colour(os.environ.get("TERM", ""))

    def out(self, text: str) -> None:
        """Print a line at once: whoever follows a pipe must not wait for a buffer."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def err(self, text: str) -> None:
        """Print a line to standard error."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        """Ask on the terminal, with the loop going on."""
        if not self.is_interactive:
            raise Failure("This has to be answered by a person, and standard input is no terminal.")
        try:
            if is_secret:
                return await _while_loop_runs(lambda: getpass.getpass(question))
            return await _while_loop_runs(lambda: input(question))
        except EOFError:
            raise Failure("Nothing was answered.", Exit.INTERRUPTED) from None

    async def read_line(self) -> str:
        """One line; a terminal is never read here."""
        line = await _while_loop_runs(lambda: sys.stdin.readline(MAX_READ_BYTES))
        return line.rstrip("\r\n")

    async def read_all(self) -> str:
        """Everything up to the end."""
        return await _while_loop_runs(lambda: decode(_read(sys.stdin), "Standard input"))

    async def read_file(self, path: str) -> str:
        """Read a file relative to where the command was given."""
        return read_file(path)


def read_file(path: str) -> str:
    """A file's text. Raises Failure, naming the file."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(MAX_READ_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure(f"{path} can't be read: {reason}. Check the path and its rights.") from error
    return decode(data, path)


def decode(data: bytes, name: str) -> str:
    """Bytes as text. Raises Failure."""
    if len(data) > MAX_READ_BYTES:
        raise Failure(f"{name} is larger than {MAX_READ_BYTES >> 20} MB, which no text needs.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failure(
            f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error


def _read(stream: TextIO) -> bytes:
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # a stream that holds text, as tests have
        return stream.read(MAX_READ_BYTES + 1).encode()
    data: bytes = buffer.read(MAX_READ_BYTES + 1)
    return data


def _has_colour(kind: str) -> bool:
    """https://no-color.org: set and not empty means no colour; a dumb terminal has none."""
    return not os.environ.get("NO_COLOR") and kind != "dumb"


async def _while_loop_runs(read: Callable[[], Result]) -> Result:
    """``read()`` in a thread that nobody waits for: Ctrl+C must end the program while a person thinks."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = loop.create_future()

    def give(result: Result | None, error: BaseException | None) -> None:
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("Result", result))

    def work() -> None:
        result: Result | None = None
        fault: BaseException | None = None
        try:
            result = read()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            fault = error
        try:
            loop.call_soon_threadsafe(give, result, fault)
        except RuntimeError:  # the loop has ended: nobody waits for the answer
            return

    restore = _echo_as_it_is()
    threading.Thread(target=work, name="lanyard-question", daemon=True).start()
    try:
        return await answer
    except asyncio.CancelledError:
        restore()  # getpass, left in its thread, can't do it any more
        raise


def _echo_as_it_is() -> Callable[[], None]:
    """Remember how the terminal is set; the result sets it so again."""
    try:
        import termios
    except ImportError:  # Windows
        return lambda: None
    try:
        handle = sys.stdin.fileno()
        attributes = termios.tcgetattr(handle)
    except (OSError, ValueError, termios.error):  # no terminal
        return lambda: None
    return lambda: termios.tcsetattr(handle, termios.TCSADRAIN, attributes)
