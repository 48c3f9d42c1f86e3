# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: who is there. The session watches the union of what all views ask for; what we say of ourselves is said again after a reconnect."""

from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from client.core.errands import Errands
from client.core.events import PresenceChanged
from client.core.feed import Feed
from client.core.session import Session
from protocol.ids import DepartmentId, UserId
from protocol.limits import MAX_WATCHED_USERS
from protocol.messages.people import (
    Presence,
    PresenceDigest,
    PresenceState,
    SetPresence,
    WatchPresence,
)

COLLECT_S: Final = 0.2
"""Views open and close in bursts; the server is told the result."""
MAX_WATCHED_DEPARTMENTS: Final = 100
"""As the message takes."""


class Watch:
    """What one view wants to know; closed when the view goes."""

    def __init__(self, room: "PresenceRoom") -> None:
        self._room = room
        self.people: frozenset[UserId] = frozenset()
        self.departments: frozenset[DepartmentId] = frozenset()

    def change(
        self,
        people: Iterable[UserId] | None = None,
        departments: Iterable[DepartmentId] | None = None,
    ) -> None:
        """Watch these instead; None: as it was."""
        if people is not None:
            self.people = frozenset(people)
        if departments is not None:
            self.departments = frozenset(departments)
        self._room.changed()

    def close(self) -> None:
        """Watch nobody any more."""
        self._room.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class PresenceRoom:
    """Presence of those who are watched, and our own."""

    def __init__(self, *, session: Session, feed: Feed, errands: Errands) -> None:
        self._session = session
        self._feed = feed
        self._watches: list[Watch] = []
        self._known: dict[UserId, Presence] = {}
        self._told: WatchPresence | None = None
        self._state: PresenceState | None = None
        self._errand = errands.new("presence", self._tell)
        session.on_open(self._errand.wake)
        session.on_close(self._lost)
        session.on_push(PresenceDigest, self._digested)

    def watch(
        self, people: Iterable[UserId] = (), departments: Iterable[DepartmentId] = ()
    ) -> Watch:
        """Begin to watch people and everybody who sits directly in departments."""
        watch = Watch(self)
        self._watches.append(watch)
        watch.change(people, departments)
        return watch

    def of(self, user: UserId) -> Presence | None:
        """Somebody's presence; None when it is not watched or not known just now."""
        return self._known.get(user)

    async def ask(
        self, people: Iterable[UserId] = (), departments: Iterable[DepartmentId] = ()
    ) -> tuple[Presence, ...]:
        """Presence of these, asked for once. Raises Refused, Offline, NotSignedIn."""
        wanted = frozenset(people)
        with self.watch(wanted, departments) as watch:
            found = await self._watch_union()
        if watch.departments:
            return found
        return tuple(one for one in found if one.user in wanted)

    async def set(
        self,
        state: PresenceState | None = None,
        status: str | None = None,
        status_until_ms: int = 0,
    ) -> None:
        """Say how reachable we are on this device, and what the status text is. Raises Refused, Offline, NotSignedIn."""
        if state is not None:
            self._state = state
        await self._session.request(SetPresence(state, status, status_until_ms))

    # What watches call

    def changed(self) -> None:
        """The union may differ."""
        self._errand.wake(COLLECT_S)

    def leave(self, watch: Watch) -> None:
        """A watch is closed."""
        if watch in self._watches:
            self._watches.remove(watch)
            self.changed()

    # Private

    async def _tell(self) -> None:
        if not self._session.is_open:
            return
        if self._told is None and self._state not in (None, PresenceState.ONLINE):
            await self._session.request(SetPresence(self._state))
        if self._union() != (self._told or WatchPresence()):
            await self._watch_union()

    def _union(self) -> WatchPresence:
        users = sorted({user for watch in self._watches for user in watch.people})
        departments = sorted({one for watch in self._watches for one in watch.departments})
        return WatchPresence(
            tuple(users[:MAX_WATCHED_USERS]), tuple(departments[:MAX_WATCHED_DEPARTMENTS])
        )

    async def _watch_union(self) -> tuple[Presence, ...]:
        union = self._union()
        people = (await self._session.request(union)).people
        self._told = union
        fresh = {one.user: one for one in people}
        moved = tuple(one for one in people if self._known.get(one.user) != one)
        self._known = fresh
        if moved:
            self._feed.publish(PresenceChanged(moved))
        return people

    def _digested(self, push: PresenceDigest) -> None:
        self._known.update((one.user, one) for one in push.people)
        self._feed.publish(PresenceChanged(push.people))

    def _lost(self) -> None:
        self._told = None
        self._known.clear()
