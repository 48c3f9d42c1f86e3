# SPDX-License-Identifier: GPL-3.0-or-later
"""group: groups, their members and rules; mute and pin go with any chat."""

from typing import Final

from client.cli import show
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser, on_off
from client.cli.records.account import DoneRecord
from client.cli.records.record import People
from client.cli.records.talk import ChatName, ChatRecord, MemberRecord
from client.cli.whom import find_chat, find_people
from client.core.views import ChatView
from protocol.ids import format_id
from protocol.messages.chat import ConversationKind
from protocol.messages.content import MemberRole
from protocol.messages.people import Person

_ORDER: Final = [role.value for role in MemberRole]


def declare_group(parser: Parser) -> None:
    """group VERB"""
    verbs = parser.verbs()
    verb = verbs.add("create", create, "make a group; you are its owner")
    verb.add_argument("title", metavar="TITLE", help="its title")
    verb.add_argument("who", metavar="WHO", nargs="*", help="its first members")
    for name, run, summary in (
        ("add", add, "bring people in"),
        ("remove", remove, "take people out"),
    ):
        verb = verbs.add(name, run, summary)
        verb.add_argument("group", metavar="GROUP", help="which group")
        verb.add_argument("who", metavar="WHO", nargs="+", help="whom")
    verb = verbs.add("leave", leave, "go; what you could see stays readable")
    verb.add_argument("group", metavar="GROUP", help="which group")
    verb = verbs.add("role", role, "change what members may do; a new owner makes you an admin")
    verb.add_argument("group", metavar="GROUP", help="which group")
    verb.add_argument("role", metavar="ROLE", choices=_ORDER, help=", ".join(_ORDER))
    verb.add_argument("who", metavar="WHO", nargs="+", help="whose")
    verb = verbs.add("rename", rename, "give it another title")
    verb.add_argument("group", metavar="GROUP", help="which group")
    verb.add_argument("title", metavar="TITLE", help="the new title")
    verb = verbs.add("readers-only", readers_only, "let only owner and admins write, or everybody")
    verb.add_argument("group", metavar="GROUP", help="which group")
    verb.add_argument("flag", metavar="on|off", type=on_off, help="on: only owner and admins")
    verb = verbs.add("members", members, "list who is in a chat")
    verb.add_argument("group", metavar="GROUP", help="which group or department")
    for name, run, summary in (
        ("mute", mute, "be told of nothing but mentions, or of everything"),
        ("pin", pin, "keep a chat at the top of the list, or not"),
    ):
        verb = verbs.add(name, run, summary)
        verb.add_argument("group", metavar="WHO|GROUP", help="which chat")
        verb.add_argument(
            "flag", metavar="on|off", nargs="?", default=True, type=on_off, help="on, if not given"
        )


async def create(desk: Desk) -> None:
    """Make a group."""
    await desk.need_server()
    people = await find_people(desk.core, desk.options.who)
    chat = await desk.core.groups.create(desk.options.title, [one.id for one in people])
    members = show.count(chat.member_count, "member")
    said = f"Created: {show.one_line(chat.name)}, {members}."
    desk.put(ChatRecord.of(chat, await People.named(desk.core, [])), said)


async def add(desk: Desk) -> None:
    """Bring people in."""
    chat, people = await _named(desk)
    await desk.core.groups.add(chat.id, [one.id for one in people])
    _done(desk, "add", chat, f"Added to {chat.name}: {_names(people)}.")


async def remove(desk: Desk) -> None:
    """Take people out."""
    chat, people = await _named(desk)
    await desk.core.groups.remove(chat.id, [one.id for one in people])
    _done(desk, "remove", chat, f"Removed from {chat.name}: {_names(people)}.")


async def leave(desk: Desk) -> None:
    """Leave a group."""
    chat = await _group(desk)
    await desk.core.groups.leave(chat.id)
    _done(desk, "leave", chat, f"You have left {chat.name}.")


async def role(desk: Desk) -> None:
    """Change roles."""
    chat, people = await _named(desk)
    await desk.core.groups.set_role(
        chat.id, [one.id for one in people], MemberRole(desk.options.role)
    )
    _done(desk, "role", chat, f"Now {desk.options.role} of {chat.name}: {_names(people)}.")


async def rename(desk: Desk) -> None:
    """Change the title."""
    chat = await _group(desk)
    await desk.core.groups.rename(chat.id, desk.options.title)
    _done(desk, "rename", chat, f"{chat.name} is now called {desk.options.title}.")


async def readers_only(desk: Desk) -> None:
    """Change who may write."""
    chat = await _group(desk)
    await desk.core.groups.set_readers_only(chat.id, desk.options.flag)
    who = "only its owner and admins" if desk.options.flag else "all members"
    _done(desk, "readers-only", chat, f"In {chat.name} {who} may write.")


async def members(desk: Desk) -> None:
    """List the members of a chat, owners first."""
    await desk.need_server()
    chat = await find_chat(desk.core, desk.options.group)
    listed = await desk.core.chats.members(chat.id)
    known = await desk.core.people.named([one.user for one in listed])
    people = People(known)
    name = ChatName.of(chat)
    order = {value: index for index, value in enumerate(_ORDER)}
    records = sorted(
        (MemberRecord(name, people.who(one.user), one.role) for one in listed),
        key=lambda one: (order.get(one.role, len(order)), one.user.name),
    )
    desk.put_table(
        records,
        [
            show.Column("Name", show.Style.STRONG, shrinks=True),
            show.Column("Login", shrinks=True),
            show.Column("Role"),
        ],
        [
            (one.user.shown, one.user.login, one.role if one.role != "member" else "")
            for one in records
        ],
        nothing="Nobody is in it.",
    )


async def mute(desk: Desk) -> None:
    """Mute a chat, or not."""
    await desk.need_server()
    chat = await find_chat(desk.core, desk.options.group)
    await desk.core.chats.change(chat.id, is_muted=desk.options.flag)
    _done(desk, "mute", chat, f"{chat.name} is {'muted' if desk.options.flag else 'not muted'}.")


async def pin(desk: Desk) -> None:
    """Pin a chat, or not."""
    await desk.need_server()
    chat = await find_chat(desk.core, desk.options.group)
    await desk.core.chats.change(chat.id, is_pinned=desk.options.flag)
    _done(desk, "pin", chat, f"{chat.name} is {'pinned' if desk.options.flag else 'not pinned'}.")


async def _group(desk: Desk) -> ChatView:
    """The group that is meant. Raises Failure for a chat that is none."""
    await desk.need_server()
    chat = await find_chat(desk.core, desk.options.group)
    if chat.kind == ConversationKind.GROUP.value:
        return chat
    what = (
        "a department, and follows the org tree"
        if chat.kind == ConversationKind.DEPARTMENT.value
        else "a direct chat"
    )
    raise Failure(f"{show.one_line(chat.name)} is {what}, not a group.", Exit.USAGE)


async def _named(desk: Desk) -> tuple[ChatView, tuple[Person, ...]]:
    chat = await _group(desk)
    return chat, await find_people(desk.core, desk.options.who)


def _names(people: tuple[Person, ...]) -> str:
    return ", ".join(one.name for one in people)


def _done(desk: Desk, verb: str, chat: ChatView, said: str) -> None:
    desk.put(DoneRecord(f"group {verb}", format_id(chat.id)), show.one_line(said))
