# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and notices as lines for people: one layout for history, search and watch."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

import wcwidth

from client.cli import show
from client.cli.records.record import Who, short_id
from client.cli.records.talk import (
    DeliveryPart,
    GapRecord,
    MessageRecord,
    NoticeRecord,
)
from client.cli.show import Style

WIDEST_NAME: Final = 18
NARROWEST_TEXT: Final = 20
"""Columns; a text is not squeezed below this: then lines wrap by themselves."""

_TICKS: Final = {
    "queued": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "not sent",
}
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_STYLES: Final = {"queued": Style.WARNING, "failed": Style.DANGER}


class Lines:
    """Lays out one stretch of a conversation."""

    def __init__(
        self,
        paint: show.Paint,
        width: int | None,
        names: Sequence[str],
        *,
        chats: Sequence[str] = (),
    ) -> None:
        """``names`` are those of the senders, ``chats`` of the conversations where several are shown: columns fit them."""
        self._paint = paint
        self._width = width
        self._name_width = _column(names)
        self._chat_width = _column(chats) if chats else 0

    def message(self, message: MessageRecord, at_ms: int) -> list[str]:
        """A message: id, time, sender, text; below it what it answers, and reactions."""
        paint = self._paint
        name = show.shorten(show.one_line(_sender(message)), self._name_width)
        style = Style.ACCENT if message.is_mine else Style.STRONG
        head = [
            paint(Style.FAINT, short_id(message.id)),
            paint(Style.FAINT, show.clock(at_ms)),
            *self._chat_cell(message.conversation.name),
            paint(style, name) + " " * (self._name_width - wcwidth.width(name)),
        ]
        body = [*self._above(message), *self._text(message), *self._below(message)]
        first = "  ".join(head) + "  "
        indent = " " * wcwidth.width(first)
        lines = [first + body[0], *(indent + line for line in body[1:])]
        return [line.rstrip() for line in lines]

    def notice(self, notice: NoticeRecord, at_ms: int) -> list[str]:
        """A line about the conversation itself."""
        blank = " " * wcwidth.width(short_id(notice.id))
        cells = [blank, show.clock(at_ms), *self._chat_cell(notice.conversation.name)]
        before = "  ".join(cells) + "  "
        space = self._space(before)
        lines = show.wrap(notice_sentence(notice), space)
        indent = " " * wcwidth.width(before)
        return [self._paint(Style.FAINT, before + lines[0])] + [
            self._paint(Style.FAINT, indent + line) for line in lines[1:]
        ]

    def gap(self, gap: GapRecord) -> str:
        """A line where something is missing."""
        missing = show.count(gap.last - gap.first + 1, "change")
        return self._paint(Style.WARNING, f"… {missing} not on this computer …")

    def day(self, at_ms: int, now: dt.datetime) -> str:
        """The line above the messages of a day."""
        return self._paint(Style.FAINT, f"── {show.day(at_ms, now)} ──")

    def _chat_cell(self, name: str) -> list[str]:
        if not self._chat_width:
            return []
        short = show.shorten(show.one_line(name), self._chat_width)
        return [self._paint(Style.FAINT, show.pad(short, self._chat_width))]

    def _space(self, before: str) -> int | None:
        if self._width is None:
            return None
        return max(self._width - wcwidth.width(before), NARROWEST_TEXT)

    def _body_space(self) -> int | None:
        cells = 8 + 5 + self._name_width + 6 + (self._chat_width + 2 if self._chat_width else 0)
        return None if self._width is None else max(self._width - cells, NARROWEST_TEXT)

    def _above(self, message: MessageRecord) -> Iterator[str]:
        space = self._body_space()
        said = []
        if (reply := message.reply) is not None:
            text = "(recalled)" if reply.is_recalled else show.one_line(reply.text)
            who = show.one_line(reply.sender.shown) if reply.sender else "an earlier message"
            said.append(f"▏{who}: {text}" if text else f"▏{who}")
        if (forwarded := message.forwarded) is not None:
            said.append(f"▏forwarded from {show.one_line(forwarded.sender.shown)}")
        for line in said:
            short = line if space is None else show.shorten(line, space)
            yield self._paint(Style.FAINT, short)

    def _text(self, message: MessageRecord) -> list[str]:
        tags = ", ".join(self._tags(message))
        tag = f"  ({tags})" if tags else ""
        text = message.text
        if message.recalled_by is not None:
            by_self = message.recalled_by.id == message.sender.id
            text = "(recalled)" if by_self else f"(recalled by {message.recalled_by.shown})"
        elif not message.is_known:
            text = "(a kind of message that this version can't show)"
        lines = show.wrap(f"{text}{tag}", self._body_space())
        for attachment in message.attachments:
            size = _size(attachment.size_bytes)
            lines.append(f"[file] {show.one_line(attachment.name)}, {size}")
        if tag and lines and lines[-1].endswith(tag.strip()):
            bare = lines[-1].removesuffix(tag.strip())
            lines[-1] = bare + self._paint(self._tag_style(message), tag.strip())
        if message.recalled_by is not None or not message.is_known:
            lines = [self._paint(Style.FAINT, line) for line in lines]
        return lines

    def _below(self, message: MessageRecord) -> Iterator[str]:
        said = []
        for reaction in message.reactions:
            names = [show.one_line(who.shown) for who in reaction.users[:3]]
            more = len(reaction.users) - len(names)
            said.append(
                f"{show.one_line(reaction.emoji)} {', '.join(names)}"
                + (f" +{more}" if more else "")
            )
        if said:
            for line in show.wrap("   ".join(said), self._body_space()):
                yield self._paint(Style.FAINT, line)
        for pending in message.pending:
            what = f"{pending.kind} not sent" if pending.failure else f"{pending.kind} queued"
            why = f": {show.one_line(pending.failure.sentence)}" if pending.failure else ""
            yield self._paint(Style.WARNING, f"({what}{why})")

    def _tags(self, message: MessageRecord) -> Iterator[str]:
        if message.edited is not None and message.recalled_by is None:
            yield "edited"
        if message.mentions_me:
            yield "mentions you"
        if message.delivery is not None and message.recalled_by is None:
            yield ticks(message.delivery)

    def _tag_style(self, message: MessageRecord) -> Style:
        if message.mentions_me:
            return Style.MENTION
        state = message.delivery.state if message.delivery else ""
        return _STYLES.get(state, Style.FAINT)


