# SPDX-License-Identifier: GPL-3.0-or-later
"""How a second command works while another one has the profile open: a Unix socket in the profile's folder.

The guest sends its command line; the host carries it out with its own core and sends back what is to be printed, asked and
read, so that the guest's terminal stays where the person sits. Frames: 4-byte big-endian length, MessagePack, tagged
records. Only the same user gets in: the folder is 0700, the socket 0600, and the kernel names the peer. Not on Windows.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec

from client.cli.failures import Exit, Failure
from client.cli.grammar import version
from client.cli.terminal import MAX_READ_BYTES, Terminal

FILE_NAME: Final = "door"
MAX_PATH_BYTES: Final = 100
"""unix(7): sun_path holds 108 bytes on Linux, 104 elsewhere."""
MAX_FRAME_BYTES: Final = MAX_READ_BYTES + 1024
MAX_UNREAD_BYTES: Final = 8 << 20
"""Output that a guest does not read, such as `watch` piped into a pager: beyond it the guest is let go."""
GOODBYE_S: Final = 5.0
"""What guests get to finish when the host ends."""

LOG: Final = logging.getLogger("lanyard.cli.door")

Serve: TypeAlias = Callable[[Sequence[str], Terminal], Awaitable[int]]
"""Carries out a guest's command line with the guest's terminal."""


class HostLeft(Exception):
    """The program that carried out an endless command has ended: open the profile yourself."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Guest: carry this out."""

    version: str
    arguments: tuple[str, ...]
    width: int | None
    has_colour: bool
    is_interactive: bool
    is_endless: bool
    """The command has no end of its own, and may be begun again elsewhere."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Guest: what was asked for."""

    text: str


class NoAnswer(msgspec.Struct, frozen=True, tag="no_answer"):
    """Guest: why it can't be given."""

    sentence: str
    exit_code: int


class Out(msgspec.Struct, frozen=True, tag="out"):
    """Host: print a line of result."""

    text: str


class Err(msgspec.Struct, frozen=True, tag="err"):
    """Host: print a line about the command."""

    text: str


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Host: ask the person, or read something where the person sits."""

    what: str
    """question, secret, line, all or file."""
    text: str = ""


class End(msgspec.Struct, frozen=True, tag="end"):
    """Host: the command is done. Without an exit code: the host ends, open the profile yourself."""

    exit_code: int | None


_FromGuest: TypeAlias = Begin | Answer | NoAnswer
_FromHost: TypeAlias = Out | Err | Ask | End

_ENCODER: Final = msgspec.msgpack.Encoder()
_GUEST_DECODER: Final[msgspec.msgpack.Decoder[_FromGuest]] = msgspec.msgpack.Decoder(_FromGuest)
_HOST_DECODER: Final[msgspec.msgpack.Decoder[_FromHost]] = msgspec.msgpack.Decoder(_FromHost)

Message = TypeVar("Message")

Line: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


# ------------------------------------------------------------------------------------------------ host


class Door:
    """Lets other commands of the same user use the core of this process."""

    def __init__(self, profile: Path, serve: Serve) -> None:
        self._path = profile / FILE_NAME
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._guests: dict[asyncio.Task[None], bool] = {}
        """Each guest's task; True: its command has no end of its own."""
        self._is_closing = False

    async def open_after(self, delay_s: float) -> None:
        """Open the door after a while. A door that can't be opened keeps others out, and nothing else."""
        await asyncio.sleep(delay_s)
        if not hasattr(asyncio, "start_unix_server"):
            return
        try:
            with _reachable(self._path) as path:
                self._forget_socket()  # of a process that was killed: the profile is ours
                self._server = await asyncio.start_unix_server(self._enter, path)
            self._path.chmod(0o600)
        except OSError as error:
            LOG.warning("no second command can run beside this one: %s", error)

    def _forget_socket(self) -> None:
        self._path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Let nobody in any more, and the guests finish; those without an end are sent away at once."""
        self._is_closing = True
        if self._server is None:
            return
        self._server.close()
        self._forget_socket()
        guests = dict(self._guests)
        for guest, is_endless in guests.items():
            if is_endless:
                guest.cancel()
        if guests:
            await asyncio.wait(guests, timeout=GOODBYE_S)
        for guest in guests:
            guest.cancel()
        await asyncio.gather(*guests, return_exceptions=True)
        await self._server.wait_closed()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A guest is at the door."""
        if self._is_closing or not _is_same_user(writer):
            writer.close()
            return
        guest = asyncio.create_task(self._receive_guest((reader, writer)), name="lanyard-guest")
        self._guests[guest] = False
        guest.add_done_callback(self._left)

    def _left(self, guest: "asyncio.Task[None]") -> None:
        del self._guests[guest]
        if not guest.cancelled() and (error := guest.exception()) is not None:
            LOG.error("a guest's command failed", exc_info=error)

    async def _receive_guest(self, line: Line) -> None:
        reader, writer = line
        try:
            begin = await _receive(reader, _GUEST_DECODER)
            task = asyncio.current_task()
            if isinstance(begin, Begin) and task is not None:
                self._guests[task] = begin.is_endless
                await self._attend(begin, line)
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            LOG.debug("a guest left: %s", error)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _attend(self, begin: Begin, line: Line) -> None:
        """Carry out the command of one guest for as long as the guest stays."""
        reader, writer = line
        if begin.version != version():
            sentence = (
                f"Version {version()} has this profile open, and this is {begin.version}. "
                "Stop the running lanyard-cli first."
            )
            _send(writer, Err(sentence))
            _send(writer, End(int(Exit.PROFILE)))
            await writer.drain()
            return
        terminal = _GuestTerminal(begin, writer)
        command = asyncio.ensure_future(self._serve(begin.arguments, terminal))
        listening = asyncio.ensure_future(terminal.listen(reader))
        try:
            await asyncio.wait((command, listening), return_when=asyncio.FIRST_COMPLETED)
            if command.done():
                _send(writer, End(command.result()))
                await writer.drain()
        except asyncio.CancelledError:
            _send(writer, *_farewell(begin))
            raise
        finally:
            for task in (command, listening):
                task.cancel()
            await asyncio.gather(command, listening, return_exceptions=True)


