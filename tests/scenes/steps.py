# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the office scene, in order. Each shows one thing that the messenger does, and waits until the other side has it.

A new feature adds its step to STEPS: a coroutine that takes the stage; its docstring is what the audience reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from client.cli.commands.people import STATE_WORDS
from client.core.events import TypingChanged
from client.core.status import DeliveryState
from client.core.views import ChatView
from protocol.ids import MessageId
from protocol.messages.content import Span, SpanKind
from protocol.messages.people import Presence, PresenceState
from tests.scenes.actor import PATIENCE_S, Actor
from tests.scenes.stage import Stage, quoted

Step: TypeAlias = Callable[[Stage], Awaitable[None]]

GROUP: Final = "季度方案 Q4"


async def arrive(stage: Stage) -> None:
    """Three people meet the server, compare its fingerprint, sign in, and choose passwords of their own"""
    for actor in stage.actors:
        await actor.meet(stage.address, stage.fingerprint)
        await actor.sign_in(new_password=f"{actor.password}-my-own")
        people = await actor.core.people.everyone()
        departments = await actor.core.people.departments()
        stage.saw(
            actor, f"is signed in; {len(people)} colleagues in {len(departments)} departments"
        )
        stage.check(len(people) >= len(stage.founded.company.people), "everybody is in the copy")


async def find_people(stage: Stage) -> None:
    """A colleague is found by name, by pinyin, and in the org tree, on the own computer"""
    one, _other, sought = stage.actors
    person = await one.colleague(sought.login)
    for text in (person.name, person.sort_key, person.login):
        found = await one.core.people.find(text)
        stage.check(sought.login in [each.login for each in found], f"{text} finds {person.name}")
        stage.saw(one, f"finds {person.name} by “{text}”")
    department = await one.core.people.department(person.places[0].department)
    stage.check(department is not None, "the department is known")
    if department is not None:
        members = await one.core.people.members_of(department.id)
        stage.check(person.id in [each.id for each in members], "the department lists its people")
        stage.saw(one, f"sees {person.name} in {department.name} {department.other_name}".rstrip())


async def presence(stage: Stage) -> None:
    """Who is there: one looks, another is in a meeting"""
    one, other, _third = stage.actors
    with one.core.presence.watch([other.me]):
        state = await _presence_of(one, other, lambda told: told.state == "online")
        stage.saw(one, f"sees {other.name}: {_words(state)}")
        await other.core.presence.set(PresenceState.BUSY, "Budget review", 0)
        stage.does(other, "is busy: “Budget review”")
        told = await _presence_of(one, other, lambda now: now.status == "Budget review")
        stage.check(told.state == PresenceState.BUSY.value, "the state is busy")
        stage.saw(one, f"sees {other.name}: {_words(told)}")
        await other.core.presence.set(PresenceState.ONLINE, "", 0)
        await _presence_of(one, other, lambda now: now.state == "online" and not now.status)


async def direct_chat(stage: Stage) -> None:
    """A direct chat: typing, a message, delivered, read, and an answer that quotes it"""
    one, other, _third = stage.actors
    text = "Good morning. 方案第三页改好了，你看一下？"
    first = await one.core.messages.send_to(other.me, text)
    stage.does(one, f"writes to {other.name}: “{text}”")
    got, _is_live = await other.gets_message(text)
    stage.saw(other, f"gets {quoted(got)} from {one.name}")
    status = await one.sees_delivery(first, DeliveryState.DELIVERED)
    stage.saw(one, f"sees it {status.delivery.state.value}")
    await other.core.chats.mark_read(got.conversation)
    status = await one.sees_delivery(first, DeliveryState.READ)
    stage.saw(one, f"sees it {status.delivery.state.value} by {other.name}")

    other.core.chats.typing(got.conversation)
    typing = await one.hears(
        "somebody typing", TypingChanged, lambda event: other.me in event.users
    )
    stage.check(typing.conversation == got.conversation, "it is in this chat")
    stage.saw(one, f"sees that {other.name} is writing")
    answer = "Looks good to me, thank you."
    await other.core.messages.send(got.conversation, answer, reply_to=got.id)
    stage.does(other, f"answers: “{answer}”")
    back, _is_live = await one.gets_message(answer)
    stage.check(back.reply is not None and back.reply.id == first, "the answer quotes the message")
    stage.saw(one, f"gets {quoted(back)}, an answer to “{back.reply.text if back.reply else ''}”")


async def group_chat(stage: Stage) -> None:
    """A group: everybody learns of it, a mention reaches the one who is meant"""
    one, other, third = stage.actors
    group = await one.core.groups.create(GROUP, [other.me, third.me])
    stage.does(one, f"makes the group “{GROUP}”")
    for actor in (other, third):
        seen = await _sees_group(actor)
        stage.check(seen.member_count == 3, "three members are in it")
        stage.saw(actor, f"is in “{seen.name}” with {seen.member_count} members")
    text = f"@{third.name} 请周五前给出预算，谢谢"
    mention = Span(SpanKind.MENTION.value, 0, len(third.name) + 1, user=third.me)
    await one.core.messages.send(group.id, text, [mention])
    stage.does(one, f"writes: “{text}”")
    for actor in (other, third):
        got, _is_live = await actor.gets_message(text, group.id)
        stage.check(got.mentions_me == (actor is third), "the mention is for the one who is meant")
        stage.saw(actor, f"gets {quoted(got)}" + (", and is mentioned" if got.mentions_me else ""))