def ticks(delivery: DeliveryPart) -> str:
    """How far a message has come, in words."""
    word = _TICKS.get(delivery.state, delivery.state)
    if delivery.state == "failed" and delivery.failure is not None:
        return f"{word}: {show.one_line(delivery.failure.sentence)}"
    if delivery.recipients > 1 and delivery.state in ("sent", "delivered", "read"):
        if delivery.read:
            return f"read {delivery.read}/{delivery.recipients}"
        if delivery.delivered:
            return f"delivered {delivery.delivered}/{delivery.recipients}"
    return word


def notice_sentence(notice: NoticeRecord) -> str:
    """What a notice says."""
    who = notice.sender.shown
    if notice.kind == "created":
        others = tuple(one for one in notice.added if one.id != notice.sender.id)
        if notice.conversation.kind == "direct":
            return f"{who} began this chat"
        title = f"“{notice.title}”" if notice.title else "this chat"
        return f"{who} created {title}" + (f" with {_names(others)}" if others else "")
    if notice.kind == "group_changed":
        rule = "; only owner and admins write" if notice.is_readers_only else ""
        return (
            f"{who} set the title to “{notice.title}”{rule}"
            if notice.title
            else (f"{who} changed the rules{rule}")
        )
    said = []
    if notice.added:
        said.append(f"{who} added {_names(notice.added)}")
    if notice.removed:
        said.append(f"{who} removed {_names(notice.removed)}")
    if notice.left:
        said.append(f"{_names(notice.left)} left")
    if notice.changed:
        said.append(f"{who} made {_names(notice.changed)} {notice.role}")
    return "; ".join(said) or f"{who} changed the members"


def _sender(message: MessageRecord) -> str:
    return "me" if message.is_mine else message.sender.shown


def _names(people: tuple[Who, ...], most: int = 6) -> str:
    names = [one.shown for one in people[:most]]
    more = len(people) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _column(names: Sequence[str]) -> int:
    widest = max((wcwidth.width(show.one_line(name)) for name in names), default=0)
    return min(max(widest, 2), WIDEST_NAME)


def _size(size_bytes: int) -> str:
    """Decimal units, two digits at least."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min((len(str(size_bytes)) - 1) // 3, 4)
    size = size_bytes / 1000**power
    return f"{size:.1f} {_UNITS[power]}" if size < 10 else f"{size:.0f} {_UNITS[power]}"
