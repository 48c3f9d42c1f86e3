# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: messages. Posting is durable here before a call returns; reading asks the server only for what is not here."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from client.core.backfill import Backfill
from client.core.clock import Clock
from client.core.errors import NotFound, NotSignedIn, Offline, Refused, Unsendable
from client.core.events import (
    ChatsChanged,
    MessageFailed,
    MessageQueued,
    MessagesChanged,
    MessageSent,
)
from client.core.feed import Feed
from client.core.outbox import Outbox
from client.core.session import Session
from client.core.status import Failure, MessageStatus
from client.core.store import conversations, shown, timeline
from client.core.store import outbox as rows
from client.core.store.database import Database
from client.core.store.outbox import FORWARD, QueuedRow
from client.core.views import HistoryPage, MessageView
from protocol.codec import decode_content, decode_posted, encode_content
from protocol.errors import ErrorCode, LocalProtocolError, RequestRefused
from protocol.ids import ConversationId, MessageId, UserId, direct_conversation_id
from protocol.limits import MAX_RECEIPT_MEMBERS
from protocol.messages.chat import GetReceipts, Receipt
from protocol.messages.content import Attachment, Edit, PostedContent, React, Recall, Span, Text

MAX_HISTORY_FETCHES: Final = 20
"""Pages fetched for one screen: edits and reactions fill pages without filling the screen, but not for ever."""


@dataclass(frozen=True, slots=True)
class QueuedPost:
    """One entry of the outbox."""

    id: MessageId
    conversation: ConversationId
    kind: str
    """``text``, ``edit``, ``recall``, ``react`` or ``forward``."""
    created_ms: int
    attempts: int
    failure: Failure | None
    """Set: refused for good; retry or discard it."""
    preview: str


