# SPDX-License-Identifier: GPL-3.0-or-later
"""One device of one person in the office of world.py: the least that a client must do to keep a complete copy, and steps that read
like a scene.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from protocol.client_connection import ClientConnection
from protocol.codec import decode_content, encode_content
from protocol.errors import ErrorCode, RequestRefused
from protocol.events import (
    ConnectionFailed,
    GoodbyeReceived,
    PushReceived,
    ReplyReceived,
    RequestFailed,
    WelcomeReceived,
)
from protocol.ids import ConversationId, MessageId, UserId, direct_conversation_id, uuid7
from protocol.messages.chat import (
    Chat,
    ChatChanged,
    Cursor,
    Cursors,
    Event,
    Events,
    GetHistory,
    Post,
    Posted,
    Receipts,
    Sync,
    TypingNow,
)
from protocol.messages.content import (
    Edit,
    EventContent,
    PostedContent,
    React,
    Recall,
    Recalled,
    Span,
    SpanKind,
    Text,
)
from protocol.messages.kinds import Note, Push, Reply, ReplyT_co, Request
from protocol.messages.session import (
    Behind,
    DeviceInfo,
    Resume,
    SessionEnded,
    SignedIn,
    SignIn,
)

if TYPE_CHECKING:
    from tests.support.world import World


class Line:
    """A connection in memory: the session's wire on one side, the client on the other."""

    def __init__(self) -> None:
        self.address = "192.0.2.7"
        self.pending_bytes = 0
        self.is_closed = False
        self.is_slow = False
        """True: what the server writes stays on the way."""
        self._to_client: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self.is_closed:
            self._to_client.append(data)
            self.pending_bytes += len(data)

    def peer_certificate(self) -> bytes | None:
        return None

    def signed_in(self) -> None:
        pass

    def close(self, reason: str = "") -> None:
        self.is_closed = True

    def take(self) -> bytes:
        """What has come through."""
        data = b"".join(self._to_client)
        self._to_client.clear()
        self.pending_bytes = 0
        return data


@dataclass
class Copy:
    """What a device holds of one conversation."""

    chat: Chat
    events: dict[int, Event] = field(default_factory=dict)

    @property
    def head(self) -> int:
        """The last number that the device knows of."""
        return max(self.chat.head, max(self.events, default=0))


