# SPDX-License-Identifier: GPL-3.0-or-later
"""Presence: merged over devices, told in digests to those who look, and only about those whom they may see."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import RequestRefused
from protocol.limits import MAX_STATUS_CHARS
from protocol.messages import admin as admin_wire
from protocol.messages.admin import Effect, VisibilityRule
from protocol.messages.people import (
    Presence,
    PresenceDigest,
    PresenceList,
    PresenceState,
    SetPresence,
    WatchPresence,
)
from server.services import presence as presence_module
from server.services.caller import Caller
from server.services.presence import merged
from server.store import presence as store
from tests.server.services.office import (
    MIDNIGHT_MS,
    Office,
    caller,
    grant,
    make_id,
    operator,
    put_department,
    put_person,
    role,
)

S = PresenceState
TIA, TOM, SAM, BOSS = (make_id(name) for name in ("tia", "tom", "sam", "boss"))


def come(office: Office, name: str, session: str = "") -> Caller:
    """Somebody signs in."""
    coming = caller(name, session)
    office.presence.session_opened(coming)
    return coming


def watch(
    office: Office, by: Caller, *users: bytes, departments: tuple[str, ...] = ()
) -> PresenceList:
    request = WatchPresence(users, tuple(make_id(each) for each in departments))
    return office.presence.watch(by, request)


def told(office: Office) -> dict[bytes, list[tuple[bytes, str]]]:
    """By session: who was told what since the last time, after a tick."""
    office.hands.advance(1)
    found: dict[bytes, list[tuple[bytes, str]]] = {}
    for sessions, message in office.audience.frames:
        assert isinstance(message, PresenceDigest)
        for session in sessions:
            assert session not in found, "one digest a tick"
            found[session] = sorted((each.user, each.state) for each in message.people)
    office.audience.frames.clear()
    return found


def state_of(office: Office, user: bytes) -> str:
    return office.presence.presence_of(user).state


@pytest.mark.parametrize(
    ("devices", "by_hand", "expected"),
    [
        ([], "", S.OFFLINE),
        ([], "busy", S.OFFLINE),
        ([S.OFFLINE], "do_not_disturb", S.OFFLINE),
        ([S.AWAY], "", S.AWAY),
        ([S.AWAY, S.ONLINE], "", S.ONLINE),
        ([S.OFFLINE, S.AWAY], "", S.AWAY),
        ([S.ONLINE, S.IN_CALL], "", S.IN_CALL),
        ([S.ONLINE], "busy", S.BUSY),
        ([S.AWAY], "busy", S.BUSY),
        ([S.IN_CALL], "busy", S.IN_CALL),
        ([S.IN_CALL], "do_not_disturb", S.DO_NOT_DISTURB),
    ],
)
def test_merging(devices: list[PresenceState], by_hand: str, expected: PresenceState) -> None:
    assert merged(devices, by_hand) is expected


async def test_those_who_look_are_told(office: Office) -> None:
    await office.furnish()
    sam, boss = come(office, "sam"), come(office, "boss")
    told(office)
    listed = watch(office, sam, TIA, make_id("nobody"))
    assert listed.people == (Presence(TIA),)
    watch(office, boss, departments=("team",))
    tia = come(office, "tia")
    assert not office.audience.frames
    assert told(office) == {sam.session: [(TIA, "online")], boss.session: [(TIA, "online")]}
    assert told(office) == {}
    office.presence.session_closed(tia)
    come(office, "tom")
    assert told(office) == {
        sam.session: [(TIA, "offline")],
        boss.session: sorted([(TIA, "offline"), (TOM, "online")]),
    }
    watch(office, sam)
    office.presence.session_closed(boss)
    come(office, "tia")
    assert told(office) == {}


async def test_the_same_news_is_encoded_once(office: Office) -> None:
    await office.furnish()
    lookers = [come(office, name) for name in ("sam", "boss", "ada", "wen")]
    for looker in lookers:
        watch(office, looker, departments=("team",))
    told(office)
    come(office, "tia")
    come(office, "tom")
    office.hands.advance(1)
    [(sessions, message)] = office.audience.frames
    assert sessions == {looker.session for looker in lookers}
    assert isinstance(message, PresenceDigest)
    assert {each.user for each in message.people} == {TIA, TOM}


async def test_who_comes_back_within_a_tick_was_never_away(office: Office) -> None:
    await office.furnish()
    sam, tia = come(office, "sam"), come(office, "tia")
    watch(office, sam, TIA)
    told(office)
    office.presence.session_closed(tia)
    come(office, "tia", "again")
    assert told(office) == {}


async def test_devices_are_merged(office: Office) -> None:
    await office.furnish()
    desk, phone = come(office, "tia", "desk"), come(office, "tia", "phone")
    await office.presence.set_presence(desk, SetPresence(S.AWAY))
    assert state_of(office, TIA) == "online"
    await office.presence.set_presence(phone, SetPresence(S.IN_CALL))
    assert state_of(office, TIA) == "in_call"
    office.presence.session_closed(phone)
    assert state_of(office, TIA) == "away"
    await office.presence.set_presence(desk, SetPresence(S.OFFLINE))
    assert state_of(office, TIA) == "offline"
    await office.presence.set_presence(desk, SetPresence(S.ONLINE))
    assert state_of(office, TIA) == "online"


async def test_what_is_set_by_hand_holds_for_all_devices_and_outlasts_a_restart(
    office: Office, tmp_path: Path
) -> None:
    await office.furnish()
    desk = come(office, "tia", "desk")
    await office.presence.set_presence(desk, SetPresence(S.DO_NOT_DISTURB, "In  the\nlab"))
    come(office, "tia", "phone")
    assert state_of(office, TIA) == "do_not_disturb"
    after = office.reopened(tmp_path)
    office.db = after.db
    await after.presence.load(after.read)
    assert after.presence.presence_of(TIA).status == "In the lab"
    assert state_of(after, TIA) == "offline"
    desk = come(after, "tia", "desk")
    assert state_of(after, TIA) == "do_not_disturb"
    await after.presence.set_presence(desk, SetPresence(S.ONLINE, ""))
    assert state_of(after, TIA) == "online"
    assert store.load(after.db) == {}


async def test_repeating_what_is_set_writes_nothing(office: Office) -> None:
    await office.furnish()
    tia = come(office, "tia")
    await office.presence.set_presence(tia, SetPresence(S.BUSY, "Lunch"))
    writes = office.writes
    for state in (S.BUSY, S.AWAY, None):
        await office.presence.set_presence(tia, SetPresence(state, "Lunch"))
    assert office.writes == writes


async def test_a_status_ends_by_itself(office: Office) -> None:
    await office.furnish()
    sam, tia = come(office, "sam"), come(office, "tia")
    watch(office, sam, TIA)
    told(office)
    until_ms = MIDNIGHT_MS + 2 * 3_600_000
    await office.presence.set_presence(tia, SetPresence(status="Lunch", status_until_ms=until_ms))
    assert told(office) == {sam.session: [(TIA, "online")]}
    assert office.presence.presence_of(TIA).status_until_ms == until_ms
    for _ in range(4):
        office.hands.advance(1_801)
    await office.settle()
    assert office.presence.presence_of(TIA).status == ""
    assert store.load(office.db) == {}
    assert told(office) == {sam.session: [(TIA, "online")]}


async def test_a_later_status_does_not_end_with_an_earlier_one(office: Office) -> None:
    await office.furnish()
    tia = come(office, "tia")
    for minutes, text in ((10, "Lunch"), (0, "At home")):
        until_ms = MIDNIGHT_MS + minutes * 60_000 if minutes else 0
        await office.presence.set_presence(tia, SetPresence(status=text, status_until_ms=until_ms))
    office.hands.advance(3_600)
    assert office.presence.presence_of(TIA).status == "At home"


async def test_statuses_set_again_and_again_do_not_pile_up(office: Office) -> None:
    await office.furnish()
    tia = come(office, "tia")
    for number in range(500):
        until_ms = MIDNIGHT_MS + 10**12 + number
        await office.presence.set_presence(tia, SetPresence(status="x", status_until_ms=until_ms))
    assert len(office.presence._endings) < 250
    waiting: Any = office.hands.getDelayedCalls()
    assert all(call.getTime() <= 3_600 for call in waiting)


async def test_a_status_that_ended_before_it_began_is_refused(office: Office) -> None:
    await office.furnish()
    with pytest.raises(RequestRefused):
        await office.presence.set_presence(
            come(office, "tia"), SetPresence(status="x" * MAX_STATUS_CHARS, status_until_ms=1)
        )


async def test_since_when(office: Office, tmp_path: Path) -> None:
    await office.furnish()
    office.hands.advance(10)
    tia = come(office, "tia")
    assert office.presence.presence_of(TIA).since_ms == MIDNIGHT_MS + 10_000
    office.hands.advance(10)
    office.presence.session_closed(tia)
    office.hands.advance(10)
    assert office.presence.presence_of(TIA).since_ms == MIDNIGHT_MS + 20_000
    assert office.presence.presence_of(TOM).since_ms == 0


class TestVisibility:
    """Staff of sales do not see the team; nobody sees the board, not even its members one another."""

    RULES = (
        VisibilityRule(targets=make_id("board"), effect=Effect.HIDE, spares_insiders=False),
        VisibilityRule(viewers=make_id("sales"), targets=make_id("team"), effect=Effect.HIDE),
    )

    async def furnish(self, office: Office) -> tuple[Caller, Caller, Caller]:
        await office.furnish()
        await office.change(admin_wire.SetVisibility(self.RULES))
        sam, wen, boss = come(office, "sam"), come(office, "wen"), come(office, "boss")
        told(office)
        return sam, wen, boss

    async def test_only_visible_people_are_told_of(self, office: Office) -> None:
        sam, wen, boss = await self.furnish(office)
        assert watch(office, sam, TIA, SAM, departments=("team", "board")).people == (
            office.presence.presence_of(SAM),
        )
        watch(office, wen, TIA, BOSS, departments=("team", "board"))
        watch(office, boss, BOSS, departments=("board",))
        come(office, "tia")
        await office.presence.set_presence(boss, SetPresence(S.BUSY))
        assert told(office) == {
            wen.session: [(TIA, "online")],
            boss.session: [(BOSS, "busy")],
        }

    async def test_a_hidden_department_does_not_tell_who_of_the_visible_sits_there(
        self, office: Office
    ) -> None:
        sam, wen, _ = await self.furnish(office)
        shown = VisibilityRule(targets_role=make_id("Known"), effect=Effect.ALLOW)
        await office.change(
            role("Known"),
            grant("tia", make_id("Known")),
            admin_wire.SetVisibility((shown, *self.RULES)),
        )
        assert watch(office, sam, departments=("team",)).people == ()
        assert {each.user for each in watch(office, wen, departments=("team",)).people} >= {TIA}
        come(office, "tia")
        assert told(office) == {wen.session: [(TIA, "online")]}
        assert [each.user for each in watch(office, sam, TIA, departments=("team",)).people] == [
            TIA
        ]

    async def test_a_change_of_the_rules_counts_at_once(self, office: Office) -> None:
        sam, wen, _ = await self.furnish(office)
        for looker in (sam, wen):
            watch(office, looker, TIA)
        hidden = VisibilityRule(
            viewers=make_id("works"), targets=make_id("team"), effect=Effect.HIDE
        )
        await office.change(admin_wire.SetVisibility((hidden,)))
        come(office, "tia")
        assert told(office) == {sam.session: [(TIA, "online")]}

    async def test_so_does_a_move(self, office: Office) -> None:
        sam, _, _ = await self.furnish(office)
        watch(office, sam, TIA, departments=("works",))
        await office.change(put_person("tia", "works"))
        come(office, "tia")
        assert told(office) == {sam.session: [(TIA, "online")]}
        await office.change(put_person("tia", "team"), put_department("lab", "team"))
        office.presence.session_closed(caller("tia"))
        assert told(office) == {}


async def test_many_digests_do_not_hold_up_the_reactor(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.furnish()
    monkeypatch.setattr(presence_module, "SLICE_S", -1.0)
    sam, wen = come(office, "sam"), come(office, "wen")
    watch(office, sam, TIA)
    watch(office, wen, TOM)
    told(office)
    happened: list[str] = []
    push = office.audience.push_frame_to

    def push_and_come_in_between(sessions: Iterable[bytes], frame: bytes) -> None:
        push(sessions, frame)
        happened.append("digest")
        office.hands.callLater(0, happened.append, "something else")

    monkeypatch.setattr(office.audience, "push_frame_to", push_and_come_in_between)
    come(office, "tia")
    come(office, "tom")
    assert told(office) == {sam.session: [(TIA, "online")], wen.session: [(TOM, "online")]}
    assert happened == ["digest", "something else"] * 2


async def test_the_operator_has_no_presence(office: Office) -> None:
    office.presence.session_opened(operator)
    office.presence.session_closed(operator)
    with pytest.raises(RequestRefused):
        watch(office, operator, TIA)
    with pytest.raises(RequestRefused):
        await office.presence.set_presence(operator, SetPresence(S.BUSY))
