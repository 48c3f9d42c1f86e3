# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom and what a word on the command line means: people, conversations, departments, messages. Never a guess: what is
not exactly one is refused, with what may have been meant."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from client.cli import show
from client.cli.failures import Exit, Failure
from client.cli.records.record import short_id
from client.cli.shown import SHORTEST_PART, Shown
from client.core.app import Core
from client.core.errors import NotFound
from client.core.views import ChatView, MessageView
from protocol.ids import ConversationId, DepartmentId, UserId, format_id, parse_id
from protocol.messages.chat import ConversationKind
from protocol.messages.people import Department, Person

MOST_CANDIDATES: Final = 8
"""Lines that are listed when a word means several things: more are no help."""
NAMESAKES: Final = 100
"""People of one name that are looked at."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where something is said or read: a conversation, which with a person may not exist yet."""

    conversation: ConversationId
    name: str
    kind: str
    user: UserId | None = None
    """The other one of a direct conversation."""


async def find_person(core: Core, word: str) -> Person:
    """The person that a login, ``@login``, exact name, id or part of an id means. Raises Failure."""
    matches = await _people(core, word)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise _several(word, await lines_of(core, matches), "Write the login")
    raise await _nobody(core, word)


async def find_people(core: Core, words: Iterable[str]) -> tuple[Person, ...]:
    """Each of them. Raises Failure for the first that is not exactly one person."""
    return tuple([await find_person(core, word) for word in words])


async def find_target(core: Core, word: str) -> Target:
    """The conversation with a person, or the group or department of that name, id, or ``#name``. Raises Failure."""
    chats = _chats_called(await core.chats.all(), word)
    people = () if word.startswith("#") else await _people(core, word)
    if people and (word.startswith("@") or people[0].login.casefold() == word.casefold()):
        return _direct(core, people[0])
    if len(people) == 1 and not chats:
        return _direct(core, people[0])
    if len(chats) == 1 and not people:
        return await _target_of(core, chats[0])
    if people or chats:
        lines = await lines_of(core, people) + tuple(map(_line_of_chat, chats))
        raise _several(word, lines, "Write the login, or the id of the chat")
    raise await _nobody(core, word, "nobody and no group")


async def find_chat(core: Core, word: str) -> ChatView:
    """The same, where the conversation has to exist. Raises Failure."""
    target = await find_target(core, word)
    try:
        return await core.chats.get(target.conversation)
    except NotFound:
        raise Failure(
            f"There is no conversation with {target.name} yet: `lanyard-cli send` begins one.",
            Exit.NOT_FOUND,
        ) from None


async def find_department(core: Core, word: str) -> Department:
    """The department of that name, path (``A/B``), id or part of an id. Raises Failure."""
    departments = {one.id: one for one in await core.people.departments()}
    wanted = word.strip("/").casefold()
    names = [name.strip() for name in wanted.split("/")]
    matches = [one for one in departments.values() if _ends_path(one, names, departments)]
    matches = matches or [one for one in departments.values() if _is_part_of(word, one.id)]
    if len(matches) == 1:
        return matches[0]
    paths = tuple(path_of(one, departments) for one in matches)
    if matches:
        raise _several(word, paths, "Write more of the path")
    similar = tuple(
        path_of(one, departments)
        for one in departments.values()
        if wanted in one.name.casefold() or wanted in one.other_name.casefold()
    )
    raise Failure(
        f"There is no department {word!r}. `lanyard-cli tree` lists them.",
        Exit.NOT_FOUND,
        candidates=similar[:MOST_CANDIDATES],
    )


async def find_message(core: Core, shown: Shown, word: str) -> MessageView:
    """The message of an id, or of the short id that was shown beside it. Raises Failure."""
    found: list[MessageView] = []
    for message in shown.find(word):
        try:
            found.append(await core.messages.get(message))
        except NotFound:
            continue
    if len(found) == 1:
        return found[0]
    if found:
        lines = tuple(f"{format_id(one.id)}  {show.one_line(one.text)[:60]}" for one in found)
        raise _several(word, lines, "Write more of the id")
    raise Failure(
        f"There is no message {word!r} on this computer. `lanyard-cli history` shows each message with its id.",
        Exit.NOT_FOUND,
    )


def path_of(department: Department, departments: dict[DepartmentId, Department]) -> str:
    """The department's names from the top, joined by slashes."""
    return "/".join(one.name for one in _chain(department, departments))


async def lines_of(core: Core, people: Iterable[Person]) -> tuple[str, ...]:
    """Each person in a line that tells namesakes apart."""
    departments = {one.id: one for one in await core.people.departments()}
    lines = []
    for person in people:
        where = [
            " ".join(filter(None, (departments[place.department].name, place.title)))
            for place in person.places[:1]
            if place.department in departments
        ]
        lines.append("  ".join((f"@{person.login}", person.name, *where)))
    return tuple(lines)


