# SPDX-License-Identifier: GPL-3.0-or-later
"""What is queued reaches the server exactly once and in order, whatever is cut, killed or refused on the way."""

from pathlib import Path

import pytest

from client.core.errors import NotFound, Offline, Refused, Unsendable
from client.core.events import Event, MessageFailed, MessageQueued, MessageSent
from client.core.status import DeliveryState
from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.chat import Post
from protocol.messages.content import Attachment, Span, Text
from protocol.messages.kinds import Reply, Request
from tests.client.support.desks import Desk
from tests.client.support.office import Office
from tests.client.support.patience import run_patiently
from tests.client.support.wires import Network, Wire


def office_of_two() -> tuple[Office, Network, bytes]:
    office = Office()
    ann, bob = office.hire("ann", "Ann Lee"), office.hire("bob", "Bob Ray")
    return office, Network(office), office.group((ann, bob))


def test_a_message_is_queued_then_sent_then_delivered_then_read(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        ann, bob = Desk(network, tmp_path / "a", "ann"), Desk(network, tmp_path / "b", "bob")
        core = await ann.sign_in()
        network.is_down = True
        network.cut()
        message = await core.messages.send(group, "hello")
        where = await core.messages.where(message)
        assert where.delivery.state is DeliveryState.QUEUED
        assert where.here is not None
        assert where.server is None
        assert await ann.texts(group) == ["[hello]"]
        await ann.settle()
        assert core.status.outgoing.queued == 1
        with pytest.raises(Offline):
            await core.messages.until_sent(message, timeout_s=1)

        network.is_down = False
        assert (await core.messages.until_sent(message, timeout_s=200)).server is not None
        assert (await core.messages.get(message)).delivery.state is DeliveryState.SENT  # type: ignore[union-attr]
        assert office.texts(group) == ["hello"]

        reader = await bob.sign_in()
        await ann.settle()
        assert (await core.messages.where(message)).delivery.state is DeliveryState.DELIVERED
        await reader.chats.mark_read(group)
        await ann.settle()
        where = await core.messages.where(message)
        assert where.delivery.state is DeliveryState.READ
        assert [one.state for one in where.recipients] == [DeliveryState.READ]
        await ann.close()
        await bob.close()

    run_patiently(story())


def sent_bytes_of_a_session(folder: Path) -> int:
    """How much passes a wire when somebody reconnects and sends three messages."""

    async def story() -> int:
        _, network, group = office_of_two()
        ann = Desk(network, folder, "ann")
        await ann.sign_in()
        network.is_down = True
        network.cut()
        for text in ("one", "two", "three"):
            await ann.core.messages.send(group, text)
        network.is_down = False
        ann.core.retry_now()
        await ann.settle()
        count = network.wires[0].sent_bytes
        await ann.close()
        return count

    return run_patiently(story())


def test_a_cut_at_any_byte_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    whole = sent_bytes_of_a_session(tmp_path / "measured")

    async def story(cut_at: int) -> None:
        office, network, group = office_of_two()
        ann = Desk(network, tmp_path / str(cut_at), "ann")
        await ann.sign_in()
        network.is_down = True
        network.cut()
        for text in ("one", "two", "three"):
            await ann.core.messages.send(group, text)
        network.is_down = False
        network.cut_next_after_bytes = cut_at
        ann.core.retry_now()
        await ann.settle()
        await ann.core.until_synchronised(timeout_s=600)
        await ann.settle()
        assert office.texts(group) == ["one", "two", "three"]
        assert await ann.texts(group) == ["one", "two", "three"]
        await ann.assert_equal_to(office)
        await ann.close()

    for cut_at in range(1, whole, 37):
        run_patiently(story(cut_at))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_acknowledgement(tmp_path: Path, moment: str) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()

        def cut(request: Request[Reply], wire: Wire) -> None:
            if isinstance(request, Post):
                wire.cut()

        setattr(network, moment, cut)
        await core.messages.send(group, "once")
        await ann.settle()
        await ann.kill()
        assert office.texts(group) == ([] if moment == "before" else ["once"])
        setattr(network, moment, lambda request, wire: None)
        await ann.open()
        await ann.core.until_synchronised()
        await ann.settle()
        assert office.texts(group) == ["once"]
        assert await ann.texts(group) == ["once"]
        assert await ann.core.messages.outbox() == ()
        await ann.close()

    run_patiently(story())


def test_order_holds_within_a_conversation_when_the_first_is_refused_for_a_while(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        other = office.group(office.people, "other")
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        refusals = [ErrorCode.STORE_FULL, ErrorCode.SLOW_DOWN, ErrorCode.INTERNAL]

        def refuse(request: Request[Reply], wire: Wire) -> None:
            if isinstance(request, Post) and request.conversation == group and refusals:
                raise RequestRefused(refusals.pop(), "later", retry_after_ms=20_000)

        network.before = refuse
        first = await core.messages.send(group, "one")
        await core.messages.send(group, "two")
        await core.messages.send(other, "elsewhere")
        await ann.settle()
        assert office.texts(group) == []
        assert office.texts(other) == ["elsewhere"]  # nobody waits for another conversation
        where = await core.messages.where(first)
        assert where.here is not None
        assert where.here.last_reason is not None
        await core.messages.until_sent(first, timeout_s=300)
        await ann.settle()
        assert office.texts(group) == ["one", "two"]
        await ann.close()

    run_patiently(story())


def test_a_slow_answer_is_given_up_and_the_post_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        slow = [100.0]
        network.slowness = lambda request: slow.pop() if isinstance(request, Post) and slow else 0.0
        message = await core.messages.send(group, "once")
        await core.messages.until_sent(message, timeout_s=300)
        assert [type(each) for each in network.asked].count(Post) >= 1
        await ann.settle()
        assert office.texts(group) == ["once"]
        await ann.close()

    run_patiently(story())


def test_a_refusal_for_good_fails_the_message_until_it_is_retried_or_discarded(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        seen: list[Event] = []
        core.on_event(seen.append)
        is_forbidden = True

        def refuse(request: Request[Reply], wire: Wire) -> None:
            if isinstance(request, Post) and is_forbidden:
                raise RequestRefused(ErrorCode.FORBIDDEN, "Only owners can post here.")

        network.before = refuse
        bad = await core.messages.send(group, "one")
        with pytest.raises(Refused, match="Only owners"):
            await core.messages.until_sent(bad)
        also_bad = await core.messages.send(group, "gone")
        await ann.settle()
        assert core.status.outgoing.failed == 2
        assert (await core.chats.get(group)).failed == 2
        delivery = (await core.messages.get(bad)).delivery
        assert delivery is not None
        assert delivery.state is DeliveryState.FAILED
        assert delivery.failure is not None
        assert delivery.failure.code == "forbidden"
        assert any(isinstance(each, MessageFailed) and each.message == bad for each in seen)
        assert any(isinstance(each, MessageQueued) and each.message == bad for each in seen)
        assert not any(isinstance(each, MessageSent) for each in seen)

        is_forbidden = False
        await core.messages.discard(also_bad)
        await core.messages.retry(bad)
        await core.messages.until_sent(bad)
        assert office.texts(group) == ["one"]
        await ann.settle()
        assert (core.status.outgoing.queued, core.status.outgoing.failed) == (0, 0)
        with pytest.raises(NotFound):
            await core.messages.discard(also_bad)
        await ann.close()

    run_patiently(story())


def test_the_first_message_to_a_person_needs_no_server(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, _ = office_of_two()
        ann, bob = Desk(network, tmp_path / "a", "ann"), Desk(network, tmp_path / "b", "bob")
        core = await ann.sign_in()
        network.is_down = True
        network.cut()
        peer = next(user for user, one in office.people.items() if one.login == "bob")
        message = await core.messages.send_to(peer, "are you there?")
        conversation = core.chats.direct_with(peer)
        assert (await core.chats.get(conversation)).name == "Bob Ray"
        assert (await core.chats.all())[0].id == conversation
        discarded = await core.messages.send_to(peer, "never mind")
        await core.messages.discard(discarded)
        network.is_down = False
        await core.messages.until_sent(message, timeout_s=300)
        await bob.sign_in()
        assert await bob.texts(conversation) == ["are you there?"]
        await ann.settle()
        await ann.assert_equal_to(office)
        await ann.close()
        await bob.close()

    run_patiently(story())


def test_discarding_the_only_message_forgets_a_conversation_that_never_was(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        network.is_down = True
        network.cut()
        peer = next(user for user, one in office.people.items() if one.login == "bob")
        message = await core.messages.send_to(peer, "hm")
        await core.messages.discard(message)
        assert [chat.id for chat in await core.chats.all()] == [group]
        await ann.close()

    run_patiently(story())


def test_what_no_server_would_take_is_refused_here(tmp_path: Path) -> None:
    async def story() -> None:
        _, network, group = office_of_two()
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        with pytest.raises(Unsendable):
            await core.messages.send(group, "  ")
        with pytest.raises(Unsendable):
            await core.messages.send(group, "x" * 20_001)
        with pytest.raises(Unsendable):
            await core.messages.send(group, "short", [Span("bold", 3, 9)])
        with pytest.raises(Unsendable):
            await core.messages.react(await core.messages.send(group, "fine"), "")
        with pytest.raises(NotFound):
            await core.messages.send(b"?" * 16, "nowhere")
        await core.messages.send(group, "", attachments=[Attachment(b"f" * 16, "plan.pdf", 12)])
        await ann.close()

    run_patiently(story())


def test_a_copy_is_forwarded_with_its_origin(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        peer = next(user for user, one in office.people.items() if one.login == "bob")
        source = office.say(group, peer, "the plan")
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        copy = await core.messages.forward(source, to_user=peer)
        await core.messages.until_sent(copy)
        await ann.settle()
        view = await core.messages.get(copy)
        assert view.text == "the plan"
        assert view.forwarded is not None
        assert view.forwarded.sender == peer
        await ann.assert_equal_to(office)
        await ann.close()

    run_patiently(story())


def test_many_conversations_are_sent_to_side_by_side(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, _ = office_of_two()
        groups = [office.group(office.people, f"group {number}") for number in range(40)]
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        network.latency_s = 0.05
        ids = [await core.messages.send(group, "hello") for group in groups for _ in range(3)]
        await core.messages.until_sent(ids[-1], timeout_s=60)
        await ann.settle()
        assert all(office.texts(group) == ["hello"] * 3 for group in groups)
        await ann.close()

    run_patiently(story())


def test_text_of_the_wire_is_what_was_typed(tmp_path: Path) -> None:
    async def story() -> None:
        office, network, group = office_of_two()
        ann = Desk(network, tmp_path, "ann")
        core = await ann.sign_in()
        peer = next(user for user, one in office.people.items() if one.login == "bob")
        spans = (Span("mention", 0, 4, user=peer), Span("bold", 5, 2))
        message = await core.messages.send(group, "@Bob 你好", spans)
        await core.messages.until_sent(message)
        content = office.talks[group].content(2)
        assert content == Text("@Bob 你好", spans)
        await ann.close()

    run_patiently(story())
