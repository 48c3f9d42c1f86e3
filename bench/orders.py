# SPDX-License-Identifier: GPL-3.0-or-later
"""What the load is told to do and what it answers: one JSON object on a line each."""

from typing import TypeAlias

from msgspec import Struct

from bench.premises import Seat
from protocol.ids import UserId


class Join(Struct, frozen=True, tag=True):
    """Connect people to a server and have them open their conversations."""

    crowd: str
    address: tuple[str, int]
    authority: str
    """File of the certificate that is trusted."""
    process: int
    """Of the server, whose processor time is read."""
    core: int
    """Of the server."""
    people: list[tuple[Seat, UserId]]
    """Each with the one to whom they post."""


class OpenConversations(Struct, frozen=True, tag=True):
    """Everybody posts twice, which makes the conversations."""

    crowd: str


class RunLoop(Struct, frozen=True, tag=True):
    """Keep so many posts under way for some time, and measure after the warm-up."""

    crowd: str
    in_flight: int
    warm_s: float
    seconds: float


class RunOffered(Struct, frozen=True, tag=True):
    """Post at a rate for some time, and measure after the warm-up."""

    crowd: str
    rate: float
    warm_s: float
    seconds: float


class RunHeld(Struct, frozen=True, tag=True):
    """Only keep the connections, each with a sign of life every so often."""

    crowd: str
    every_s: float
    seconds: float


class SendAll(Struct, frozen=True, tag=True):
    """Each person posts so many messages."""

    crowd: str
    counts: list[int]


class Leave(Struct, frozen=True, tag=True):
    """Hang up."""

    crowd: str


Order: TypeAlias = Join | OpenConversations | RunLoop | RunOffered | RunHeld | SendAll | Leave


class Done(Struct, frozen=True, tag=True):
    """Carried out."""

    seconds: float = 0.0
    server_cpu_s: float = 0.0
    count: int = 0


class Window(Struct, frozen=True, tag=True):
    """What was seen in one measuring window."""

    seconds: float
    acks: int
    delivered: int
    """Events that reached the recipients' connections."""
    latencies_ms: dict[str, float]
    """By ``p50``, ``p99``, ``max``; empty without answers."""
    server_cpu_s: float
    load_cpu_s: float
    foreign_cpu_s: float
    """What others used of the server's core."""
    signs: int = 0
    """Signs of life that were sent."""


class Failed(Struct, frozen=True, tag=True):
    """It could not be done."""

    sentence: str


Answer: TypeAlias = Done | Window | Failed
