# SPDX-License-Identifier: GPL-3.0-or-later
"""history, search: what was said."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final

from client.cli import show
from client.cli.desk import Desk
from client.cli.grammar import Parser, positive
from client.cli.lines import Lines
from client.cli.records.record import People
from client.cli.records.talk import (
    ChatName,
    GapRecord,
    MessageRecord,
    NoticeRecord,
    people_of,
    people_of_notice,
)
from client.cli.shown import short
from client.cli.whom import find_chat, find_message, find_person, find_target
from client.core.errors import NotFound
from client.core.views import ChatView, Entry, GapView, HistoryPage, MessageView, NoticeView
from protocol.ids import UserId, format_id

PAGE: Final = 200
"""Messages that are asked for at once with --all."""


# --------------------------------------------------------------------------------------------- history


def declare_history(parser: Parser) -> None:
    """history WHO|GROUP"""
    parser.set_defaults(run=history)
    add = parser.add_argument
    add("chat", metavar="WHO|GROUP", help="which chat")
    add("--limit", metavar="N", type=positive, default=30, help="so many of the newest (30)")
    add(
        "--before", metavar="MESSAGE", help="only older ones than this message, or than this number"
    )
    add("--all", action="store_true", help="everything, from the beginning")
    add("--read", action="store_true", help="mark the chat as read")


async def history(desk: Desk) -> None:
    """Show a part of a chat, oldest first."""
    is_online = await desk.prefer_server()
    core, options = desk.core, desk.options
    target = await find_target(core, options.chat)
    try:
        chat = await core.chats.get(target.conversation)
    except NotFound:
        if not desk.is_json:
            desk.terminal.out(f"Nothing was said with {show.one_line(target.name)} yet.")
        return
    core.chats.look_at(chat.id)
    before = await _before(desk, options.before)
    if options.all:
        if is_online:
            await core.chats.fetch_all(chat.id)
        pages = [page async for page in _pages(desk, chat, before)]
        entries = [entry for page in reversed(pages) for entry in page.entries]
        is_start = pages[-1].is_start
    else:
        page = await core.messages.history(chat.id, before, options.limit)
        entries, is_start = list(page.entries), page.is_start
    await _put_entries(desk, chat, entries)
    has_older = bool(entries) and not is_start and not isinstance(entries[0], GapView)
    if has_older and not desk.is_json:
        desk.note(desk.paint(show.Style.FAINT, f"Older: --before {_first_id(entries)}"))
    if options.read:
        await core.chats.mark_read(chat.id)


async def _pages(desk: Desk, chat: ChatView, before: int | None) -> AsyncIterator[HistoryPage]:
    while True:
        page = await desk.core.messages.history(chat.id, before, PAGE)
        yield page
        if page.is_start or not page.entries or page.before == before:
            return
        before = page.before


async def _before(desk: Desk, word: str | None) -> int | None:
    """The number of a message, or a number as it stands."""
    if word is None:
        return None
    if word.isdecimal() and not desk.shown.find(word):
        return int(word)
    return (await find_message(desk.core, desk.shown, word)).seq


def _first_id(entries: Sequence[Entry]) -> str:
    """How to name the oldest entry that was shown."""
    for entry in entries:
        if isinstance(entry, MessageView) and entry.seq:
            return short(entry.id)
        if isinstance(entry, NoticeView):
            return str(entry.seq)
    return "0"


async def _put_entries(desk: Desk, chat: ChatView, entries: Sequence[Entry]) -> None:
    people = await People.named(desk.core, _people_of(entries))
    name = ChatName.of(chat)
    desk.shown.add(format_id(one.id) for one in entries if isinstance(one, MessageView))
    names = [
        "me" if one.is_mine else people.who(one.sender).shown
        for one in entries
        if isinstance(one, MessageView)
    ]
    lines = Lines(desk.paint, desk.width, names)
    now = desk.now()
    day, is_unread_said = "", False
    for entry in entries:
        above: list[str] = []
        if isinstance(entry, GapView):
            record = GapRecord.of(entry, name)
            desk.put(record, lines.gap(record))
            continue
        if (today := show.day(entry.at_ms, now)) != day:
            day = today
            above.append(lines.day(entry.at_ms, now))
        if isinstance(entry, NoticeView):
            notice = NoticeRecord.of(entry, name, people)
            desk.put(notice, [*above, *lines.notice(notice, entry.at_ms)])
            continue
        if not is_unread_said and not entry.is_mine and entry.seq > chat.read and chat.unread:
            is_unread_said = True
            above.append(desk.paint(show.Style.ACCENT, f"── {chat.unread:,} unread ──"))
        message = MessageRecord.of(entry, name, people)
        desk.put(message, [*above, *lines.message(message, entry.at_ms)])


def _people_of(entries: Iterable[Entry]) -> Iterator[UserId | None]:
    for entry in entries:
        if isinstance(entry, MessageView):
            yield from people_of(entry)
        elif isinstance(entry, NoticeView):
            yield from people_of_notice(entry)


# ---------------------------------------------------------------------------------------------- search


def declare_search(parser: Parser) -> None:
    """search TEXT"""
    parser.set_defaults(run=search)
    add = parser.add_argument
    add("text", metavar="TEXT", nargs="+", help="words that all occur in the message")
    add("--in", metavar="WHO|GROUP", dest="chat", help="only in this chat")
    add("--from", metavar="WHO", dest="sender", help="only messages of this person")
    add("--limit", metavar="N", type=positive, default=30, help="so many of the newest (30)")


async def search(desk: Desk) -> None:
    """Find messages on this computer, newest first."""
    _ = desk.account
    if not desk.options.offline:
        await desk.prefer_server()
    core, options = desk.core, desk.options
    conversation = (await find_chat(core, options.chat)).id if options.chat else None
    sender = (await find_person(core, options.sender)).id if options.sender else None
    text = " ".join(options.text)
    found: list[MessageView] = []
    before: int | None = None
    while len(found) < options.limit:
        page = await core.search.messages(
            text,
            conversation=conversation,
            sender=sender,
            limit=options.limit - len(found),
            before=before,
        )
        found += page.messages
        before = page.before
        if before is None:
            break
    people = await People.named(core, _people_of(found))
    chats = {one.id: ChatName.of(one) for one in await core.chats.all()}
    records = [MessageRecord.of(one, chats[one.conversation], people) for one in found]
    desk.shown.add(one.id for one in records)
    if not records:
        if not desk.is_json:
            desk.terminal.out(f"Nothing is found by “{show.one_line(text)}” on this computer.")
        return
    lines = Lines(
        desk.paint,
        desk.width,
        ["me" if one.is_mine else one.sender.shown for one in records],
        chats=[one.conversation.name for one in records],
    )
    day = ""
    for message, record in zip(found, records, strict=True):
        above = []
        if (today := show.day(message.at_ms, desk.now())) != day:
            day = today
            above.append(lines.day(message.at_ms, desk.now()))
        desk.put(record, [*above, *lines.message(record, message.at_ms)])
    if before is not None and not desk.is_json:
        desk.note(desk.paint(show.Style.FAINT, "There are more: use --limit."))