async def reactions(stage: Stage) -> None:
    """A reaction is put on a message"""
    one, other, third = stage.actors
    message = await _last_of_group(other)
    await third.core.messages.react(message, "👍")
    stage.does(third, "reacts with 👍")
    for actor in (one, other):
        view = await actor.sees_message(message, "a reaction", lambda now: bool(now.reactions))
        stage.check(view.reactions[0].users == (third.me,), "the reaction is the third one's")
        stage.saw(actor, f"sees {view.reactions[0].emoji} by {third.name} under {quoted(view)}")


async def edit_and_recall(stage: Stage) -> None:
    """A message is edited; another is taken back, and its text is gone everywhere"""
    one, other, third = stage.actors
    group = (await _sees_group(other)).id
    text, better = "The meeting is on Tusday.", "The meeting is on Tuesday."
    post = await other.core.messages.send(group, text)
    stage.does(other, f"writes: “{text}”")
    for actor in (one, third):
        got, _is_live = await actor.gets_message(text, group)
        stage.saw(actor, f"gets {quoted(got)}")
    await other.core.messages.edit(post, better)
    stage.does(other, f"edits it: “{better}”")
    for actor in (one, third):
        view = await actor.sees_message(post, "the edit", lambda now: now.text == better)
        stage.check(view.edited_ms > 0, "it says that it was edited")
        stage.saw(actor, f"sees {quoted(view)} (edited)")
    wrong = "This was meant for somebody else."
    mistake = await third.core.messages.send(group, wrong)
    stage.does(third, f"writes: “{wrong}”")
    for actor in (one, other):
        got, _is_live = await actor.gets_message(wrong, group)
        stage.saw(actor, f"gets {quoted(got)}")
    await third.core.messages.recall(mistake)
    stage.does(third, "takes it back")
    for actor in (one, other):
        view = await actor.sees_message(
            mistake, "the recall", lambda now: now.recalled_by is not None
        )
        stage.check(not view.text, "the text is gone")
        stage.saw(actor, f"sees a recalled message of {third.name}, without its text")


async def away_and_back(stage: Stage) -> None:
    """A message for somebody who is away waits at the server, and is there on return; no password is asked for"""
    one, _other, third = stage.actors
    third_id = third.me
    with one.core.presence.watch([third_id]):
        await _presence_of(one, third, lambda now: now.state == "online", third_id)
        stage.does(third, "shuts the computer down")
        await third.leave()
        told = await _presence_of(one, third, lambda now: now.state == "offline", third_id)
        stage.saw(one, f"sees {third.name}: {_words(told)}")
    text = "回来后给我打个电话。The budget needs your signature."
    post = await one.core.messages.send_to(third_id, text)
    stage.does(one, f"writes to {third.name}: “{text}”")
    status = await one.sees_delivery(post, DeliveryState.SENT)
    stage.check(status.server is not None, "the server has it")
    stage.saw(
        one, f"sees it {status.delivery.state.value}: at the server, waiting for {third.name}"
    )
    stage.does(third, "comes back")
    third.turn_page()
    await third.come_back()
    got, is_live = await third.gets_message(text)
    stage.check(not is_live, "it was caught up with, not pushed as it happened")
    stage.saw(third, f"finds {quoted(got)} from {one.name}")
    status = await one.sees_delivery(post, DeliveryState.DELIVERED)
    stage.saw(one, f"sees it {status.delivery.state.value}")
    await third.core.chats.mark_read(got.conversation)
    status = await one.sees_delivery(post, DeliveryState.READ)
    stage.saw(one, f"sees it {status.delivery.state.value}")


async def proof(stage: Stage) -> None:
    """Everybody holds the same, and can prove that nothing is missing"""
    texts: list[list[str]] = []
    for actor in stage.actors:
        group = (await _sees_group(actor)).id

        async def complete(actor: Actor = actor, group: bytes = group) -> int | None:
            held = await actor.core.completeness(group)
            return held.head if held.is_complete else None

        head = await actor.sees("all changes of the group", complete)
        page = await actor.core.messages.history(group)
        texts.append([getattr(entry, "text", "") for entry in page.entries])
        stage.saw(actor, f"holds changes 1 to {head} of “{GROUP}”, without a gap")
    stage.check(all(each == texts[0] for each in texts), "all three show the same")


STEPS: Final[tuple[Step, ...]] = (
    arrive,
    find_people,
    presence,
    direct_chat,
    group_chat,
    reactions,
    edit_and_recall,
    away_and_back,
    proof,
)


async def play(stage: Stage) -> None:
    """Play all steps. Raises NotSeen at the first thing that does not arrive."""
    for step in STEPS:
        stage.title((step.__doc__ or step.__name__).splitlines()[0])
        async with asyncio.timeout(PATIENCE_S * 10):
            await step(stage)


# -------------------------------------------------------------------------------------------- looking


async def _presence_of(
    viewer: Actor,
    of: Actor,
    is_so: Callable[[Presence], bool],
    user: bytes | None = None,
) -> Presence:
    """Somebody's presence as the viewer was told it, once it is so."""
    wanted = user if user is not None else of.me

    async def look() -> Presence | None:
        told = viewer.core.presence.of(wanted)
        return told if told is not None and is_so(told) else None

    # Presence comes as an event; what was told before is kept by the core.
    return await viewer.sees(f"the presence of {of.name}", look)


def _words(presence: Presence) -> str:
    word = STATE_WORDS.get(presence.state, presence.state)
    return f"{word} “{presence.status}”" if presence.status else word


async def _sees_group(actor: Actor) -> ChatView:
    async def look() -> ChatView | None:
        chats = await actor.core.chats.all()
        return next((chat for chat in chats if chat.name == GROUP), None)

    return await actor.sees(f"the group {GROUP}", look)


async def _last_of_group(actor: Actor) -> MessageId:
    async def look() -> MessageId | None:
        last = (await _sees_group(actor)).last
        return last.id if last is not None else None

    return await actor.sees("a message in the group", look)
