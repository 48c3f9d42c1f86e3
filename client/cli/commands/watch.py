# SPDX-License-Identifier: GPL-3.0-or-later
"""watch: what happens, as it happens, until Ctrl+C. While it runs, other commands go through its door."""

import asyncio
from typing import Final

from client.cli.commands.live import Live
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser, positive, seconds
from client.cli.refusals import failure_of
from client.cli.whom import find_people, find_target
from client.core import events
from client.core.errors import CoreError, IdentityChanged, NotSignedIn
from client.core.status import Phase
from protocol.ids import UserId

_ENDS: Final = (Phase.SIGNED_OUT, Phase.UNTRUSTED, Phase.MUST_CHANGE_PASSWORD)


def declare_watch(parser: Parser) -> None:
    """watch"""
    parser.set_defaults(run=watch, is_endless=True)
    add = parser.add_argument
    add("--in", metavar="WHO|GROUP", dest="chat", help="only this chat")
    add(
        "--presence",
        metavar="WHO",
        nargs="*",
        help="presence, too: of these, or of all with whom there is a chat",
    )
    add("--typing", action="store_true", help="who is writing, too")
    add("--read", action="store_true", help="mark as read what is shown")
    add("--count", metavar="N", type=positive, help="end after so many messages")
    add(
        "--seconds",
        metavar="N",
        type=seconds,
        help="end after this time (exit code 7 if --count was not reached)",
    )


async def watch(desk: Desk) -> int:
    """Print events as they come."""
    core, options = desk.core, desk.options
    _ = desk.account
    if options.offline:
        raise Failure("This needs the server, and --offline was given.", Exit.UNREACHABLE)
    if options.timeout is not None:
        await desk.need_server()
    chat = (await find_target(core, options.chat)).conversation if options.chat else None
    with core.subscribe() as happening, core.presence.watch(await _watched(desk)) as _watch:
        core.start()
        live = Live(desk, chat)
        try:
            async with asyncio.timeout(options.seconds):
                await live.connection(core.status)
                async for event in happening:
                    await live.show(event)
                    if options.count is not None and live.messages >= options.count:
                        return Exit.OK
                    if isinstance(event, events.StatusChanged):
                        _check(event)
        except TimeoutError:
            return Exit.OK if options.count is None else Exit.TIMED_OUT
    return Exit.OK


def _check(event: events.StatusChanged) -> None:
    """Raise what ends the watch: nothing more will come."""
    connection = event.status.connection
    if connection.phase not in _ENDS:
        return
    try:
        if connection.phase is Phase.UNTRUSTED:
            raise IdentityChanged(connection.sentence, expected=b"", found=b"")
        raise NotSignedIn(connection.sentence or "You are signed out.")
    except CoreError as error:
        raise failure_of(error) from error


async def _watched(desk: Desk) -> list[UserId]:
    """Whose presence is wanted."""
    words: list[str] | None = desk.options.presence
    if words is None:
        return []
    if words:
        return [one.id for one in await find_people(desk.core, words)]
    return [one.peer for one in await desk.core.chats.all() if one.peer is not None]