# ---------------------------------------------------------------------------------------------- people


async def _people(core: Core, word: str) -> tuple[Person, ...]:
    if word.startswith("@"):
        person = await core.people.by_login(word[1:])
        return (person,) if person else ()
    try:
        person = await core.people.person(parse_id(word))
        return (person,) if person else ()
    except ValueError:
        pass
    if person := await core.people.by_login(word):
        return (person,)
    wanted = word.casefold().strip()
    if not wanted:
        return ()
    named = tuple(
        one
        for one in await core.people.find(word, limit=NAMESAKES)
        if wanted in (one.name.casefold(), one.other_name.casefold())
    )
    if named or not _looks_like_part(word):
        return named
    return tuple(one for one in await core.people.everyone() if _is_part_of(word, one.id))


def _similar(text: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Whose login or name is nearly that."""
    named = {
        name.casefold(): one for one in people for name in (one.login, one.name, one.other_name)
    }
    close = difflib.get_close_matches(text.casefold(), named, MOST_CANDIDATES, cutoff=0.7)
    return tuple({named[name].id: named[name] for name in close}.values())


def _direct(core: Core, person: Person) -> Target:
    return Target(
        core.chats.direct_with(person.id), person.name, ConversationKind.DIRECT.value, person.id
    )


async def _nobody(core: Core, word: str, what: str = "nobody") -> Failure:
    text = word.lstrip("@#")
    people = await core.people.find(text, limit=MOST_CANDIDATES) if text.strip() else ()
    people = people or _similar(text, await core.people.everyone())
    lines = await lines_of(core, people)
    if what != "nobody":
        chats = [one for one in await core.chats.all() if text.casefold() in one.name.casefold()]
        lines += tuple(_line_of_chat(one) for one in chats if one.peer is None)
    hint = (
        " Similar:"
        if lines
        else " `lanyard-cli people TEXT` finds people by name, pinyin or login."
    )
    return Failure(
        f"There is {what} called {word!r}.{hint}",
        Exit.NOT_FOUND,
        candidates=lines[:MOST_CANDIDATES],
    )


def _several(word: str, lines: tuple[str, ...], step: str) -> Failure:
    more = len(lines) - MOST_CANDIDATES
    return Failure(
        f"{word!r} may mean one of {len(lines)}{' (the first are listed)' if more > 0 else ''}. {step}.",
        Exit.NOT_FOUND,
        candidates=lines[:MOST_CANDIDATES],
    )


# --------------------------------------------------------------------------------------- conversations


def _chats_called(chats: Iterable[ChatView], word: str) -> list[ChatView]:
    """Groups and departments of that name, and any conversation of that id; those that are over only when nothing else is."""
    wanted = word.removeprefix("#").casefold().strip()
    shared = [one for one in chats if one.peer is None]
    matches = [one for one in shared if one.name.casefold() == wanted]
    if not matches and not word.startswith("@"):
        matches = [one for one in chats if _is_part_of(word.removeprefix("#"), one.id)]
    return [one for one in matches if not one.is_over] or matches


async def _target_of(core: Core, chat: ChatView) -> Target:
    return Target(chat.id, chat.name, chat.kind, chat.peer)


def _line_of_chat(chat: ChatView) -> str:
    members = show.count(chat.member_count, "member")
    return f"#{show.one_line(chat.name)}  {chat.kind} of {members}  {short_id(format_id(chat.id))}"


# ----------------------------------------------------------------------------------------- departments


def _chain(department: Department, departments: dict[DepartmentId, Department]) -> list[Department]:
    """From the top down to the department; what is not visible is left out, a ring can't happen twice."""
    chain = [department]
    seen = {department.id}
    while (parent := chain[0].parent) is not None and parent in departments and parent not in seen:
        seen.add(parent)
        chain.insert(0, departments[parent])
    return chain


def _ends_path(
    department: Department, names: list[str], departments: dict[DepartmentId, Department]
) -> bool:
    chain = _chain(department, departments)[-len(names) :]
    return len(chain) == len(names) and all(
        name in (one.name.casefold(), one.other_name.casefold())
        for name, one in zip(names, chain, strict=True)
    )


# ------------------------------------------------------------------------------------------------- ids


def _looks_like_part(word: str) -> bool:
    digits = word.replace("-", "")
    return len(digits) >= SHORTEST_PART and all(one in "0123456789abcdefABCDEF" for one in digits)


def _is_part_of(word: str, value: bytes) -> bool:
    digits = word.replace("-", "").casefold()
    whole = value.hex()
    return _looks_like_part(word) and (whole.endswith(digits) or whole.startswith(digits))
