# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of what ``watch`` prints beside messages."""

from client.cli.records.record import Record, Who
from client.cli.records.talk import ChatName, MessageRecord


class ConnectionRecord(Record, frozen=True, tag="connection"):
    """The way to the server changed."""

    phase: str
    """As in ``status``."""
    reason: str
    sentence: str


class ChangedRecord(Record, frozen=True, tag="changed"):
    """A message that was there already was edited, recalled or reacted to."""

    message: MessageRecord


class TypingRecord(Record, frozen=True, tag="typing"):
    """Who is writing in a conversation now; empty: nobody any more."""

    conversation: ChatName
    users: tuple[Who, ...]


class MissedRecord(Record, frozen=True, tag="missed"):
    """More happened than could be printed: so many events were left out."""

    events: int
