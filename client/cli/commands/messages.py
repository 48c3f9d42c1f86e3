# SPDX-License-Identifier: GPL-3.0-or-later
"""send, edit, recall, react, forward: what we say, and changes to it. Each is durable here first, and then goes to the server."""

from collections.abc import Iterable
from typing import Final

from client.cli import markup, show
from client.cli.commands.waiting import WAITS, until
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser
from client.cli.mentions import Names
from client.cli.shown import short
from client.cli.whom import Target, find_message, find_target
from client.core.errors import CoreError
from client.core.views import MessageView
from protocol.ids import ConversationId, UserId
from protocol.messages.content import Span, SpanKind
from protocol.messages.people import Person

FROM_INPUT: Final = "-"


def _add_text(parser: Parser) -> None:
    add = parser.add_argument
    add("text", metavar="TEXT", nargs="+", help="the message; - reads it from standard input")
    add(
        "--rich",
        action="store_true",
        help="**bold**, *italic*, `code`, > quote, [text](https://...)",
    )
    add("--code", action="store_true", help="the whole message is a block of code")
    add("--language", metavar="NAME", default="", help="with --code: its language, such as python")
    add("--no-mentions", action="store_true", help="@name is plain text")


def _add_wait(parser: Parser) -> None:
    parser.add_argument(
        "--wait",
        choices=WAITS,
        default="sent",
        help="return when it is queued here, sent (at the server: the default), delivered to all, or read by all",
    )


# ------------------------------------------------------------------------------------------------ send


def declare_send(parser: Parser) -> None:
    """send WHO|GROUP TEXT|-"""
    parser.set_defaults(run=send)
    parser.add_argument("to", metavar="WHO|GROUP", help="to whom")
    _add_text(parser)
    parser.add_argument("--reply", metavar="MESSAGE", help="answer this message")
    _add_wait(parser)


async def send(desk: Desk) -> None:
    """Send a message."""
    core, options = desk.core, desk.options
    missed = await desk.try_server()
    target = await find_target(core, options.to)
    text, spans = await _text(desk, target)
    reply = await find_message(core, desk.shown, options.reply) if options.reply else None
    if reply is not None and reply.conversation != target.conversation:
        raise Failure(f"The message that --reply names is not in the chat with {target.name}.")
    reply_to = reply.id if reply else None
    if target.user is not None:
        post = await core.messages.send_to(target.user, text, spans, reply_to=reply_to)
    else:
        post = await core.messages.send(target.conversation, text, spans, reply_to=reply_to)
    await until(desk, post, missed, done=f"Sent to {show.one_line(target.name)} ({short(post)})")


async def _text(desk: Desk, target: Target) -> tuple[str, tuple[Span, ...]]:
    """The text that was given, with its spans. Raises Failure."""
    options = desk.options
    text = " ".join(options.text)
    if text == FROM_INPUT:
        if desk.terminal.is_interactive:
            desk.note("Type the message, and end it with Ctrl+D on an empty line.")
        text = (await desk.terminal.read_all()).replace("\r\n", "\n").rstrip("\n")
    if not text.strip():
        raise Failure("The message is empty.")
    if options.language and not options.code:
        raise Failure("--language goes with --code.")
    if options.code:
        block = Span(SpanKind.CODE_BLOCK.value, 0, len(text), language=options.language)
        return text, (block,)
    spans: tuple[Span, ...] = ()
    if options.rich:
        text, spans = markup.parse(text)
    if options.no_mentions or "@" not in text:
        return text, spans
    names = Names(await _addressable(desk, target.conversation, target.user))
    mentions, unknown = names.spans(text, spans)
    for word in unknown:
        desk.note(f"@{show.one_line(word)} is nobody here, and stays plain text.")
    return text, tuple(sorted((*spans, *mentions), key=lambda one: (one.start, -one.length)))


async def _addressable(
    desk: Desk, conversation: ConversationId, peer: UserId | None
) -> Iterable[Person]:
    """Who may be mentioned: the members; everybody where they are not known just now."""
    core = desk.core
    if peer is not None:
        return (await core.people.named((peer, desk.account.user))).values()
    try:
        members = await core.chats.members(conversation)
    except CoreError:
        return await core.people.everyone()
    return (await core.people.named([one.user for one in members])).values()


# --------------------------------------------------------------------------------- changes to messages


def declare_edit(parser: Parser) -> None:
    """edit MESSAGE TEXT|-"""
    parser.set_defaults(run=edit)
    parser.add_argument("message", metavar="MESSAGE", help="which message of yours")
    _add_text(parser)
    _add_wait(parser)


async def edit(desk: Desk) -> None:
    """Give a message another text."""
    message, missed = await _message(desk)
    chat = await desk.core.chats.get(message.conversation)
    target = Target(chat.id, chat.name, chat.kind, chat.peer)
    text, spans = await _text(desk, target)
    post = await desk.core.messages.edit(message.id, text, spans)
    await until(desk, post, missed, done=f"Edited {short(message.id)}")


def declare_recall(parser: Parser) -> None:
    """recall MESSAGE"""
    parser.set_defaults(run=recall)
    parser.add_argument("message", metavar="MESSAGE", help="which message")
    _add_wait(parser)


async def recall(desk: Desk) -> None:
    """Take a message back."""
    message, missed = await _message(desk)
    post = await desk.core.messages.recall(message.id)
    await until(desk, post, missed, done=f"Recalled {short(message.id)}")


def declare_react(parser: Parser) -> None:
    """react MESSAGE EMOJI"""
    parser.set_defaults(run=react)
    parser.add_argument("message", metavar="MESSAGE", help="which message")
    parser.add_argument("emoji", metavar="EMOJI", help="one emoji")
    parser.add_argument("--off", action="store_true", help="take it off")
    _add_wait(parser)


async def react(desk: Desk) -> None:
    """Put an emoji on a message, or take it off."""
    message, missed = await _message(desk)
    options = desk.options
    post = await desk.core.messages.react(message.id, options.emoji, is_on=not options.off)
    emoji = show.one_line(options.emoji)
    done = f"Took {emoji} off" if options.off else f"Put {emoji} on"
    await until(desk, post, missed, done=f"{done} {short(message.id)}")


async def _message(desk: Desk) -> tuple[MessageView, CoreError | None]:
    missed = await desk.try_server()
    message = await find_message(desk.core, desk.shown, desk.options.message)
    if message.recalled_by is not None:
        raise Failure("This message was recalled.", Exit.REFUSED)
    return message, missed


# --------------------------------------------------------------------------------------------- forward


def declare_forward(parser: Parser) -> None:
    """forward MESSAGE WHO|GROUP ..."""
    parser.set_defaults(run=forward)
    parser.add_argument("message", metavar="MESSAGE", help="which message")
    parser.add_argument("to", metavar="WHO|GROUP", nargs="+", help="to whom")
    _add_wait(parser)


async def forward(desk: Desk) -> None:
    """Send a copy of a message to others; the server says where it came from."""
    message, missed = await _message(desk)
    core = desk.core
    targets = [await find_target(core, word) for word in desk.options.to]
    posts = []
    for target in targets:
        if target.user is not None:
            posts.append(await core.messages.forward(message.id, to_user=target.user))
        else:
            posts.append(await core.messages.forward(message.id, to=target.conversation))
    for post, target in zip(posts, targets, strict=True):
        name = show.one_line(target.name)
        await until(desk, post, missed, done=f"Forwarded to {name} ({short(post)})")
