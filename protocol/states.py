# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a connection: every transition in one table that does not know which side we are.

Theory: both sides see the same messages pass, so both walk through the same states. A step is a
class of messages; a step that the table does not list for a state is not allowed there. What is sent
and what is received is checked alike.

    CONNECTED --hello--> GREETING --welcome--> GREETED --signed in--> SIGNED_IN
    any of these --goodbye--> CLOSING --goodbye, or the transport's end--> CLOSED

Who receives a goodbye has nothing to wait for, and is CLOSED at once; so is a connection that failed.
"""

import enum
from collections.abc import Mapping
from typing import Final

from protocol.messages import session
from protocol.messages.kinds import Error, Message


class State(enum.Enum):
    """Where a connection stands."""

    CONNECTED = "connected"
    GREETING = "greeting"
    GREETED = "greeted"
    SIGNED_IN = "signed in"
    CLOSING = "closing"
    CLOSED = "closed"

    __hash__ = object.__hash__  # members are single; Enum's own hash costs a call on each frame


class Step(enum.Enum):
    """Classes of messages that may move a connection."""

    HELLO = "hello"
    WELCOME = "welcome"
    SIGN_IN = "a request to sign in"
    SIGNED_IN = "the answer that opens the session"
    KEEPALIVE = "a keepalive"
    REFUSAL = "a refusal"
    GOODBYE = "goodbye"
    REGULAR = "any other message"

    __hash__ = object.__hash__  # as above


_TABLE: Final[Mapping[State, Mapping[Step, State]]] = {
    State.CONNECTED: {
        Step.HELLO: State.GREETING,
        Step.GOODBYE: State.CLOSING,
    },
    State.GREETING: {
        Step.WELCOME: State.GREETED,
        Step.GOODBYE: State.CLOSING,
    },
    State.GREETED: {
        Step.SIGN_IN: State.GREETED,
        Step.SIGNED_IN: State.SIGNED_IN,
        Step.KEEPALIVE: State.GREETED,
        Step.REFUSAL: State.GREETED,
        Step.GOODBYE: State.CLOSING,
    },
    State.SIGNED_IN: {
        Step.KEEPALIVE: State.SIGNED_IN,
        Step.REFUSAL: State.SIGNED_IN,
        Step.REGULAR: State.SIGNED_IN,
        Step.GOODBYE: State.CLOSING,
    },
    State.CLOSING: {
        Step.GOODBYE: State.CLOSED,
    },
    State.CLOSED: {},
}

_STEPS: Final[Mapping[type[Message], Step]] = {
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
_REGULAR: Final = Step.REGULAR  # in Python 3.11 reading a member from its Enum costs a call


def step_of(kind: type[Message]) -> Step:
    """The step that a message of this class is."""
    return _STEPS.get(kind, _REGULAR)


def steps_from(state: State) -> Mapping[Step, State]:
    """The steps that are allowed in a state, and where each leads."""
    return _TABLE[state]
