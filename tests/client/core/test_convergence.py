# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to wires, pushes and clients: in the end each copy is the server's truth and each post is there once, in order."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.core.errors import NotFound
from client.core.views import MessageView
from protocol.ids import MessageId
from protocol.messages.content import Edit, React, Recall, Span, Text
from protocol.messages.kinds import Push
from tests.client.support.desks import Desk
from tests.client.support.office import Office
from tests.client.support.patience import PatientLoop, run_patiently
from tests.client.support.wires import Network

Result = TypeVar("Result")
YEARS_MS = 20 * 365 * 24 * 3600 * 1000

DESKS = st.integers(0, 2)
TALKS = st.integers(0, 1)


class Days(RuleBasedStateMachine):
    """Two devices of Ann, one of Bob, Cal without any; two groups; and everything that goes wrong in an office."""

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.random = Random(seed)
        self.runner = asyncio.Runner(loop_factory=PatientLoop)
        self.office = Office()
        self.ann, self.bob, self.cal = (
            self.office.hire(login, login.title()) for login in ("ann", "bob", "cal")
        )
        self.talks = [self.office.group((self.ann, self.bob, self.cal)) for _ in range(2)]
        for number in range(30):
            self.office.say(self.talks[0], self.cal, f"old {number}")
        self.network = Network(self.office)
        self.held_push: list[Push] = []
        self.desks = [
            Desk(self.network, self.folder / "desk", "ann", clock_off_ms=YEARS_MS),
            Desk(self.network, self.folder / "laptop", "ann", clock_off_ms=-YEARS_MS),
            Desk(self.network, self.folder / "bob", "bob"),
        ]
        self.said: dict[tuple[int, int], list[MessageId]] = {}
        self.seen: dict[tuple[bytes, int], int] = {}
        self.count = 0
        for desk in self.desks:
            self.run(desk.sign_in())

    def run(self, story: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(story)

    # People

    @rule(desk=DESKS, talk=TALKS, count=st.integers(1, 3), turns=st.integers(0, 12))
    def post(self, desk: int, talk: int, count: int, turns: int) -> None:
        for _ in range(count if self.desks[desk].is_open else 0):
            self.count += 1
            text = f"text {self.count}"
            message = self.run(self.desks[desk].core.messages.send(self.talks[talk], text))
            self.said.setdefault((desk, talk), []).append(message)
        self.run(some_turns(turns))

    @rule(desk=DESKS, talk=TALKS, what=st.sampled_from(("edit", "recall", "react", "unreact")))
    def change(self, desk: int, talk: int, what: str) -> None:
        target = self.some_message(talk)
        if target is None or not self.desks[desk].is_open:
            return
        messages = self.desks[desk].core.messages
        self.count += 1
        try:
            if what == "edit":
                self.run(messages.edit(target, f"edit {self.count}"))
            elif what == "recall":
                self.run(messages.recall(target))
            else:
                self.run(messages.react(target, "👍", is_on=what == "react"))
        except NotFound:
            pass  # it has not reached this desk yet

    @rule(talk=TALKS, mentions=st.booleans(), count=st.sampled_from((1, 1, 3, 40)))
    def others_write(self, talk: int, mentions: bool, count: int) -> None:
        for _ in range(count):
            self.count += 1
            spans = (Span("mention", 0, 4, user=self.ann),) if mentions else ()
            text = f"from cal {self.count}"
            self.office.do(self.talks[talk], self.cal, Text(text, spans))
        self.run(some_turns(3))

    @rule(talk=TALKS, what=st.sampled_from(("edit", "recall", "react")))
    def others_change(self, talk: int, what: str) -> None:
        target = self.some_message(talk)
        if target is None:
            return
        self.count += 1
        if what == "edit":
            self.office.do(self.talks[talk], self.cal, Edit(target, f"edit {self.count}"))
        elif what == "recall":
            self.office.do(self.talks[talk], self.cal, Recall(target))
        else:
            self.office.do(self.talks[talk], self.cal, React(target, "🎉"))

    @rule(desk=DESKS, talk=TALKS)
    def read(self, desk: int, talk: int) -> None:
        if self.desks[desk].is_open:
            core = self.desks[desk].core
            self.run(core.chats.mark_read(self.talks[talk]))
            me = core.account.me
            assert me is not None
            seen = self.run(core.chats.get(self.talks[talk])).read
            self.seen[me.user, talk] = max(seen, self.seen.get((me.user, talk), 0))

    @rule(desk=DESKS, talk=TALKS)
    def draft(self, desk: int, talk: int) -> None:
        if self.desks[desk].is_open:
            self.count += 1
            chats = self.desks[desk].core.chats
            self.run(chats.set_draft(self.talks[talk], f"draft {self.count}"))

    def some_message(self, talk: int) -> MessageId | None:
        """A message that is not recalled; the server refuses changes of those."""
        events = self.office.talks[self.talks[talk]].events
        texts = [
            event.id
            for event in events
            if isinstance(self.office.talks[self.talks[talk]].content(event.seq), Text)
        ]
        return self.random.choice(texts[-4:]) if texts else None

    # Misfortunes

    @rule(seconds=st.sampled_from((0.2, 2.0, 90.0)))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule()
    def cut(self) -> None:
        self.run(cut_all(self.network))

    @rule(desk=DESKS, turns=st.integers(0, 40))
    def kill(self, desk: int, turns: int) -> None:
        if self.desks[desk].is_open:
            self.run(some_turns(turns))
            self.run(self.desks[desk].kill())

    @rule(desk=DESKS)
    def open(self, desk: int) -> None:
        if not self.desks[desk].is_open:
            self.run(self.desks[desk].open())

    @rule(is_down=st.booleans())
    def network_comes_and_goes(self, is_down: bool) -> None:
        self.network.is_down = is_down

    @rule(at=st.integers(1, 3000))
    def the_next_wire_breaks(self, at: int) -> None:
        self.network.cut_next_after_bytes = at

    @rule(how=st.sampled_from(("all", "lost", "twice", "late")))
    def pushes(self, how: str) -> None:
        def late(push: Push) -> list[Push]:
            held, self.held_push = self.held_push, [push]
            return held

        self.network.pushed = {
            "all": lambda push: [push],
            "lost": lambda push: [],
            "twice": lambda push: [push, push],
            "late": late,
        }[how]

    @rule(latency_s=st.sampled_from((0.0, 0.05, 3.0)))
    def latency(self, latency_s: float) -> None:
        self.network.latency_s = latency_s

    # What must hold

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        for talk in self.talks:
            ids = [event.id for event in self.office.talks[talk].events]
            assert len(ids) == len(set(ids))

    def teardown(self) -> None:
        if not hasattr(self, "desks"):
            return
        try:
            self.run(self.end_well())
        finally:
            for desk in self.desks:
                self.run(desk.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    async def end_well(self) -> None:
        network = self.network
        network.is_down = False
        network.latency_s = 0.0
        network.cut_next_after_bytes = None
        network.pushed = lambda push: [push]
        await asyncio.sleep(10)
        network.cut()
        for desk in self.desks:
            if not desk.is_open:
                await desk.open()
            await desk.core.until_synchronised(timeout_s=1000)
        await asyncio.sleep(200)
        for desk in self.desks:
            assert all(one.failure for one in await desk.core.messages.outbox())
        for (_, talk), messages in self.said.items():
            self.assert_once_in_order(self.talks[talk], messages)
        for (user, talk), seen in self.seen.items():
            assert self.office.talks[self.talks[talk]].seats[user].read >= seen
        for desk in self.desks:
            await desk.assert_equal_to(self.office)
            for talk_id in self.talks:
                assert await desk.texts(talk_id) == self.office.texts(talk_id)
                assert await reactions(desk, talk_id) == self.office.reactions(talk_id)

    def assert_once_in_order(self, talk: bytes, messages: list[MessageId]) -> None:
        """Each post is at the server once, and those of one device in the order in which they were made."""
        ids = [event.id for event in self.office.talks[talk].events]
        assert [ids.count(message) for message in messages] == [1] * len(messages)
        places = [ids.index(message) for message in messages]
        assert places == sorted(places)


async def reactions(desk: Desk, talk: bytes) -> set[tuple[MessageId, str, bytes]]:
    page = await desk.core.messages.history(talk, limit=10_000)
    return {
        (entry.id, reaction.emoji, user)
        for entry in page.entries
        if isinstance(entry, MessageView)
        for reaction in entry.reactions
        for user in reaction.users
    }


async def some_turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def cut_all(network: Network) -> None:
    network.cut()


Days.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# A core that is killed while it works complains that its store is gone.
TestDays = pytest.mark.expected_log("lanyard.core", "The local data are closed")(Days.TestCase)


def test_a_draft_waits_until_the_server_has_told_of_its_conversation_again(tmp_path: Path) -> None:
    """After a restore nothing of the copy is known to be true; what the user wrote meanwhile is not forgotten with it."""

    async def story() -> None:
        office = Office()
        ann = office.hire("ann", "Ann")
        talk = office.group((ann,))
        network = Network(office)
        desk = Desk(network, tmp_path / "desk", "ann")
        core = await desk.sign_in()
        network.is_down = True
        network.cut()
        await core.chats.set_draft(talk, "written meanwhile")
        office.restore(office.talks)
        network.is_down = False
        await core.until_synchronised(timeout_s=1000)
        await desk.settle()
        await desk.assert_equal_to(office)
        draft = office.talks[talk].seats[ann].draft
        assert draft is not None
        assert draft.text == "written meanwhile"
        await desk.close()

    run_patiently(story())
