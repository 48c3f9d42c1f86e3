# SPDX-License-Identifier: GPL-3.0-or-later
"""Room: people and departments, from the copy of the directory, which follows the server's by differences."""

from collections.abc import Iterable
from random import Random
from typing import Final

from client.core.errands import Errands
from client.core.events import PeopleChanged
from client.core.feed import Feed
from client.core.session import Session
from client.core.store import meta
from client.core.store import people as rows
from client.core.store.database import Database
from protocol.ids import DepartmentId, UserId
from protocol.messages.people import Department, DirectoryMoved, GetDirectory, Person

SPREAD_S: Final = 3.0
"""Everybody is told of a change of the directory at once; they need not all ask at once."""


class PeopleRoom:
    """The directory as we may see it. Works without the server."""

    def __init__(
        self,
        *,
        session: Session,
        database: Database,
        feed: Feed,
        errands: Errands,
        random: Random,
    ) -> None:
        self._session = session
        self._database = database
        self._feed = feed
        self._random = random
        self._errand = errands.new("directory", self._follow)
        session.on_open(self._errand.wake)
        session.on_push(DirectoryMoved, self._moved)

    async def find(
        self, text: str, *, department: DepartmentId | None = None, limit: int = 20
    ) -> tuple[Person, ...]:
        """People of whom a name, login or mail begins with the text, in any script they have; best first."""
        return tuple(await self._database.run(rows.find, text, department, limit))

    async def person(self, user: UserId) -> Person | None:
        """One person."""
        return await self._database.run(rows.by_id, user)

    async def by_login(self, login: str) -> Person | None:
        """The person with that login."""
        return await self._database.run(rows.by_login, login)

    async def named(self, users: Iterable[UserId]) -> dict[UserId, Person]:
        """Those of the people who are known here."""
        return await self._database.run(rows.by_ids, tuple(users))

    async def everyone(self) -> tuple[Person, ...]:
        """Everybody, by sort key."""
        return tuple(await self._database.run(rows.every))

    async def department(self, department: DepartmentId) -> Department | None:
        """One department."""
        return await self._database.run(rows.department, department)

    async def departments(self) -> tuple[Department, ...]:
        """The whole tree: each department before those below it, siblings in order."""
        return tuple(await self._database.run(rows.departments))

    async def members_of(self, department: DepartmentId) -> tuple[Person, ...]:
        """Who sits directly in a department, in its order."""
        return tuple(await self._database.run(rows.members_of, department))

    async def refresh(self) -> None:
        """Fetch what changed now. Raises Refused, Offline, NotSignedIn."""
        since = await self._database.run(meta.load, meta.DIRECTORY_VERSION) or 0
        directory = await self._session.request(GetDirectory(since))
        if directory.version == since and not directory.is_full:
            return
        await self._database.run(rows.take_directory, directory)
        if directory.is_full:
            self._feed.publish(PeopleChanged(frozenset(), frozenset(), is_full=True))
            return
        people = frozenset((*(one.id for one in directory.people), *directory.gone_people))
        departments = frozenset(
            (*(one.id for one in directory.departments), *directory.gone_departments)
        )
        self._feed.publish(PeopleChanged(people, departments, is_full=False))

    async def _follow(self) -> None:
        if self._session.is_open:
            await self.refresh()

    def _moved(self, push: DirectoryMoved) -> None:
        self._errand.wake(self._random.uniform(0.0, SPREAD_S))