def _farewell(begin: Begin) -> tuple[_FromHost, ...]:
    if begin.is_endless:
        return (End(None),)
    return (
        Err("The lanyard-cli that has this profile open has ended, and this command with it."),
        End(int(Exit.UNREACHABLE)),
    )


class _GuestTerminal:
    """The terminal of a guest, behind the door."""

    def __init__(self, begin: Begin, writer: asyncio.StreamWriter) -> None:
        self.width = begin.width
        self.has_colour = begin.has_colour
        self.is_interactive = begin.is_interactive
        self._writer = writer
        self._answer: asyncio.Future[str] | None = None

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Pass on answers until the guest is gone."""
        while True:
            try:
                message = await _receive(reader, _GUEST_DECODER)
            except (OSError, EOFError, msgspec.MsgspecError):
                return
            waiting, self._answer = self._answer, None
            if waiting is None or waiting.done():
                continue
            if isinstance(message, Answer):
                waiting.set_result(message.text)
            elif isinstance(message, NoAnswer):
                waiting.set_exception(Failure(message.sentence, Exit(message.exit_code)))

    def out(self, text: str) -> None:
        self._print(Out(text))

    def err(self, text: str) -> None:
        self._print(Err(text))

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        return await self._get(Ask("secret" if is_secret else "question", question))

    async def read_line(self) -> str:
        return await self._get(Ask("line"))

    async def read_all(self) -> str:
        return await self._get(Ask("all"))

    async def read_file(self, path: str) -> str:
        return await self._get(Ask("file", path))

    def _print(self, message: Out | Err) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._writer.transport.abort()
        else:
            _send(self._writer, message)

    async def _get(self, question: Ask) -> str:
        self._answer = asyncio.get_running_loop().create_future()
        answer = self._answer
        _send(self._writer, question)
        return await answer


def _is_same_user(writer: asyncio.StreamWriter) -> bool:
    """Whether the kernel says so; where it does not say, the folder's rights have to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, size
    )
    _process, user, _group = struct.unpack("3i", credentials)
    return bool(user == os.geteuid())


# ----------------------------------------------------------------------------------------------- guest


async def knock(
    profile: Path, arguments: Sequence[str], terminal: Terminal, *, is_endless: bool
) -> int | None:
    """Have the command carried out by the program that has the profile, and return its exit code.

    None: nobody answers. Raises HostLeft, and Failure when the host stopped in the middle.
    """
    if not hasattr(asyncio, "open_unix_connection"):
        return None
    try:
        with _reachable(profile / FILE_NAME) as path:
            reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return None
    try:
        _send(
            writer,
            Begin(
                version=version(),
                arguments=tuple(arguments),
                width=terminal.width,
                has_colour=terminal.has_colour,
                is_interactive=terminal.is_interactive,
                is_endless=is_endless,
            ),
        )
        return await _follow((reader, writer), terminal)
    finally:
        writer.close()


async def _follow(line: Line, terminal: Terminal) -> int | None:
    """Print and answer what the host wants until it is done."""
    reader, writer = line
    has_begun = False
    while True:
        try:
            message = await _receive(reader, _HOST_DECODER)
        except (OSError, EOFError, msgspec.MsgspecError):
            if not has_begun:
                return None
            raise Failure(
                "The lanyard-cli that carried this out has stopped. "
                "`lanyard-cli history` shows whether it was done.",
                Exit.UNREACHABLE,
            ) from None
        has_begun = True
        if isinstance(message, Out):
            terminal.out(message.text)
        elif isinstance(message, Err):
            terminal.err(message.text)
        elif isinstance(message, Ask):
            _send(writer, await _answered(message, terminal))
        elif message.exit_code is None:
            raise HostLeft
        else:
            return message.exit_code


async def _answered(question: Ask, terminal: Terminal) -> Answer | NoAnswer:
    try:
        if question.what == "line":
            return Answer(await terminal.read_line())
        if question.what == "all":
            return Answer(await terminal.read_all())
        if question.what == "file":
            return Answer(await terminal.read_file(question.text))
        is_secret = question.what == "secret"
        return Answer(await terminal.ask(question.text, is_secret=is_secret))
    except Failure as failure:
        return NoAnswer(failure.sentence, int(failure.exit_code))


# ---------------------------------------------------------------------------------------------- frames


def _send(writer: asyncio.StreamWriter, *messages: _FromGuest | _FromHost) -> None:
    for message in messages:
        body = _ENCODER.encode(message)
        writer.write(len(body).to_bytes(4, "big") + body)


async def _receive(
    reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[Message]
) -> Message:
    """The next message. Raises EOFError, OSError, or MsgspecError for what is none."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > MAX_FRAME_BYTES:
        raise msgspec.MsgspecError(f"a frame of {size} bytes")
    return decoder.decode(await reader.readexactly(size))


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """The path in a form that fits a socket's address: a long one through the folder's handle (Linux)."""
    if len(os.fsencode(path)) <= MAX_PATH_BYTES or not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