class MessagesRoom:
    """Messages of all conversations."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        feed: Feed,
        outbox: Outbox,
        backfill: Backfill,
        clock: Clock,
        new_id: Callable[[], bytes],
    ) -> None:
        self._session = session
        self._database = database
        self._feed = feed
        self._outbox = outbox
        self._backfill = backfill
        self._clock = clock
        self._new_id = new_id

    # Posting

    async def send(
        self,
        conversation: ConversationId,
        text: str,
        spans: Sequence[Span] = (),
        *,
        reply_to: MessageId | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> MessageId:
        """Queue a message. Raises Unsendable, NotFound, StoreFailed."""
        row = await self._database.run(conversations.find, conversation)
        if row is None:
            raise NotFound("There is no such conversation on this computer.")
        return await self._post_text(conversation, row.peer, text, spans, reply_to, attachments)

    async def send_to(
        self,
        user: UserId,
        text: str,
        spans: Sequence[Span] = (),
        *,
        reply_to: MessageId | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> MessageId:
        """Queue a message to a person; the conversation begins with it when there is none. Raises Unsendable, StoreFailed."""
        conversation = direct_conversation_id(self._session.me, user)
        return await self._post_text(conversation, user, text, spans, reply_to, attachments)

    async def edit(self, message: MessageId, text: str, spans: Sequence[Span] = ()) -> MessageId:
        """Queue a new text for a message of ours. Raises Unsendable, NotFound."""
        return await self._change(message, Edit(message, _checked_text(text), tuple(spans)))

    async def recall(self, message: MessageId) -> MessageId:
        """Queue the recall of a message. Raises NotFound."""
        return await self._change(message, Recall(message))

    async def react(self, message: MessageId, emoji: str, *, is_on: bool = True) -> MessageId:
        """Queue a reaction, or its removal. Raises Unsendable, NotFound."""
        return await self._change(message, React(message, emoji, is_on))

    async def forward(
        self,
        message: MessageId,
        *,
        to: ConversationId | None = None,
        to_user: UserId | None = None,
    ) -> MessageId:
        """Queue a copy of a message for a conversation or a person. Raises NotFound, Unsendable."""
        await self.get(message)
        if to_user is not None:
            to = direct_conversation_id(self._session.me, to_user)
            return await self._queue(to, to_user, FORWARD, b"", message)
        if to is None:
            raise Unsendable("Say to whom the message is to be forwarded.")
        row = await self._database.run(conversations.find, to)
        return await self._queue(to, row.peer if row else None, FORWARD, b"", message)

    async def retry(self, post: MessageId) -> None:
        """Queue a failed post again, behind what was queued since. Raises NotFound."""
        queued = await self._database.run(rows.retry, post)
        self._touched(queued)

    async def discard(self, post: MessageId) -> None:
        """Forget a post that the server has not confirmed; one that is just being sent may still arrive. Raises NotFound."""
        queued = await self._database.run(rows.discard, post)
        self._touched(queued)

    async def outbox(self) -> tuple[QueuedPost, ...]:
        """All that is queued or failed, in order of sending."""
        return tuple(_queued_post(row) for row in await self._database.run(rows.every))

    async def until_sent(self, post: MessageId, timeout_s: float = 30.0) -> MessageStatus:
        """Wait until the server has a post. Raises Refused when it failed for good, Offline when it is still queued after the time."""
        with self._feed.subscribe() as events:
            status = await self._status_or_raise(post)
            if status.server is not None:
                return status
            try:
                async with asyncio.timeout(timeout_s):
                    async for event in events:
                        if isinstance(event, MessageSent | MessageFailed) and event.message != post:
                            continue
                        status = await self._status_or_raise(post)
                        if status.server is not None:
                            return status
            except TimeoutError as error:
                raise Offline("The message is still queued on this computer.") from error
        raise Offline("The program is stopping; the message stays queued on this computer.")

    # Reading

    async def get(self, message: MessageId) -> MessageView:
        """One message. Raises NotFound."""
        return await self._database.run(timeline.message, self._session.me, message)

    async def history(
        self, conversation: ConversationId, before: int | None = None, limit: int = 50
    ) -> HistoryPage:
        """A page of a conversation, ending below ``before`` or at its end; fetched as far as it is not here. Raises NotFound.

        Without the server, a gap in the page says what is missing.
        """
        me = self._session.me
        for _ in range(MAX_HISTORY_FETCHES):
            page = await self._database.run(timeline.history, me, conversation, before, limit)
            count = sum(1 for entry in page.entries if getattr(entry, "seq", 0))
            if page.is_start or count >= limit or not self._session.is_open:
                return page
            first, last, _ = await self._database.run(timeline.run_below, conversation, before)
            if not last:
                return page
            try:
                await self._backfill.fetch(conversation, first, last)
            except (Offline, NotSignedIn, Refused):
                return page
        return await self._database.run(timeline.history, me, conversation, before, limit)

    async def where(self, message: MessageId) -> MessageStatus:
        """Where a post of ours is, down to each recipient. Raises NotFound."""
        me = self._session.me
        status = await self._database.run(timeline.where, me, message)
        known = len(status.recipients)
        is_large = status.delivery.recipients > min(known, MAX_RECEIPT_MEMBERS)
        if status.server is None or not is_large or not self._session.is_open:
            return status
        asked: tuple[Receipt, ...] = ()
        try:
            asked = (await self._session.request(GetReceipts(status.conversation))).receipts
        except (Offline, NotSignedIn, Refused):
            return status
        return await self._database.run(timeline.where, me, message, asked)

    # Private

    async def _post_text(
        self,
        conversation: ConversationId,
        peer: UserId | None,
        text: str,
        spans: Sequence[Span],
        reply_to: MessageId | None,
        attachments: Sequence[Attachment],
    ) -> MessageId:
        if not attachments:
            _checked_text(text)
        content = Text(text, tuple(spans), reply_to, tuple(attachments))
        return await self._queue(conversation, peer, "text", _encoded(content), None)

    async def _change(self, message: MessageId, content: Edit | Recall | React) -> MessageId:
        conversation, peer = await self._database.run(timeline.target_of, message)
        kind = str(content.__struct_config__.tag)
        return await self._queue(conversation, peer, kind, _encoded(content), message)

    async def _queue(
        self,
        conversation: ConversationId,
        peer: UserId | None,
        kind: str,
        content: bytes,
        target: MessageId | None,
    ) -> MessageId:
        post = self._new_id()
        await self._database.run(
            rows.put,
            post=post,
            conversation=conversation,
            peer=peer,
            kind=kind,
            content=content,
            target=target,
            created_ms=self._clock.server_now_ms(),
        )
        self._feed.publish(MessageQueued(conversation, post))
        if target is not None and kind != FORWARD:
            self._feed.publish(MessagesChanged(conversation, frozenset((target,))))
        self._feed.publish(ChatsChanged(frozenset((conversation,))))
        self._outbox.wake()
        return post

    def _touched(self, queued: QueuedRow | None) -> None:
        if queued is None:
            raise NotFound("There is no such post in the outbox.")
        seen = queued.target if queued.target and queued.kind != FORWARD else queued.id
        self._feed.publish(MessagesChanged(queued.conversation, frozenset((seen,))))
        self._feed.publish(ChatsChanged(frozenset((queued.conversation,))))
        self._outbox.wake()

    async def _status_or_raise(self, post: MessageId) -> MessageStatus:
        status = await self._database.run(timeline.where, self._session.me, post)
        failure = status.delivery.failure
        if failure is not None:
            raise Refused(ErrorCode.parse(failure.code), failure.sentence)
        return status


def _encoded(content: PostedContent) -> bytes:
    """The content as it travels, checked as the server will check it. Raises Unsendable."""
    try:
        encoded = bytes(encode_content(content))
        decode_posted(encoded)
    except (LocalProtocolError, RequestRefused) as error:
        raise Unsendable(f"This can't be sent: {error}") from error
    if isinstance(content, Text | Edit):
        for span in content.spans:
            if span.start + span.length > len(content.text):
                raise Unsendable("A formatted stretch reaches beyond the text.")
    return encoded


def _checked_text(text: str) -> str:
    if not text.strip():
        raise Unsendable("An empty message is not sent.")
    return text


def _queued_post(row: QueuedRow) -> QueuedPost:
    content = decode_content(row.content) if row.content else None
    if isinstance(content, Text | Edit):
        preview = content.text[: shown.PREVIEW_CHARS]
    else:
        preview = content.emoji if isinstance(content, React) else ""
    failure = Failure(row.code, row.sentence) if row.is_failed else None
    return QueuedPost(
        row.id, row.conversation, row.kind, row.created_ms, row.attempts, failure, preview
    )
