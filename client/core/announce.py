# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the subscribers what a landing changed."""

from client.core.events import (
    ChatsChanged,
    HistoryFilled,
    MessagesArrived,
    MessagesChanged,
    MessageSent,
    ReceiptsMoved,
)
from client.core.feed import Feed
from client.core.store.landing import Landing


def announce(feed: Feed, landing: Landing, *, is_live: bool) -> None:
    """Publish the events of a landing; what was sent and what arrived first, the list last."""
    for conversation, message, seq in landing.sent:
        feed.publish(MessageSent(conversation, message, seq))
    for arrival in landing.arrivals:
        feed.publish(MessagesArrived(arrival.conversation, arrival.messages, is_live))
    for conversation, messages in landing.changed.items():
        feed.publish(MessagesChanged(conversation, frozenset(messages)))
    for conversation, first, last in landing.filled:
        feed.publish(HistoryFilled(conversation, first, last))
    for conversation, users in landing.receipts.items():
        feed.publish(ReceiptsMoved(conversation, frozenset(users)))
    if landing.chats:
        feed.publish(ChatsChanged(frozenset(landing.chats)))