class Colleague:
    """A device: what it keeps on its disk (``copies``, ``stamp``, ``token``), its connection, and its user's hands."""

    def __init__(self, world: World, user: UserId, name: str, password: str, device: bytes) -> None:
        self.world = world
        self.user = user
        self.name = name
        self.device = DeviceInfo(device, f"{name}'s computer")
        self.copies: dict[ConversationId, Copy] = {}
        self.stamp = 0
        self.clock_error_ms = 0
        """How far this device's clock is wrong."""
        self.pushes: list[Push] = []
        """Everything that came unasked, since the last connection."""
        self.goodbye: GoodbyeReceived | None = None
        self.is_behind = False
        self.line = Line()
        self.line.close()
        self._password = password
        self._token = b""
        self._connection: ClientConnection | None = None
        self._session: Any = None
        self._answers: dict[int, Reply | RequestRefused] = {}
        self._last_pushed = 0
        self._count = 0

    # Coming and going

    @property
    def is_connected(self) -> bool:
        """Whether the device is signed in."""
        return self._connection is not None

    def connects(self) -> None:
        """Open a line and greet."""
        now = self.world.reactor.seconds()
        self.line = Line()
        self.pushes = []
        self.goodbye = None
        self.is_behind = False
        self._answers = {}
        self._last_pushed = 0
        self._connection = ClientConnection(now)
        self._session = self.world.server.parts.sessions.accept(self.line)
        self.world.settle()

    def signs_in(self) -> SignedIn:
        """Sign in on the line, by token when there is one."""
        if self._token:
            signed_in = self.asks(Resume(self.user, self.device, self._token))
        else:
            signed_in = self.asks(SignIn(self.name.lower(), self._password, self.device))
        self._token = signed_in.token or self._token
        return signed_in

    def returns(self) -> None:
        """Connect, sign in and synchronise."""
        self.connects()
        self.signs_in()
        self.synchronises()

    def goes_offline(self) -> None:
        """The cable is pulled; the server notices."""
        if self._connection is not None:
            self.is_cut()
            self.world.settle()

    def is_cut(self) -> None:
        """The line is gone with everything on it."""
        if self._connection is None:
            return
        self._connection.lost()
        self._connection = None
        self.line.close()
        session, self._session = self._session, None
        session.lost("cut")

    # Bytes

    def exchange(self) -> bool:
        """Carry over what waits on both sides; whether there was anything."""
        connection = self._connection
        if connection is None:
            return False
        now = self.world.reactor.seconds()
        outgoing = connection.data_to_send()
        if outgoing:
            self._session.received(outgoing)
        incoming = b"" if self.line.is_slow else self.line.take()
        if incoming:
            for event in connection.receive(incoming, now):
                self._take(event)
        if self.line.is_closed and not self.line.is_slow and not incoming and self._connection:
            self.is_cut()
            return True
        return bool(outgoing or incoming)

    def time_passed(self) -> None:
        """Let the connection's timer fire when it is due."""
        connection, now = self._connection, self.world.reactor.seconds()
        if connection is not None:
            at = connection.timer_at()
            if at is not None and at <= now:
                for event in connection.timer_fired(now):
                    self._take(event)

    def reads_again(self) -> None:
        """A line that was slow carries again."""
        self.line.is_slow = False
        self.world.settle()
        self._session.drained()
        self.world.settle()

    def _take(self, event: object) -> None:
        if isinstance(event, ReplyReceived):
            self._answers[event.number] = event.message
            if isinstance(event.request, Post) and isinstance(event.message, Posted):
                self._has_posted(event.request, event.message)
        elif isinstance(event, RequestFailed):
            self._answers[event.number] = RequestRefused(
                event.code, event.sentence, retry_after_ms=event.retry_after_ms
            )
        elif isinstance(event, PushReceived):
            self.pushes.append(event.message)
            self._take_push(event.message)
        elif isinstance(event, GoodbyeReceived):
            self.goodbye = event
        elif isinstance(event, ConnectionFailed):
            pytest.fail(f"{self.name}'s connection failed: {event.sentence}")
        elif not isinstance(event, WelcomeReceived):
            raise TypeError(event)

    def _take_push(self, push: Push) -> None:
        if isinstance(push, Events):
            for event in push.events:
                assert event.stamp > self._last_pushed, "events come in the order of their stamps"
                self._last_pushed = event.stamp
                self._keep(event)
                self.stamp = max(self.stamp, event.stamp)
        elif isinstance(push, ChatChanged):
            self._keep_chat(push.chat)
        elif isinstance(push, Behind):
            self.is_behind = True

    def _has_posted(self, request: Post, posted: Posted) -> None:
        self._keep(
            Event(
                posted.conversation,
                posted.seq,
                posted.stamp,
                request.id,
                self.user,
                posted.at_ms,
                posted.ordinal,
                request.content,
            )
        )

    def _keep(self, event: Event) -> None:
        copy = self.copies.get(event.conversation)
        if copy is None:
            copy = self.copies[event.conversation] = Copy(Chat(event.conversation, ""))
        copy.events[event.seq] = event

    def _keep_chat(self, chat: Chat) -> None:
        copy = self.copies.setdefault(chat.conversation, Copy(chat))
        copy.chat = chat
        for event in chat.events:
            copy.events[event.seq] = event

    # Asking

    def sends(self, request: Request[Any]) -> int:
        """Send a request and don't wait; its number."""
        assert self._connection is not None, f"{self.name} is not connected"
        return self._connection.request(request, self.world.reactor.seconds())

    def notes(self, note: Note) -> None:
        """Send a note."""
        assert self._connection is not None, f"{self.name} is not connected"
        self._connection.note(note)
        self.world.settle()

    def answer_to(self, number: int) -> Reply | RequestRefused | None:
        """What was answered, if anything."""
        return self._answers.get(number)

    def asks(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer to a request. Raises RequestRefused."""
        number = self.sends(request)
        self.world.settle()
        answer = self._answers.pop(number, None)
        if isinstance(answer, RequestRefused):
            raise answer
        assert answer is not None, f"{request} was not answered"
        return answer  # type: ignore[return-value]  # the connection has matched it to its request

    def is_refused(self, request: Request[Any], code: ErrorCode) -> RequestRefused:
        """The request is refused with this code."""
        with pytest.raises(RequestRefused) as caught:
            self.asks(request)
        assert caught.value.code is code, caught.value
        return caught.value

    # Chatting

    def new_id(self) -> MessageId:
        """An id for an event, by this device's clock."""
        self._count += 1
        entropy = (self._count.to_bytes(4, "big") + self.device.id[-6:])[:10]
        return uuid7(self.world.now_ms() + self.clock_error_ms, entropy)

    def with_(self, other: Colleague) -> ConversationId:
        """The direct conversation with somebody."""
        return direct_conversation_id(self.user, other.user)

    def post(
        self, content: PostedContent, to: Colleague | ConversationId, id: MessageId | None = None
    ) -> Post:
        """A post, not sent yet."""
        raw = encode_content(content)
        if isinstance(to, Colleague):
            return Post(self.with_(to), id or self.new_id(), raw, to.user)
        return Post(to, id or self.new_id(), raw)

    def posts(
        self,
        text: str,
        to: Colleague | ConversationId,
        *,
        mentions: tuple[Colleague, ...] = (),
        reply_to: MessageId | None = None,
    ) -> MessageId:
        """Write something and have it acknowledged."""
        spans = tuple(
            Span(SpanKind.MENTION.value, 0, len(text), user=person.user) for person in mentions
        )
        request = self.post(Text(text, spans, reply_to), to)
        self.asks(request)
        return request.id

    def edits(self, message: MessageId, text: str, where: Colleague | ConversationId) -> MessageId:
        """Put another text in place."""
        request = self.post(Edit(message, text), where)
        self.asks(request)
        return request.id

    def recalls(self, message: MessageId, where: Colleague | ConversationId) -> MessageId:
        """Take a message back."""
        request = self.post(Recall(message), where)
        self.asks(request)
        return request.id

    def reacts(
        self, message: MessageId, emoji: str, where: Colleague | ConversationId, is_on: bool = True
    ) -> MessageId:
        """Put a reaction on a message."""
        request = self.post(React(message, emoji, is_on), where)
        self.asks(request)
        return request.id

    def reads(self, where: Colleague | ConversationId, up_to: int | None = None) -> None:
        """See everything there, or everything up to a number."""
        id = self._id_of(where)
        self.notes(Cursors((Cursor(id, read=self.copies[id].head if up_to is None else up_to),)))

    def receives(self, where: Colleague | ConversationId, up_to: int | None = None) -> None:
        """Have everything there on the device."""
        id = self._id_of(where)
        up_to = self.copies[id].head if up_to is None else up_to
        self.notes(Cursors((Cursor(id, delivered=up_to),)))

    # Keeping a complete copy

    def synchronises(self, *, limit: int = 100, events: int = 20) -> list[Chat]:
        """Catch up after a gap of any length; what was brought."""
        brought: list[Chat] = []
        cursor = b""
        while True:
            page = self.asks(Sync(self.stamp, cursor, events, limit))
            for chat in page.chats:
                self._keep_chat(chat)
                brought.append(chat)
            cursor = page.cursor
            if not cursor:
                break
        self.stamp = max(self.stamp, page.stamp)
        self.is_behind = False
        return brought

    def completes(self, id: ConversationId) -> None:
        """Fetch what is missing, until the copy has every number from the first to the head."""
        copy = self.copies[id]
        seq = copy.chat.first
        while seq <= copy.head:
            if seq in copy.events:
                seq += 1
                continue
            page = self.asks(GetHistory(id, after=seq - 1, limit=50))
            assert page.events, f"{self.name} is told of no {seq}, of {copy.chat.first}-{copy.head}"
            for event in page.events:
                copy.events[event.seq] = event

    def completes_everything(self) -> None:
        """The same for every conversation."""
        for id in list(self.copies):
            self.completes(id)

    def told(self, kind: type[Push]) -> list[Any]:
        """The pushes of a kind, since the last connection."""
        return [push for push in self.pushes if isinstance(push, kind)]

    def receipts(self) -> list[tuple[UserId, int, int]]:
        """Who was said to have received and read how much, in order."""
        return [
            (receipt.user, receipt.delivered, receipt.read)
            for push in self.told(Receipts)
            for changed in push.changed
            for receipt in changed.receipts
        ]

    def typists(self) -> list[UserId]:
        """Who was said to be writing, in order."""
        return [push.user for push in self.told(TypingNow)]

    def was_ended(self) -> SessionEnded | None:
        """The end of the session, as it was told."""
        ended = self.told(SessionEnded)
        return ended[0] if ended else None

    # Looking

    def _id_of(self, where: Colleague | ConversationId) -> ConversationId:
        return self.with_(where) if isinstance(where, Colleague) else where

    def copy(self, where: Colleague | ConversationId) -> Copy:
        """What the device holds of a conversation."""
        return self.copies[self._id_of(where)]

    def chat(self, where: Colleague | ConversationId) -> Chat:
        """The last state of a conversation that the device was told."""
        return self.copy(where).chat

    def contents(self, where: Colleague | ConversationId) -> list[EventContent]:
        """Every event that the device holds, as it came."""
        copy = self.copy(where)
        found = [decode_content(copy.events[seq].content) for seq in sorted(copy.events)]
        return [content for content in found if content is not None]

    def sees(self, where: Colleague | ConversationId) -> list[str]:
        """The messages as the window shows them: edited, and recalled ones as a dash."""
        return shown(self.copy(where).events)


def shown(events: dict[int, Event]) -> list[str]:
    """The messages among some events as a window shows them."""
    lines: dict[bytes, str] = {}
    for seq in sorted(events):
        event = events[seq]
        content = decode_content(event.content)
        if isinstance(content, Text):
            lines[event.id] = content.text
        elif isinstance(content, Edit) and lines.get(content.target, "-") != "-":
            lines[content.target] = content.text
        elif isinstance(content, Recall) and content.target in lines:
            lines[content.target] = "-"
        elif isinstance(content, Recalled) and event.ordinal != _ordinal_before(events, seq):
            lines[event.id] = "-"
    return list(lines.values())


def _ordinal_before(events: dict[int, Event], seq: int) -> int:
    """The ordinal of the event before: one that repeats it is no message."""
    before = events.get(seq - 1)
    return before.ordinal if before is not None else events[seq].ordinal - 1


def evolve(chat: Chat, **changes: Any) -> Chat:
    """A copy of a chat with some fields changed."""
    return msgspec.structs.replace(chat, **changes)
