# SPDX-License-Identifier: GPL-3.0-or-later
"""`admin status` and `admin policy`: the server, and the organisation's rules for messages and passwords."""

from typing import Any

import msgspec

from client.cli import show
from client.cli.desk import Desk
from client.cli.grammar import Parser, on_off, seconds
from client.cli.records.admin import PolicyRecord, ServerStatusRecord
from protocol.messages.admin import GetServerStatus, SetPolicy


async def status(desk: Desk) -> None:
    """Say how the server is."""
    await desk.need_server()
    answer = await desk.core.request(GetServerStatus())
    now = desk.now()
    up = show.span((answer.now_ms - answer.started_ms) / 1000)
    desk.put(
        ServerStatusRecord.of(answer),
        show.facts(
            [
                ("Software", answer.software),
                ("Runs since", f"{show.moment(answer.started_ms, now)} ({up})"),
                (
                    "Online",
                    f"{answer.users_online:,} of {show.count(answer.people, 'person', 'people')}",
                ),
                ("Sessions", f"{answer.sessions:,}"),
                ("Events stored", f"{answer.events:,}"),
                ("Store", f"{answer.store_bytes / 1e6:,.1f} MB"),
                ("Directory", f"version {answer.directory_version:,}"),
            ],
            desk.paint,
        ),
    )


def declare_policy(verb: Parser) -> None:
    """The options of ``admin policy``."""
    add = verb.add_argument
    add(
        "--edit-within",
        metavar="SECONDS",
        type=seconds,
        help="how long messages may be edited; 0: never",
    )
    add(
        "--recall-within",
        metavar="SECONDS",
        type=seconds,
        help="how long they may be recalled; 0: never",
    )
    add("--read-receipts", metavar="on|off", type=on_off, help="whether people see who has read")
    add("--password-min-chars", metavar="N", type=int, help="the shortest new password")


async def policy(desk: Desk) -> None:
    """Show the policy; with options, change it. What is not named stays."""
    await desk.need_server()
    options = desk.options
    changes: dict[str, Any] = {
        "edit_within_s": None if options.edit_within is None else int(options.edit_within),
        "recall_within_s": None if options.recall_within is None else int(options.recall_within),
        "has_read_receipts": options.read_receipts,
        "password_min_chars": options.password_min_chars,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    now = desk.account.policy
    if changes:
        now = msgspec.structs.replace(now, **changes)
        await desk.core.request(SetPolicy(now))
    desk.put(
        PolicyRecord.of(now),
        show.facts(
            [
                ("Messages may be edited", _for(now.edit_within_s)),
                ("Messages may be recalled", _for(now.recall_within_s)),
                ("Read receipts", "on" if now.has_read_receipts else "off"),
                ("Passwords have at least", show.count(now.password_min_chars, "character")),
            ],
            desk.paint,
        ),
    )


def _for(within_s: int) -> str:
    return f"for {show.span(within_s)}" if within_s else "never"
