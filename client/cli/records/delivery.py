# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of messages on their way: sent, queued, where they are."""

from typing import TYPE_CHECKING

import msgspec

from client.cli.records.record import People, Record, Who
from client.cli.records.talk import ChatName, DeliveryPart, FailureRecord
from client.cli.show import rfc3339
from client.core.status import MessageStatus
from protocol.ids import format_id

if TYPE_CHECKING:
    from client.core.messages import QueuedPost


class RecipientRecord(msgspec.Struct, frozen=True):
    """How far a message has come for one person."""

    user: Who
    state: str
    """sent, delivered or read."""


class HereRecord(msgspec.Struct, frozen=True):
    """The message waits on this computer."""

    since: str | None
    position: int
    """How many posts of the same conversation go before it."""
    attempts: int
    last_reason: FailureRecord | None


class AtServerRecord(msgspec.Struct, frozen=True):
    """The message is durable at the server."""

    since: str | None
    number: int


class DeliveryRecord(Record, frozen=True, tag="delivery"):
    """Where one message of ours, or a change of one, is. Exactly one of ``here`` and ``server`` is set."""

    id: str
    conversation: ChatName
    delivery: DeliveryPart
    here: HereRecord | None
    server: AtServerRecord | None
    recipients: tuple[RecipientRecord, ...]

    @classmethod
    def of(cls, status: MessageStatus, chat: ChatName, people: People) -> "DeliveryRecord":
        """The record of a message's way."""
        here, server = status.here, status.server
        return cls(
            id=format_id(status.id),
            conversation=chat,
            delivery=DeliveryPart.of(status.delivery),
            here=None
            if here is None
            else HereRecord(
                rfc3339(here.since_ms),
                here.position,
                here.attempts,
                FailureRecord.of(here.last_reason),
            ),
            server=None if server is None else AtServerRecord(rfc3339(server.since_ms), server.seq),
            recipients=tuple(
                RecipientRecord(people.who(one.user), one.state.value) for one in status.recipients
            ),
        )


class QueuedRecord(Record, frozen=True, tag="queued"):
    """A post that waits on this computer, or was refused."""

    id: str
    conversation: ChatName
    kind: str
    """text, edit, recall, react or forward."""
    since: str | None
    attempts: int
    failure: FailureRecord | None
    """Set: it is not tried again by itself."""
    preview: str

    @classmethod
    def of(cls, post: "QueuedPost", chat: ChatName) -> "QueuedRecord":
        """The record of a queued post."""
        return cls(
            id=format_id(post.id),
            conversation=chat,
            kind=post.kind,
            since=rfc3339(post.created_ms),
            attempts=post.attempts,
            failure=FailureRecord.of(post.failure),
            preview=post.preview,
        )
