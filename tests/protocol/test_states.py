# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state with every step: written down a second time, by hand."""

from __future__ import annotations

import itertools

import pytest

from protocol.codec import CLIENT_KINDS, SERVER_KINDS
from protocol.messages import session
from protocol.messages.kinds import Error
from protocol.states import State, Step, step_of, steps_from

ALLOWED = {
    (State.CONNECTED, Step.HELLO): State.GREETING,
    (State.CONNECTED, Step.GOODBYE): State.CLOSING,
    (State.GREETING, Step.WELCOME): State.GREETED,
    (State.GREETING, Step.GOODBYE): State.CLOSING,
    (State.GREETED, Step.SIGN_IN): State.GREETED,
    (State.GREETED, Step.SIGNED_IN): State.SIGNED_IN,
    (State.GREETED, Step.KEEPALIVE): State.GREETED,
    (State.GREETED, Step.REFUSAL): State.GREETED,
    (State.GREETED, Step.GOODBYE): State.CLOSING,
    (State.SIGNED_IN, Step.KEEPALIVE): State.SIGNED_IN,
    (State.SIGNED_IN, Step.REFUSAL): State.SIGNED_IN,
    (State.SIGNED_IN, Step.REGULAR): State.SIGNED_IN,
    (State.SIGNED_IN, Step.GOODBYE): State.CLOSING,
    (State.CLOSING, Step.GOODBYE): State.CLOSED,
}


@pytest.mark.parametrize(
    ("state", "step"), list(itertools.product(State, Step)), ids=lambda member: str(member.name)
)
def test_each_state_with_each_step(state: State, step: Step) -> None:
    assert steps_from(state).get(step) is ALLOWED.get((state, step))


def test_only_the_end_allows_nothing() -> None:
    assert [state for state in State if not steps_from(state)] == [State.CLOSED]


def test_every_state_is_reached_from_the_first_and_leads_to_the_last() -> None:
    reached = {State.CONNECTED}
    for _ in State:
        reached |= {after for state in reached for after in steps_from(state).values()}
    assert reached == set(State)
    for state in set(State) - {State.CLOSED}:
        assert Step.GOODBYE in steps_from(state)


def test_every_message_is_one_step() -> None:
    special = {
        session.Hello: Step.HELLO,
        session.Welcome: Step.WELCOME,
        session.SignIn: Step.SIGN_IN,
        session.Resume: Step.SIGN_IN,
        session.SignInByCertificate: Step.SIGN_IN,
        session.SignedIn: Step.SIGNED_IN,
        session.Ping: Step.KEEPALIVE,
        session.Pong: Step.KEEPALIVE,
        session.Goodbye: Step.GOODBYE,
        Error: Step.REFUSAL,
    }
    for kind in (*CLIENT_KINDS.values(), *SERVER_KINDS.values()):
        assert step_of(kind) is special.get(kind, Step.REGULAR)
