# SPDX-License-Identifier: GPL-3.0-or-later
"""where, outbox: messages on their way."""

from collections.abc import Sequence

from client.cli import show
from client.cli.commands.waiting import chat_name, delivery_record
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser
from client.cli.lines import ticks
from client.cli.records.account import DoneRecord
from client.cli.records.delivery import DeliveryRecord, QueuedRecord
from client.cli.records.record import short_id
from client.cli.refusals import ended
from client.cli.shown import short
from client.cli.whom import find_message
from client.core.errors import NotFound
from client.core.messages import QueuedPost
from protocol.ids import MessageId, format_id

# ----------------------------------------------------------------------------------------------- where


def declare_where(parser: Parser) -> None:
    """where MESSAGE"""
    parser.set_defaults(run=where)
    parser.add_argument("message", metavar="MESSAGE", help="which message of yours")


async def where(desk: Desk) -> None:
    """Say where a message of ours is, down to each recipient."""
    await desk.prefer_server()
    core = desk.core
    message = await _post(desk, desk.options.message)
    try:
        status = await core.messages.where(message)
    except NotFound as error:
        raise Failure(
            "Only of your own messages it is known where they are.", Exit.NOT_FOUND
        ) from error
    record = await delivery_record(desk, status)
    place = status.server or status.here
    since = show.moment(place.since_ms, desk.now()) if place else ""
    desk.put(record, _where_lines(desk, record, since))


async def _post(desk: Desk, word: str) -> MessageId:
    """A message that was shown; or what waits in the outbox, changes included."""
    waiting = [one.id for one in await desk.core.messages.outbox() if _is_named(word, one.id)]
    if len(waiting) == 1:
        return waiting[0]
    known = desk.shown.find(word)
    if len(known) == 1:
        return known[0]
    return (await find_message(desk.core, desk.shown, word)).id


def _where_lines(desk: Desk, record: DeliveryRecord, since: str) -> list[str]:
    lines = [
        f"{short_id(record.id)} to {show.one_line(record.conversation.name)}: {ticks(record.delivery)}"
    ]
    facts: list[tuple[str, str]] = []
    if record.here is not None:
        before = (
            f", after {show.count(record.here.position, 'other')}" if record.here.position else ""
        )
        facts.append(("On this computer", f"since {since}{before}"))
        if record.here.attempts:
            facts.append(("Tried", show.count(record.here.attempts, "time")))
        if record.here.last_reason is not None:
            facts.append(("Last answer", record.here.last_reason.sentence))
    if record.server is not None:
        facts.append(("At the server", f"since {since}, number {record.server.number}"))
    for state, word in (("read", "Read by"), ("delivered", "Delivered to"), ("sent", "Waits for")):
        names = [one.user.shown for one in record.recipients if one.state == state]
        facts.append((word, ", ".join(names)))
    return lines + [f"  {line}" for line in show.facts(facts, desk.paint)]


# ---------------------------------------------------------------------------------------------- outbox


def declare_outbox(parser: Parser) -> None:
    """outbox list | outbox retry | outbox discard"""
    verbs = parser.verbs()
    verbs.add("list", list_outbox, "what waits, or was refused")
    for name, run, summary in (
        ("retry", retry, "try again what was refused"),
        ("discard", discard, "remove what waits or was refused, unsent"),
    ):
        verb = verbs.add(name, run, summary)
        verb.add_argument("message", metavar="MESSAGE", nargs="*", help="which")
        verb.add_argument("--all", action="store_true", help="all that were refused")


async def list_outbox(desk: Desk) -> None:
    """List what waits on this computer."""
    _ = desk.account
    posts = await desk.core.messages.outbox()
    records = [QueuedRecord.of(one, await chat_name(desk, one.conversation)) for one in posts]
    desk.shown.add(one.id for one in records)
    now = desk.now()
    desk.put_table(
        records,
        [
            show.Column("Id", show.Style.FAINT),
            show.Column("Since"),
            show.Column("To", show.Style.STRONG, shrinks=True),
            show.Column("What"),
            show.Column("State", shrinks=True),
            show.Column("Text", shrinks=True),
        ],
        [
            (
                short_id(record.id),
                show.when(post.created_ms, now),
                record.conversation.name,
                record.kind,
                f"not sent: {record.failure.sentence}" if record.failure else "queued",
                record.preview,
            )
            for post, record in zip(posts, records, strict=True)
        ],
        nothing="Nothing waits on this computer.",
    )


async def retry(desk: Desk) -> None:
    """Queue again what was refused, and try to send it now."""
    posts = await _chosen(desk)
    for post in posts:
        await desk.core.messages.retry(post.id)
    missed = await desk.try_server()
    if missed is not None:
        desk.note(f"{ended(str(missed))} It goes when lanyard-cli next reaches the server.")
    for post in posts:
        if missed is None:
            await desk.core.messages.until_sent(post.id, desk.timeout_s)
        said = "Queued" if missed else "Sent"
        desk.put(DoneRecord("outbox retry", format_id(post.id)), f"{said}: {short(post.id)}.")


async def discard(desk: Desk) -> None:
    """Remove posts from the outbox."""
    for post in await _chosen(desk):
        await desk.core.messages.discard(post.id)
        desk.put(DoneRecord("outbox discard", format_id(post.id)), f"Discarded: {short(post.id)}.")


async def _chosen(desk: Desk) -> Sequence[QueuedPost]:
    _ = desk.account
    options = desk.options
    posts = await desk.core.messages.outbox()
    if options.all == bool(options.message):
        raise Failure("Say which: MESSAGE, or --all for all that were refused.")
    if options.all:
        return [one for one in posts if one.failure is not None]
    chosen = []
    for word in options.message:
        named = [one for one in posts if _is_named(word, one.id)]
        if len(named) != 1:
            what = "Several posts in the outbox are" if named else "Nothing in the outbox is"
            raise Failure(f"{what} called {word!r}: see `lanyard-cli outbox list`.", Exit.NOT_FOUND)
        chosen += named
    return chosen


def _is_named(word: str, post: MessageId) -> bool:
    digits = word.replace("-", "").casefold()
    return len(digits) >= 4 and (post.hex().endswith(digits) or post.hex().startswith(digits))
