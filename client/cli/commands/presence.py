# SPDX-License-Identifier: GPL-3.0-or-later
"""presence: who is there, and what others see of us."""

from typing import Final

from client.cli import show
from client.cli.commands.people import STATE_WORDS
from client.cli.desk import Desk
from client.cli.failures import Failure
from client.cli.grammar import Parser
from client.cli.records.account import DoneRecord
from client.cli.records.people import PresenceRecord
from client.cli.records.record import People
from client.cli.times import parse_time
from client.cli.whom import find_department, find_people
from protocol.messages.people import PresenceState

SET: Final = "set"
_STATES: Final = {state.value.replace("_", "-"): state for state in PresenceState}
_OF_DEVICE: Final = (PresenceState.ONLINE, PresenceState.AWAY, PresenceState.IN_CALL)
"""States that hold for a device while it is connected."""


def declare_presence(parser: Parser) -> None:
    """presence [WHO ...] | presence set [STATE] [--status TEXT] [--until TIME]"""
    parser.set_defaults(run=presence)
    parser.usage = (
        f"{parser.prog} [WHO ...] [--department NAME]\n"
        f"       {parser.prog} set [STATE] [--status TEXT] [--until TIME]"
    )
    add = parser.add_argument
    add("words", metavar="WHO", nargs="*", help="people; without any, yourself")
    add("--department", metavar="NAME", help="everybody who sits in this department")
    add("--status", metavar="TEXT", help="with set: a line that others see; empty removes it")
    add("--until", metavar="TIME", help="with set: when the line goes by itself")
    parser.epilog = f"STATE is one of: {', '.join(_STATES)}.\n\n{parser.epilog}"


async def presence(desk: Desk) -> None:
    """Show presence, or set our own."""
    words: list[str] = desk.options.words
    if words[:1] == [SET]:
        await _set(desk, words[1:])
        return
    if desk.options.status is not None or desk.options.until is not None:
        raise Failure("--status and --until go with `presence set`.")
    await desk.need_server()
    core = desk.core
    departments = []
    if desk.options.department:
        departments.append((await find_department(core, desk.options.department)).id)
    users = [one.id for one in await find_people(core, words)]
    if not users and not departments:
        users.append(desk.account.user)
    told = await core.presence.ask(users, departments)
    people = await People.named(core, [one.user for one in told])
    records = [PresenceRecord.of(one, people) for one in told]
    now = desk.now()
    desk.put_table(
        records,
        [
            show.Column("Name", show.Style.STRONG, shrinks=True),
            show.Column("Login", shrinks=True),
            show.Column("Presence"),
            show.Column("Since"),
            show.Column("Status", shrinks=True),
            show.Column("Until"),
        ],
        [
            (
                people.who(one.user).shown,
                people.who(one.user).login,
                STATE_WORDS.get(one.state, "Online"),
                show.moment(one.since_ms, now),
                one.status,
                show.moment(one.status_until_ms, now),
            )
            for one in told
        ],
        nothing="Nobody's presence can be seen.",
    )


async def _set(desk: Desk, words: list[str]) -> None:
    status, until = desk.options.status, desk.options.until
    if len(words) > 1 or (words and words[0].replace("_", "-") not in _STATES):
        raise Failure(f"A state is one of: {', '.join(_STATES)}.")
    state = _STATES[words[0].replace("_", "-")] if words else None
    if state is None and status is None:
        raise Failure("Say what to set: a state, --status TEXT, or both.")
    if until is not None and status is None:
        raise Failure("--until goes with --status.")
    until_ms = parse_time(until, desk.now()) if until is not None else 0
    await desk.need_server()
    await desk.core.presence.set(state, status, until_ms)
    said = [STATE_WORDS[state.value]] if state else []
    if status is not None:
        said.append(f"“{show.one_line(status)}”" if status else "no status")
    desk.put(DoneRecord("presence set", None), f"Set: {', '.join(said)}.")
    if state in _OF_DEVICE:
        desk.note("It holds while this device is connected, as with `lanyard-cli watch`.")
