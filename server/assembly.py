# SPDX-License-Identifier: GPL-3.0-or-later
"""All services, built once and connected: app.py's workshop. Gives them doors to the outside and knows no outside itself."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from protocol.messages.session import Policy, Welcome
from server.services.admin import Admin
from server.services.auth import Auth, Verifier
from server.services.caller import Caller
from server.services.changes import Changes
from server.services.chat_rules import ChatRules
from server.services.chat_views import ChatViews
from server.services.chats import Chats
from server.services.clock import Clock
from server.services.creation import Creation
from server.services.delivery import Delivery
from server.services.departments import DepartmentRooms
from server.services.devices import Authority, Devices
from server.services.directory_news import DirectoryNews
from server.services.directory_store import org_tree
from server.services.directory_turn import DirectoryTurn
from server.services.directs import Directs
from server.services.doors import Sleep, StoreDoor
from server.services.followed_groups import FollowedGroups
from server.services.groups import Groups
from server.services.history import Histories
from server.services.journal import Journal
from server.services.membership import Memberships
from server.services.messages import Messages
from server.services.pace import Pace, PaceKeeper
from server.services.passwords import DEFAULT_COST, Cost, Passwords
from server.services.people import Change, Directory
from server.services.policy import OrganisationPolicy
from server.services.portraits import Portraits
from server.services.presence import Presence
from server.services.receipts import ReceiptBook
from server.services.rooms import Rooms
from server.services.run_log import RunLog
from server.services.sightings import Sightings
from server.services.sync_history import SyncHistory
from server.services.sync_runs import Services as SyncServices
from server.services.sync_runs import SyncRuns
from server.services.throttle import Throttle
from server.services.typists import Typists
from server.services.upkeep import Upkeep
from server.sessions.dispatch import Dispatch, Services
from server.sessions.lanes import Lanes
from server.sessions.online import Online
from server.sessions.session import Desk
from server.sessions.sessions import Sessions
from server.sessions.tasks import Tasks
from server.store import meta
from server.store import people as people_store


class Doors(Struct, frozen=True):
    """How the services reach what is not theirs."""

    clock: Clock
    read: StoreDoor
    run: StoreDoor
    append: Callable[[Any, Callable[[BaseException | None], object]], object]
    """Stores one event."""
    in_thread: Callable[..., Any]
    sleep: Sleep
    authority: Authority
    verifiers: Mapping[str, Verifier] = {}
    """Passwords that are kept elsewhere, by the source of the person."""


class Choices(Struct, frozen=True):
    """What the configuration decides."""

    policy: Policy
    token_days: int
    software: str
    password_cost: Cost = DEFAULT_COST
    pace: Pace = Pace()


class Assembly:
    """The services of one server, and what connects them. ``open`` before use, ``close`` at the end."""

    def __init__(
        self,
        doors: Doors,
        choices: Choices,
        make_welcome: Callable[[int, tuple[str, ...]], Welcome],
    ) -> None:
        self.tasks: Final = Tasks()
        self.online: Final = Online()
        self.directory: Final = Directory(doors.in_thread)
        self.policy: Final = OrganisationPolicy(choices.policy)
        self.pace: Final = PaceKeeper(choices.pace)
        self.epoch = b""
        """Of the store; known after ``open``."""
        self._doors = doors
        self._build_people(choices)
        self._build_sync()
        self._build_rooms()
        self._build_chat(choices)
        lanes = Lanes(doors.sleep, self.online)
        self.dispatch: Final = Dispatch(self._services(), lanes)
        desk = Desk(
            clock=doors.clock,
            online=self.online,
            dispatch=self.dispatch,
            auth=self.auth,
            spawn=self.tasks.spawn,
            make_welcome=make_welcome,
        )
        self.sessions: Final = Sessions(desk)

    async def open(self) -> None:
        """Load what is kept in memory, mend what a crash left, and begin the upkeep. Raises StoreError."""
        read, run = self._doors.read, self._doors.run
        await self._run_log.recover()
        self.directory.take(org_tree(await read(people_store.load)))
        await self.policy.load(read)
        await self.presence.load(read)
        self.epoch = await run(meta.epoch)
        await self.journal.open()
        await self._departments.open()
        await self._followed_groups.open()
        self._connect()
        self._upkeep.start()

    def anchor_of(self, login: str) -> str:
        """The immutable id in their directory of whoever has a login; empty for nobody and for people kept by hand."""
        tree = self.directory.tree
        user = tree.who_has_login(login)
        return tree.people[user].anchor if user is not None else ""

    async def close(self) -> None:
        """Finish what was begun and write what is left; nobody is connected any more. Raises StoreError."""
        self.sync_runs.close()
        self._run_log.close()
        await self.tasks.finish()
        self._departments.close()
        self._followed_groups.close()
        self.receipts.close()
        await self._sightings.write()
        await self._upkeep.close()
        await self.tasks.finish()

    def _build_people(self, choices: Choices) -> None:
        doors, spawn = self._doors, self.tasks.spawn
        clock, read, run = doors.clock, doors.read, doors.run
        passwords = Passwords(doors.in_thread, choices.password_cost)
        self._sightings = Sightings(clock, run, spawn)
        self.presence = Presence(
            directory=self.directory, audience=self.online, clock=clock, run=run, spawn=spawn
        )
        self.auth = Auth(
            directory=self.directory,
            policy=self.policy,
            passwords=passwords,
            throttle=Throttle(clock),
            sightings=self._sightings,
            audience=self.online,
            clock=clock,
            read=read,
            run=run,
            verifiers=doors.verifiers,
            token_days=choices.token_days,
        )
        self.devices = Devices(
            directory=self.directory,
            audience=self.online,
            authority=doors.authority,
            clock=clock,
            read=read,
            run=run,
        )
        self._turn = DirectoryTurn(doors.sleep)
        self.admin = Admin(
            directory=self.directory,
            turn=self._turn,
            policy=self.policy,
            passwords=passwords,
            audience=self.online,
            clock=clock,
            read=read,
            run=run,
            sleep=doors.sleep,
            count_events=lambda: self.journal.event_count,
            software=choices.software,
        )

    def _build_sync(self) -> None:
        doors = self._doors
        clock, read, run, sleep = doors.clock, doors.read, doors.run, doors.sleep
        self._run_log = RunLog(
            self.directory, self.online, clock, read, run, sleep, self.tasks.spawn
        )
        services = SyncServices(self.directory, self._turn, self._run_log, clock, read, run, sleep)
        self.sync_runs = SyncRuns(services)
        self.sync_history = SyncHistory(services)
        self.portraits = Portraits(self.directory, read)

    def _build_rooms(self) -> None:
        doors, spawn = self._doors, self.tasks.spawn
        clock, read = doors.clock, doors.read
        self.journal = Journal(read, doors.run, doors.append, clock)
        self.rooms = Rooms(read, self.journal, clock)
        self._rules = ChatRules(self.directory, lambda: self.policy.current)
        self._delivery = Delivery(self.online, self._rules)
        self._views = ChatViews(read, self._delivery)
        self._creation = Creation(self.journal, self.rooms, self._delivery)
        self._memberships = Memberships(self.journal, self.rooms, self._delivery)
        followed = (
            self.directory,
            self.journal,
            self.rooms,
            self._creation,
            self._memberships,
            clock,
            spawn,
        )
        self._departments = DepartmentRooms(*followed)
        self._followed_groups = FollowedGroups(*followed)
        self._upkeep = Upkeep(self.journal, self.rooms, clock, spawn)

    def _build_chat(self, choices: Choices) -> None:
        doors, spawn = self._doors, self.tasks.spawn
        clock, read = doors.clock, doors.read
        journal, rooms, rules = self.journal, self.rooms, self._rules
        delivery, views, creation = self._delivery, self._views, self._creation
        self.groups = Groups(journal, rooms, rules, views, creation, self._memberships)
        self.directs = Directs(journal, rooms, rules, views, creation)
        self.histories = Histories(read, rooms)
        self.chats = Chats(read, journal, rooms, rules, delivery, views, clock)
        self.typists = Typists(rooms, rules, self.online, clock, spawn)
        self.receipts = ReceiptBook(
            read, journal, rooms, rules, delivery, views, self.online, clock, spawn
        )
        self.messages = Messages(
            read,
            journal,
            rooms,
            rules,
            delivery,
            self.directs,
            Changes(read, journal, rules, clock),
            self.pace,
            clock,
        )

    def _services(self) -> Services:
        return Services(
            admin=self.admin,
            auth=self.auth,
            chats=self.chats,
            devices=self.devices,
            directory=self.directory,
            directs=self.directs,
            groups=self.groups,
            histories=self.histories,
            messages=self.messages,
            portraits=self.portraits,
            presence=self.presence,
            receipts=self.receipts,
            sync_history=self.sync_history,
            sync_runs=self.sync_runs,
            typists=self.typists,
        )

    def _connect(self) -> None:
        """From here on what happens in one service is told to those whom it concerns."""
        self.online.on_arrival(self.presence.session_opened)
        self.online.on_departure(self._departed)
        self.directory.on_change(self._directory_changed)
        DirectoryNews(self.directory, self.online, self._doors.clock)

    def _departed(self, caller: Caller) -> None:
        self.presence.session_closed(caller)
        self.auth.session_closed(caller)
        self.chats.session_ended(caller.session)
        self.sync_runs.session_closed(caller.session)

    def _directory_changed(self, change: Change) -> None:
        self._departments.directory_changed(change)
        self._followed_groups.directory_changed(change)
