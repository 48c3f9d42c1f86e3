# SPDX-License-Identifier: GPL-3.0-or-later
"""chats, read, draft: the list of conversations, and what is ours alone in them."""

from client.cli import show
from client.cli.desk import Desk
from client.cli.failures import Failure
from client.cli.grammar import Parser, positive
from client.cli.lines import ticks
from client.cli.records.account import DoneRecord
from client.cli.records.record import People
from client.cli.records.talk import ChatRecord, DraftRecord, people_of
from client.cli.refusals import ended
from client.cli.show import Style
from client.cli.whom import find_chat, find_message
from client.core.views import ChatView
from protocol.ids import UserId, format_id

# ----------------------------------------------------------------------------------------------- chats


def declare_chats(parser: Parser) -> None:
    """chats"""
    parser.set_defaults(run=chats)
    add = parser.add_argument
    add("--unread", action="store_true", help="only those with something unread")
    add("--over", action="store_true", help="also those that are over")
    add("--limit", metavar="N", type=positive, default=50, help="list at most so many (50)")


async def chats(desk: Desk) -> None:
    """List chats as the desktop does: pinned first, then the latest."""
    await desk.prefer_server()
    options = desk.options
    views = [
        one
        for one in await desk.core.chats.all()
        if (options.over or not one.is_over) and (one.unread or not options.unread)
    ][: options.limit]
    ids: set[UserId | None] = {one.peer for one in views}
    for view in views:
        ids.update(people_of(view.last) if view.last else ())
    people = await People.named(desk.core, ids)
    now = desk.now()
    desk.put_table(
        [ChatRecord.of(one, people) for one in views],
        [
            show.Column("Chat", Style.STRONG, shrinks=True),
            show.Column("Unread", Style.ACCENT, is_number=True),
            show.Column("", Style.FAINT),
            show.Column("Last", Style.FAINT),
            show.Column("", shrinks=True),
        ],
        [
            (
                one.name or "(no title)",
                f"{one.unread:,}" if one.unread else "",
                _marks(one),
                show.when(one.last_ms or (one.last.at_ms if one.last else 0), now),
                _preview(one, people),
            )
            for one in views
        ],
        nothing="Nothing is unread."
        if options.unread
        else "No chats yet. `lanyard-cli send WHO TEXT` begins one.",
    )


def _marks(chat: ChatView) -> str:
    marks = [
        (chat.mentions, "@you"),
        (chat.is_pinned, "pinned"),
        (chat.is_muted, "muted"),
        (chat.is_over, "over"),
        (chat.failed, f"{chat.failed} not sent"),
        (chat.queued, f"{chat.queued} queued"),
    ]
    return ", ".join(word for is_so, word in marks if is_so)


def _preview(chat: ChatView, people: People) -> str:
    if chat.draft is not None and chat.draft.text:
        return f"Draft: {chat.draft.text}"
    last = chat.last
    if last is None:
        return ""
    text = "(recalled)" if last.recalled_by else last.text
    if not text:
        text = f"[file] {last.attachments[0].name}" if last.attachments else "…"
    if last.is_mine:
        record = ChatRecord.of(chat, people).last
        tick = f" ({ticks(record.delivery)})" if record and record.delivery else ""
        return f"me: {text}{tick}"
    return text if chat.peer is not None else f"{people.who(last.sender).shown}: {text}"


# ------------------------------------------------------------------------------------------------ read


def declare_read(parser: Parser) -> None:
    """read WHO|GROUP"""
    parser.set_defaults(run=read)
    parser.add_argument("chat", metavar="WHO|GROUP", nargs="*", help="which chats")
    parser.add_argument("--all", action="store_true", help="all chats")
    parser.add_argument("--upto", metavar="MESSAGE", help="only up to this message")


async def read(desk: Desk) -> None:
    """Mark chats as read."""
    missed = await desk.try_server()
    core, options = desk.core, desk.options
    if options.all == bool(options.chat):
        raise Failure("Say which: WHO|GROUP, or --all.")
    if options.all:
        views = [one for one in await core.chats.all() if one.unread]
    else:
        views = [await find_chat(core, word) for word in options.chat]
    upto = None
    if options.upto:
        message = await find_message(core, desk.shown, options.upto)
        if [one.id for one in views] != [message.conversation]:
            raise Failure("The message that --upto names is not in that chat.")
        upto = message.seq
    for view in views:
        await core.chats.mark_read(view.id, upto)
        said = f"Read: {show.one_line(view.name)}."
        desk.put(DoneRecord("read", format_id(view.id)), said)
    if not views and not desk.is_json:
        desk.terminal.out("Nothing is unread.")
    if missed is not None:
        desk.note(
            f"{ended(str(missed))} The others learn of it when lanyard-cli next reaches the server."
        )


# ----------------------------------------------------------------------------------------------- draft


def declare_draft(parser: Parser) -> None:
    """draft WHO|GROUP [TEXT]"""
    parser.set_defaults(run=draft)
    parser.add_argument("chat", metavar="WHO|GROUP", help="in which chat")
    parser.add_argument(
        "text", metavar="TEXT", nargs="*", help="the draft; without it, it is shown"
    )
    parser.add_argument("--remove", action="store_true", help="remove it")


async def draft(desk: Desk) -> None:
    """Show, keep or remove a draft; it is the same on all devices."""
    missed = await desk.try_server()
    core, options = desk.core, desk.options
    text = " ".join(options.text)
    if text and options.remove:
        raise Failure("Give either a text or --remove.")
    chat = await find_chat(core, options.chat)
    if text or options.remove:
        await core.chats.set_draft(chat.id, text)
        chat = await core.chats.get(chat.id)
        if missed is not None:
            desk.note(
                f"{ended(str(missed))} Other devices get it when lanyard-cli next reaches the server."
            )
    record = DraftRecord.of(chat)
    said = record.text or "There is no draft."
    if text:
        said = f"Kept as a draft for {chat.name}."
    elif options.remove:
        said = "The draft is removed."
    desk.put(record, show.wrap(said, desk.width))
