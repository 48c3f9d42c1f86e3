# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there: the state of each device, merged to one for each person, told in digests to those who look.

In memory; only what a user sets by hand is stored.
"""

import heapq
from collections.abc import Iterator
from typing import Final, TypeAlias, cast

import msgspec
from msgspec import Raw, Struct

from protocol.codec import encode_body
from protocol.errors import ErrorCode, RequestRefused
from protocol.frames import pack_frame
from protocol.ids import SessionId, UserId
from protocol.messages import people as wire
from protocol.messages.kinds import Done
from protocol.messages.people import PresenceState
from server.services.audience import Audience
from server.services.caller import Caller
from server.services.clock import Cancel, Clock
from server.services.doors import Spawn, StoreDoor
from server.services.people import Directory
from server.services.watchers import Watchers
from server.store import devices as device_store
from server.store import presence as store
from server.store.presence import SettingRow

TICK_S: Final = 1.0
"""How long changes are collected: short enough to feel immediate, long enough that a sign-in at nine o'clock is not a push for
each of a hundred colleagues, but a line in one that they get anyway."""
SLICE_S: Final = 0.005
"""How long sending digests may keep the reactor from everything else at a time."""
MAX_WAIT_S: Final = 3_600.0
"""The longest time to wait for a status text to end before looking again: no reactor takes a timer for the year 3000."""

_Announced: TypeAlias = tuple[str, str, int]
_AWAY: Final[_Announced] = (PresenceState.OFFLINE.value, "", 0)
_BY_HAND: Final = (PresenceState.BUSY, PresenceState.DO_NOT_DISTURB)


class _Reach(Struct):
    """How a user with sessions is reachable now."""

    sessions: dict[SessionId, PresenceState]
    state: PresenceState = PresenceState.OFFLINE
    since_ms: int = 0


def merged(devices: list[PresenceState], by_hand: str) -> PresenceState:
    """One state for a person, from those of the devices and the one set by hand."""
    if all(state is PresenceState.OFFLINE for state in devices):
        return PresenceState.OFFLINE
    if by_hand == PresenceState.DO_NOT_DISTURB:
        return PresenceState.DO_NOT_DISTURB
    for state in (PresenceState.IN_CALL, PresenceState.BUSY, PresenceState.ONLINE):
        if state in devices or state == by_hand:
            return state
    return PresenceState.AWAY


class Presence:
    """The presence of everybody."""

    def __init__(
        self,
        *,
        directory: Directory,
        audience: Audience,
        clock: Clock,
        run: StoreDoor,
        spawn: Spawn,
    ) -> None:
        self._directory = directory
        self._audience = audience
        self._clock = clock
        self._run = run
        self._spawn = spawn
        self._watchers = Watchers(directory)
        self._reach: dict[UserId, _Reach] = {}
        self._settings: dict[UserId, SettingRow] = {}
        self._last_seen: dict[UserId, int] = {}
        self._announced: dict[UserId, _Announced] = {}
        self._changed: set[UserId] = set()
        self._tick: Cancel | None = None
        self._outgoing: Iterator[tuple[list[SessionId], bytes]] | None = None
        self._endings: list[tuple[int, UserId]] = []
        self._next_ending: tuple[int, Cancel] | None = None

    async def load(self, read: StoreDoor) -> None:
        """Read what was set by hand, and when people were seen last."""
        id_of = self._directory.id_of
        self._last_seen = {
            id_of(key): seen_ms for key, seen_ms in (await read(device_store.last_seen)).items()
        }
        for key, row in (await read(store.load)).items():
            self._settings[id_of(key)] = row
            self._remember_ending(id_of(key), row)
        self._announced = {user: self._to_announce(user) for user in self._settings}

    # What sessions say

    def session_opened(self, caller: Caller) -> None:
        """Somebody signed in on a device."""
        if caller.is_operator:
            return
        reach = self._reach.setdefault(caller.user, _Reach({}))
        reach.sessions[caller.session] = PresenceState.ONLINE
        self._merge(caller.user)

    def session_closed(self, caller: Caller) -> None:
        """A session ended."""
        self._watchers.unwatch(caller.session)
        reach = self._reach.get(caller.user)
        if reach is not None and reach.sessions.pop(caller.session, None) is not None:
            self._merge(caller.user)

    def watch(self, caller: Caller, request: wire.WatchPresence) -> wire.PresenceList:
        """Look at these people from now on; their presence now. Raises RequestRefused."""
        if caller.is_operator:
            raise RequestRefused(ErrorCode.FORBIDDEN, "Only people look at each other.")
        users = self._watchers.watch(
            caller.session, caller.user, request.users, request.departments
        )
        return wire.PresenceList(tuple(map(self.presence_of, users)))

    async def set_presence(self, caller: Caller, request: wire.SetPresence) -> Done:
        """Note what a device knows of its user, or what the user set. Raises RequestRefused."""
        if caller.is_operator:
            raise RequestRefused(ErrorCode.FORBIDDEN, "Only people have a presence.")
        user, state = caller.user, request.state
        setting = self._settings.get(user, SettingRow())
        changed = setting
        if state in _BY_HAND:
            changed = msgspec.structs.replace(changed, state=state.value)
        elif state is PresenceState.ONLINE:
            changed = msgspec.structs.replace(changed, state="")
        if request.status is not None:
            status = " ".join(request.status.split())
            until_ms = request.status_until_ms if status else 0
            if until_ms and until_ms <= self._clock.now_ms():
                raise RequestRefused(ErrorCode.INVALID, "The status would end before it begins.")
            changed = msgspec.structs.replace(changed, status=status, status_until_ms=until_ms)
        if changed != setting:
            await self._run(store.put, self._directory.key_of(user), changed)
            self._set(user, changed)
        reach = self._reach.get(user)
        # Told by the state of the device as it is after the store was waited for.
        if state is not None and reach is not None and caller.session in reach.sessions:
            is_by_hand = state in _BY_HAND
            reach.sessions[caller.session] = PresenceState.ONLINE if is_by_hand else state
            self._merge(user)
        return Done()

    def presence_of(self, user: UserId) -> wire.Presence:
        """A person's presence now, whoever asks."""
        reach = self._reach.get(user)
        setting = self._settings.get(user, SettingRow())
        return wire.Presence(
            user=user,
            state=(reach.state if reach else PresenceState.OFFLINE).value,
            since_ms=reach.since_ms if reach else self._last_seen.get(user, 0),
            status=setting.status,
            status_until_ms=setting.status_until_ms,
        )

    # Changes

    def _merge(self, user: UserId) -> None:
        reach = self._reach[user]
        setting = self._settings.get(user)
        state = merged(list(reach.sessions.values()), setting.state if setting else "")
        if state is not reach.state:
            reach.state = state
            reach.since_ms = self._clock.now_ms()
            self._note_change(user)
        if not reach.sessions:
            self._last_seen[user] = reach.since_ms
            del self._reach[user]

    def _set(self, user: UserId, setting: SettingRow) -> None:
        if setting == SettingRow():
            self._settings.pop(user, None)
        else:
            self._settings[user] = setting
        self._remember_ending(user, setting)
        self._note_change(user)
        if user in self._reach:
            self._merge(user)

    def _note_change(self, user: UserId) -> None:
        self._changed.add(user)
        if self._tick is None:
            self._tick = self._clock.call_later(TICK_S, self._send_digests)

    # Digests

    def _to_announce(self, user: UserId) -> _Announced:
        presence = self.presence_of(user)
        return presence.state, presence.status, presence.status_until_ms

    def _send_digests(self) -> None:
        self._tick = None
        if self._outgoing is not None:
            # The last digests are still being sent: on a busy server a tick is as long as that takes.
            self._tick = self._clock.call_later(TICK_S, self._send_digests)
            return
        records: dict[UserId, bytes] = {}
        for user in self._changed:
            announced = self._to_announce(user)
            if announced == self._announced.get(user, _AWAY):
                continue
            if announced == _AWAY:
                del self._announced[user]
            else:
                self._announced[user] = announced
            records[user] = msgspec.msgpack.encode(self.presence_of(user))
        self._changed.clear()
        self._outgoing = self._watchers.digests(records, _digest_frame)
        self._send_some()

    def _send_some(self) -> None:
        begun = self._clock.now()
        for sessions, frame in self._outgoing or ():
            self._audience.push_frame_to(sessions, frame)
            if self._clock.now() - begun > SLICE_S:
                self._clock.call_later(0, self._send_some)
                return
        self._outgoing = None

    # Status texts that end by themselves

    def _remember_ending(self, user: UserId, setting: SettingRow) -> None:
        if setting.status_until_ms:
            heapq.heappush(self._endings, (setting.status_until_ms, user))
            if len(self._endings) > 2 * len(self._settings) + 100:
                # Of each person only the last counts; the others would stay until their time.
                self._endings = [
                    (row.status_until_ms, owner)
                    for owner, row in self._settings.items()
                    if row.status_until_ms
                ]
                heapq.heapify(self._endings)
            self._await_ending()

    def _await_ending(self) -> None:
        if not self._endings:
            return
        at_ms = self._endings[0][0]
        if self._next_ending is not None:
            if self._next_ending[0] <= at_ms:
                return
            self._next_ending[1].cancel()
        delay_s = min(max(at_ms - self._clock.now_ms(), 0) / 1000, MAX_WAIT_S)
        self._next_ending = at_ms, self._clock.call_later(delay_s, self._end_statuses)

    def _end_statuses(self) -> None:
        self._next_ending = None
        now_ms = self._clock.now_ms()
        while self._endings and self._endings[0][0] <= now_ms:
            _, user = heapq.heappop(self._endings)
            setting = self._settings.get(user, SettingRow())
            if 0 < setting.status_until_ms <= now_ms:
                ended = msgspec.structs.replace(setting, status="", status_until_ms=0)
                self._set(user, ended)
                self._spawn(self._store(user, ended))
        self._await_ending()

    async def _store(self, user: UserId, setting: SettingRow) -> None:
        await self._run(store.put, self._directory.key_of(user), setting)


def _digest_frame(records: list[bytes]) -> bytes:
    """A PresenceDigest of people who are encoded already."""
    people = cast("tuple[wire.Presence, ...]", tuple(map(Raw, records)))
    return pack_frame(encode_body(0, wire.PresenceDigest(people)))
