# SPDX-License-Identifier: GPL-3.0-or-later
"""How far others have got, when all that tells of it is that they wrote."""

from pathlib import Path

import msgspec
import pytest

from client.core.events import Event, ReceiptsMoved
from client.core.status import DeliveryState
from protocol.messages.chat import Receipt
from protocol.messages.content import React
from protocol.messages.kinds import Request
from protocol.messages.session import Policy, SignedIn
from tests.client.support.desks import Desk
from tests.client.support.office import Office
from tests.client.support.patience import run_patiently
from tests.client.support.wires import Network


@pytest.mark.parametrize(
    ("has_receipts", "state"), [(True, DeliveryState.READ), (False, DeliveryState.DELIVERED)]
)
def test_whoever_answers_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_receipts: bool, state: DeliveryState
) -> None:
    _set_policy(monkeypatch, has_read_receipts=has_receipts)

    async def story() -> None:
        office = Office()
        ann, bob = office.hire("ann", "Ann Lee"), office.hire("bob", "Bob Ray")
        desk = Desk(Network(office), tmp_path, "ann")
        core = await desk.sign_in()
        heard: list[Event] = []
        core.on_event(heard.append)
        message = await core.messages.send_to(bob, "good morning")
        await desk.settle()
        assert (await core.messages.where(message)).delivery.state is DeliveryState.SENT
        conversation = core.chats.direct_with(bob)
        office.say(conversation, bob, "good morning, Ann")
        await desk.settle()
        assert (await core.messages.where(message)).delivery.state is state
        assert ReceiptsMoved(conversation, frozenset((bob,))) in heard
        # A reaction tells as much as a word; and one's own tell nothing of others.
        second = await core.messages.send_to(bob, "coffee?")
        await core.messages.react(message, "☕")
        await desk.settle()
        assert (await core.messages.where(second)).delivery.state is DeliveryState.SENT
        office.do(conversation, bob, React(second, "👍"))
        await desk.settle()
        assert (await core.messages.where(second)).delivery.state is state
        assert ann not in {
            user for event in heard if isinstance(event, ReceiptsMoved) for user in event.users
        }
        await desk.close()

    run_patiently(story())


def test_what_is_not_known_of_somebody_is_not_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a large group, or of somebody who may not be seen, the server tells no receipts: nor does an answer."""

    def silent(self: Office, *where: object) -> tuple[Receipt, ...]:
        return ()

    monkeypatch.setattr(Office, "_receipts", silent)

    async def story() -> None:
        office = Office()
        ann, bob = office.hire("ann", "Ann Lee"), office.hire("bob", "Bob Ray")
        group = office.group((ann, bob))
        desk = Desk(Network(office), tmp_path, "ann")
        core = await desk.sign_in()
        message = await core.messages.send(group, "good morning")
        await desk.settle()
        office.say(group, bob, "good morning, Ann")
        await desk.settle()
        assert (await core.messages.where(message)).recipients == ()
        await desk.close()

    run_patiently(story())


def _set_policy(monkeypatch: pytest.MonkeyPatch, *, has_read_receipts: bool) -> None:
    sign_in = Office.sign_in

    def signed_in(self: Office, request: Request[SignedIn], certificate: bytes | None) -> SignedIn:
        done = sign_in(self, request, certificate)
        return msgspec.structs.replace(done, policy=Policy(has_read_receipts=has_read_receipts))

    monkeypatch.setattr(Office, "sign_in", signed_in)
