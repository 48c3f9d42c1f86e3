# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody at a terminal: commands against a core that talks to the office in memory, with what they print as lists of lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from client.cli.desk import Desk
from client.cli.failures import Failure
from client.cli.grammar import parse
from client.cli.run import perform, report
from client.cli.shown import Shown
from client.core.app import Core, Surroundings
from client.core.clock import Clock
from client.core.discovery import FoundServer
from tests.client.support.desks import Desk as Computer
from tests.client.support.office import START_MS, Office
from tests.client.support.patience import run_patiently
from tests.client.support.wires import Network


@dataclass
class Paper:
    """A terminal that keeps what is printed, and answers what it was told to."""

    width: int | None = None
    has_colour: bool = False
    is_interactive: bool = False
    answers: list[str] = field(default_factory=list)
    input: str = ""
    files: dict[str, str] = field(default_factory=dict)
    outs: list[str] = field(default_factory=list)
    errs: list[str] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    has_printed: asyncio.Event = field(default_factory=asyncio.Event)

    def out(self, text: str) -> None:
        self.outs.append(text)
        self.has_printed.set()

    def err(self, text: str) -> None:
        self.errs.append(text)

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        if not self.is_interactive:
            raise Failure("Nobody is there.")
        self.asked.append((question, is_secret))
        return self.answers.pop(0)

    async def read_line(self) -> str:
        line, _, self.input = self.input.partition("\n")
        return line

    async def read_all(self) -> str:
        text, self.input = self.input, ""
        return text

    async def read_file(self, path: str) -> str:
        if path not in self.files:
            raise Failure(f"{path} can't be read.")
        return self.files[path]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    outs: list[str]
    errs: list[str]

    @property
    def text(self) -> str:
        """All lines of result."""
        return "\n".join(self.outs)

    @property
    def said(self) -> str:
        """All lines about the command."""
        return "\n".join(self.errs)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What --json printed."""
        return [json.loads(line) for line in self.outs]


class Seat:
    """One person with a profile."""

    def __init__(self, network: Network, folder: Path, login: str) -> None:
        self.computer = Computer(network, folder, login)
        self._shown: Shown | None = None

    @property
    def core(self) -> Core:
        return self.computer.core

    async def arrive(self) -> Seat:
        """Sign in and catch up."""
        await self.computer.sign_in()
        return self

    async def __call__(self, *words: str, paper: Paper | None = None) -> Ran:
        """Give a command; one that is refused by its grammar ends as main() ends it."""
        paper = paper or Paper()
        if self._shown is None:
            self._shown = Shown(self.computer.folder)
        try:
            options = parse(words)
        except Failure as failure:
            return Ran(report(failure, paper, is_json=False), paper.outs, paper.errs)
        code = await perform(Desk(self.core, paper, options, self._shown, self.computer.folder))
        return Ran(code, paper.outs, paper.errs)

    async def settle(self) -> None:
        """Let what is under way arrive."""
        await self.computer.settle()

    async def ok(self, *words: str, paper: Paper | None = None) -> Ran:
        """A command that succeeds."""
        ran = await self(*words, paper=paper)
        assert ran.code == 0, ran
        return ran

    async def json(self, *words: str) -> list[dict[str, Any]]:
        """The records of a command that succeeds."""
        ran = await self(*words, "--json")
        assert ran.code == 0, ran
        return ran.records


class House:
    """An office with a few people, each at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.office = Office()
        self.network = Network(self.office)
        self.folder = folder
        self.ya = self.office.hire(
            "zhouyawen", "周雅雯", other_name="Yawen Zhou", sort_key="zhou yawen"
        )
        self.bob = self.office.hire("bob", "Robert Miller", email="bob@example.com")
        self.eve = self.office.hire("eve", "Eve O'Neill")
        self.wei1 = self.office.hire(
            "zhangwei", "张伟", other_name="Wei Zhang", sort_key="zhang wei"
        )
        self.wei2 = self.office.hire(
            "zhangwei2", "张伟", other_name="Wei Zhang", sort_key="zhang wei"
        )
        self.seats: list[Seat] = []
        self.announced: list[str] = []

    async def seat(self, login: str) -> Seat:
        """Sign somebody in."""
        seat = Seat(self.network, self.folder / login, login)
        self.seats.append(seat)
        return await seat.arrive()

    async def newcomer(self, folder: str) -> Seat:
        """Somebody with an empty profile: no server is trusted, nobody is signed in."""
        seat = Seat(self.network, self.folder / folder, folder)
        random = Random(folder)
        surroundings = Surroundings(
            clock=Clock(lambda: START_MS, asyncio.get_running_loop().time),
            dial=self.network.dial,
            random=random,
            entropy=random.randbytes,
            browsers=(self._browse,),
            is_store_inline=True,
        )
        seat.computer._core = await Core.open(seat.computer.folder, surroundings=surroundings)
        self.seats.append(seat)
        return seat

    async def _browse(self, domain: str, timeout_s: float) -> tuple[FoundServer, ...]:
        return tuple(FoundServer(one, f"Office at {one}", "dns") for one in self.announced)

    async def close(self) -> None:
        for seat in self.seats:
            await seat.computer.close()


def play(folder: Path, story: Callable[[House], Awaitable[None]]) -> None:
    """Run ``story(house)`` in an event loop whose time passes by itself."""

    async def whole() -> None:
        house = House(folder)
        try:
            await story(house)
        finally:
            await house.close()

    run_patiently(whole())
