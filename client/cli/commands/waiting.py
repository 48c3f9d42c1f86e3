# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until a post has come as far as the command wants, and says how far it came."""

import asyncio
from typing import Final

from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.records.delivery import DeliveryRecord
from client.cli.records.record import People
from client.cli.records.talk import ChatName
from client.cli.refusals import failure_of
from client.cli.shown import short
from client.core.errors import CoreError, NotFound, Offline, Refused
from client.core.events import MessageFailed, MessageSent, ReceiptsMoved, TrackLost
from client.core.status import DeliveryState, MessageStatus
from protocol.ids import ConversationId, MessageId, format_id

WAITS: Final = ("queued", "sent", "delivered", "read")


async def until(desk: Desk, post: MessageId, missed: CoreError | None, *, done: str) -> None:
    """Wait for a post as far as ``--wait`` says, and put the result. Raises Failure when it does not come so far.

    ``missed``: why the server could not be reached before; ``done``: what to say when it is done.
    """
    wait: str = desk.options.wait
    desk.shown.add([format_id(post)])
    if wait != "queued":
        if missed is not None:
            await _put(desk, post, None)
            raise _still_here(post, missed)
        await _until_sent(desk, post)
    is_reached = wait in ("queued", "sent") or await _until_received(desk, post, wait)
    tail = {"queued": ", still on this computer", "sent": ""}.get(wait, f", {wait}")
    await _put(desk, post, f"{done}{tail}.", is_reached)
    if not is_reached:
        raise Failure(
            f"The server has it, but not everybody has {'it' if wait == 'delivered' else 'read it'} yet. "
            f"`lanyard-cli where {short(post)}` says who.",
            Exit.TIMED_OUT,
        )


async def _until_sent(desk: Desk, post: MessageId) -> None:
    try:
        await desk.core.messages.until_sent(post, desk.timeout_s)
    except Refused as error:
        failure = failure_of(error)
        raise Failure(
            f"Not sent. {failure.sentence} It is kept: `lanyard-cli outbox retry {short(post)}` tries again, "
            "`outbox discard` removes it.",
            failure.exit_code,
        ) from error
    except Offline as error:
        if desk.core.status.connection.is_usable:
            raise Failure(
                f"The server has not confirmed it yet. It waits on this computer: `lanyard-cli where {short(post)}`.",
                Exit.TIMED_OUT,
            ) from error
        why = desk.core.status.connection.sentence
        raise _still_here(post, Offline(why or str(error))) from error


def _still_here(post: MessageId, error: CoreError) -> Failure:
    return Failure(
        f"{failure_of(error).sentence} It waits on this computer ({short(post)}), and goes when lanyard-cli "
        "next reaches the server.",
        Exit.UNREACHABLE,
    )


async def _until_received(desk: Desk, post: MessageId, wait: str) -> bool:
    """Whether everybody got so far in time. A change of a message has no receipts of its own: at the server is all there is."""
    with desk.core.subscribe() as events:
        if await _has_come(desk, post, wait):
            return True
        try:
            async with asyncio.timeout(desk.timeout_s):
                async for event in events:
                    if isinstance(
                        event, ReceiptsMoved | MessageSent | MessageFailed | TrackLost
                    ) and await _has_come(desk, post, wait):
                        return True
        except TimeoutError:
            return await _has_come(desk, post, wait)
    return False


async def _has_come(desk: Desk, post: MessageId, wait: str) -> bool:
    delivery = (await desk.core.messages.where(post)).delivery
    if delivery.state is DeliveryState.READ or not delivery.recipients:
        return True
    return wait == "delivered" and delivery.delivered >= delivery.recipients


async def _put(desk: Desk, post: MessageId, line: str | None, is_reached: bool = True) -> None:
    """The record in any case; the line when all is well."""
    record = await delivery_record(desk, await desk.core.messages.where(post))
    desk.put(record, [line] if line and is_reached else [])


async def delivery_record(desk: Desk, status: MessageStatus) -> DeliveryRecord:
    """Where a post is, as a record."""
    people = await People.named(desk.core, [one.user for one in status.recipients])
    return DeliveryRecord.of(status, await chat_name(desk, status.conversation), people)


async def chat_name(desk: Desk, conversation: ConversationId) -> ChatName:
    """The name of a conversation, which may have begun here a moment ago."""
    try:
        return ChatName.of(await desk.core.chats.get(conversation))
    except NotFound:
        return ChatName(format_id(conversation), "", "")
