# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the core's events for ``watch``: which are worth a line, and how each looks."""

from collections.abc import Sequence

from client.cli import show
from client.cli.commands.people import STATE_WORDS
from client.cli.commands.waiting import chat_name, delivery_record
from client.cli.desk import Desk
from client.cli.lines import Lines, ticks
from client.cli.records.live import ChangedRecord, ConnectionRecord, MissedRecord, TypingRecord
from client.cli.records.people import PresenceRecord
from client.cli.records.record import People, short_id
from client.cli.records.talk import ChatRecord, MessageRecord, people_of
from client.cli.show import Style
from client.core import events
from client.core.errors import NotFound
from client.core.status import Delivery, Phase, Status
from client.core.views import MessageView
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.people import Presence

_CONNECTION = {
    Phase.OFFLINE: "offline",
    Phase.CONNECTED: "connected",
    Phase.SIGNED_OUT: "signed out",
    Phase.UNTRUSTED: "not the server that is trusted",
    Phase.MUST_CHANGE_PASSWORD: "waits for a new password",
}
"""Phases that are told; the others pass by."""


class Live:
    """What was printed so far, so that nothing is said twice."""

    def __init__(self, desk: Desk, chat: ConversationId | None) -> None:
        """``chat``: only this conversation; None: all."""
        self.messages = 0
        """How many messages were printed."""
        self._desk = desk
        self._chat = chat
        self._phase: Phase | None = None
        self._ours: dict[ConversationId, MessageId] = {}
        """Our newest message of each conversation, whose ticks are told."""
        self._told: dict[MessageId, Delivery] = {}

    async def show(self, event: events.Event) -> None:
        """Print an event, if it is for this watch."""
        match event:
            case events.StatusChanged(status):
                await self.connection(status)
            case events.MessagesArrived(conversation, messages):
                await self._arrived(conversation, messages)
            case events.MessagesChanged(conversation, messages):
                await self._changed(conversation, messages)
            case events.MessageSent(conversation, message):
                await self._sent(conversation, message)
            case events.MessageFailed(conversation, message):
                await self._delivery(conversation, message)
            case events.ReceiptsMoved(conversation):
                if (ours := self._ours.get(conversation)) is not None:
                    await self._delivery(conversation, ours)
            case events.PresenceChanged(people):
                await self._presence(people)
            case events.TypingChanged(conversation, users):
                await self._typing(conversation, users)
            case events.ChatsChanged(chats):
                await self._chats(chats)
            case events.TrackLost(missed):
                record = MissedRecord(missed)
                self._desk.put(record, self._faint(f"… {missed:,} events were left out …"))
            case _:
                pass

    async def connection(self, status: Status) -> None:
        """Say when the way to the server opens or closes."""
        connection = status.connection
        word = _CONNECTION.get(connection.phase)
        if word is None or connection.phase is self._phase:
            return
        is_first, self._phase = self._phase is None, connection.phase
        why = f": {connection.sentence}" if connection.sentence else ""
        record = ConnectionRecord(connection.phase.value, connection.reason, connection.sentence)
        if not self._desk.is_json:
            is_there = connection.phase is Phase.CONNECTED
            waits = " New messages appear here;" if is_there else " It is tried again;"
            waits = f"{waits} Ctrl+C ends." if is_first else ""
            end = "" if why.endswith(".") else "."
            self._desk.note(self._faint(f"── {word}{why}{end}{waits} ──"))
        else:
            self._desk.put(record, [])

    def _concerns(self, conversation: ConversationId) -> bool:
        return self._chat is None or conversation == self._chat

    def _faint(self, text: str) -> str:
        return self._desk.paint(Style.FAINT, text)

    async def _arrived(self, conversation: ConversationId, messages: Sequence[MessageView]) -> None:
        desk = self._desk
        if not self._concerns(conversation):
            return
        for message in messages:
            await self._message(message)
            self.messages += 1
            if message.is_mine:
                self._ours[conversation] = message.id
            if self.messages == desk.options.count:
                break
        if desk.options.read and messages:
            await desk.core.chats.mark_read(conversation, messages[-1].seq)

    async def _message(self, message: MessageView, *, is_change: bool = False) -> None:
        desk = self._desk
        people = await People.named(desk.core, people_of(message))
        chat = await chat_name(desk, message.conversation)
        record = MessageRecord.of(message, chat, people)
        desk.shown.add([record.id])
        is_named = self._chat is None and (chat.kind != "direct" or message.is_mine)
        names = ["me" if message.is_mine else record.sender.shown]
        chats = [chat.name] if is_named else []
        lines = Lines(desk.paint, desk.width, names, chats=chats).message(record, message.at_ms)
        if is_change:
            desk.put(ChangedRecord(record), [self._faint("changed:"), *lines])
        else:
            desk.put(record, lines)

    async def _changed(self, conversation: ConversationId, messages: frozenset[MessageId]) -> None:
        if not self._concerns(conversation):
            return
        for one in messages:
            try:
                message = await self._desk.core.messages.get(one)
            except NotFound:
                continue
            # Our own queued and failed posts are told by their delivery.
            is_changed = message.seq and (
                message.edited_ms or message.recalled_by or message.reactions or message.pending
            )
            if is_changed or (message.seq and one in self._told):
                await self._message(message, is_change=True)

    async def _sent(self, conversation: ConversationId, message: MessageId) -> None:
        """Ours, from this device (through the door): shown as it would be from another."""
        if not self._concerns(conversation):
            return
        try:
            view = await self._desk.core.messages.get(message)
        except NotFound:  # an edit, a recall or a reaction
            return
        if view.id == message and view.is_mine:
            self._ours[conversation] = message
            await self._message(view)

    async def _delivery(self, conversation: ConversationId, message: MessageId) -> None:
        desk = self._desk
        if not self._concerns(conversation):
            return
        try:
            status = await desk.core.messages.where(message)
        except NotFound:
            return
        if self._told.get(message) == status.delivery:
            return
        self._told = {message: status.delivery, **dict(list(self._told.items())[:500])}
        record = await delivery_record(desk, status)
        line = f"{short_id(record.id)}  {ticks(record.delivery)}"
        desk.put(record, self._faint(line))

    async def _presence(self, changed: Sequence[Presence]) -> None:
        desk = self._desk
        if desk.options.presence is None:
            return
        people = await People.named(desk.core, [one.user for one in changed])
        for one in changed:
            who = show.one_line(people.who(one.user).shown)
            state = STATE_WORDS.get(one.state, "Online")
            status = f" “{show.one_line(one.status)}”" if one.status else ""
            line = self._faint(f"          {show.clock(one.since_ms)}  {who}: {state}{status}")
            desk.put(PresenceRecord.of(one, people), line)

    async def _typing(self, conversation: ConversationId, users: frozenset[UserId]) -> None:
        desk = self._desk
        if not desk.options.typing or not self._concerns(conversation):
            return
        people = await People.named(desk.core, users)
        chat = await chat_name(desk, conversation)
        record = TypingRecord(chat, tuple(people.who(user) for user in users))
        names = ", ".join(sorted(one.shown for one in record.users))
        where = f" in {chat.name}" if chat.kind != "direct" else ""
        line = self._faint(f"          {show.one_line(f'{names} is writing{where} …')}")
        desk.put(record, [line] if users else [])

    async def _chats(self, chats: frozenset[ConversationId]) -> None:
        """For programs only: people see the messages."""
        desk = self._desk
        if not desk.is_json:
            return
        for one in chats:
            if not self._concerns(one):
                continue
            try:
                chat = await desk.core.chats.get(one)
            except NotFound:
                continue
            ids: list[UserId | None] = [chat.peer]
            ids += people_of(chat.last) if chat.last else ()
            desk.put(ChatRecord.of(chat, await People.named(desk.core, ids)), [])
