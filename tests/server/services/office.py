# SPDX-License-Identifier: GPL-3.0-or-later
"""A small organisation with the people side of the server around it: a real database, a fake clock, a recording audience."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import peewee
from twisted.internet import task

from protocol.codec import decode_from_server
from protocol.errors import ErrorCode
from protocol.ids import DeviceId, SessionId, UserId
from protocol.messages import admin as wire
from protocol.messages import sync
from protocol.messages.kinds import Message, Push
from protocol.messages.people import Place
from protocol.messages.session import DeviceInfo, Policy
from server.clock import ReactorClock
from server.services import directory_store
from server.services.admin import Admin
from server.services.auth import Auth, Verifier
from server.services.caller import OPERATOR, Caller
from server.services.devices import Devices
from server.services.directory_turn import DirectoryTurn
from server.services.organisation import ADMINISTRATOR
from server.services.passwords import Cost, Passwords
from server.services.people import Directory
from server.services.policy import OrganisationPolicy
from server.services.portraits import Portraits
from server.services.presence import Presence
from server.services.run_log import RunLog
from server.services.sightings import Sightings
from server.services.sync_history import SyncHistory
from server.services.sync_runs import Services as SyncServices
from server.services.sync_runs import SyncRuns
from server.services.throttle import Throttle
from server.store import people as people_store
from server.store.errors import StoreUnavailable
from server.store.migrate import migrate

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CHEAP = Cost(passes=1, memory_kib=8, lanes=1)
MIDNIGHT_MS = 1_900_000_000_000


def make_id(name: str) -> bytes:
    """The same id for the same name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def device(name: str = "desk") -> DeviceInfo:
    """A computer."""
    return DeviceInfo(make_id(f"device {name}"), name, platform="Linux")


def caller(name: str, session: str = "", device_name: str = "desk") -> Caller:
    """A person's session."""
    session_id = make_id(f"session {name} {session}")
    return Caller(make_id(name), session_id, make_id(f"device {device_name}"), "192.0.2.1")


operator = Caller(OPERATOR, bytes(16), bytes(16))


def put_department(name: str, parent: str | None = None, /, **fields: Any) -> wire.PutDepartment:
    """Create a department whose id is its name's."""
    above = make_id(parent) if parent is not None else None
    return wire.PutDepartment(id=make_id(name), name=name, parent=above, **fields)


def put_person(name: str, /, *departments: str, **fields: Any) -> wire.PutPerson:
    """Create a person whose id and login are the name's, with places in these departments."""
    fields.setdefault("login", name)
    fields.setdefault("places", tuple(Place(make_id(each), "Clerk") for each in departments))
    return wire.PutPerson(id=make_id(name), name=fields.pop("name", name.title()), **fields)


def grant(name: str, role: bytes = ADMINISTRATOR, over: str | None = None) -> wire.GrantRole:
    """Give a person a role."""
    department = make_id(over) if over is not None else None
    return wire.GrantRole(wire.RoleGrant(make_id(name), role, department))


def role(name: str, *permissions: str, is_for_everyone: bool = False) -> wire.PutRole:
    """Create a role whose id is its name's."""
    return wire.PutRole(wire.Role(make_id(name), name, permissions, is_for_everyone))


class Recorder:
    """An audience that notes what it is told."""

    def __init__(self) -> None:
        self.open: dict[SessionId, Caller] = {}
        self.pushes: list[tuple[frozenset[UserId], Message]] = []
        self.frames: list[tuple[frozenset[SessionId], Message]] = []
        self.to_all: list[Message] = []
        self.ended: list[tuple[SessionId, ErrorCode]] = []

    def push(
        self, users: Iterable[UserId], message: Push, *, except_session: SessionId | None = None
    ) -> None:
        self.pushes.append((frozenset(users), message))

    def push_frame(
        self, users: Iterable[UserId], frame: bytes, *, except_session: SessionId | None = None
    ) -> None:
        self.pushes.append((frozenset(users), _decoded(frame)))

    def push_frame_to(self, sessions: Iterable[SessionId], frame: bytes) -> None:
        self.frames.append((frozenset(sessions), _decoded(frame)))

    def push_to_all(self, message: Push) -> None:
        self.to_all.append(message)

    def is_online(self, user: UserId) -> bool:
        return bool(self.sessions_of(user))

    def sessions_of(self, user: UserId) -> Collection[SessionId]:
        return [each.session for each in self.open.values() if each.user == user]

    def devices_of(self, user: UserId) -> Collection[DeviceId]:
        return [each.device for each in self.open.values() if each.user == user]

    def session_count(self) -> int:
        return len(self.open)

    def user_count(self) -> int:
        return len({each.user for each in self.open.values()})

    def end_sessions(
        self,
        *,
        users: Collection[UserId] = (),
        device: DeviceId | None = None,
        session: SessionId | None = None,
        except_session: SessionId | None = None,
        reason: ErrorCode,
        sentence: str,
    ) -> int:
        assert sentence
        ending = [
            each.session
            for each in self.open.values()
            if (not users or each.user in users)
            and device in (None, each.device)
            and session in (None, each.session)
            and each.session != except_session
        ]
        for each_id in ending:
            del self.open[each_id]
            self.ended.append((each_id, reason))
        return len(ending)


def _decoded(frame: bytes) -> Message:
    envelope = decode_from_server(frame[4:])
    message: Message = envelope.message  # type: ignore[union-attr]
    return message


class FakeAuthority:
    """Certificates that are no certificates."""

    certificate = b"authority"

    def __init__(self) -> None:
        self.issued = 0

    def issue(
        self, csr: bytes, user: UserId, device: DeviceId, now_ms: int
    ) -> tuple[bytes, bytes, int]:
        self.issued += 1
        return b"certificate for " + csr, b"serial %d" % self.issued, now_ms + 30 * 86_400_000


class Office:
    """The people side of one server."""

    def __init__(self, folder: Path, verifiers: dict[str, Verifier] | None = None) -> None:
        path = folder / "lanyard.db"
        migrate(path)
        self.db = peewee.SqliteDatabase(str(path), pragmas={"foreign_keys": 1, "synchronous": 0})
        self.db.connect()
        self.hands = task.Clock()
        self.clock = ReactorClock(
            self.hands,
            seconds=self.hands.seconds,
            unix_ms=lambda: MIDNIGHT_MS + round(self.hands.seconds() * 1000),
        )
        self.audience = Recorder()
        self.writes = 0
        self.writes_left: int | None = None
        self.failure: Exception | None = None
        """What the writer meets until it is None again."""
        self.tasks: list[asyncio.Task[None]] = []
        self.directory = Directory(self.run_in_thread)
        self.directory.take(directory_store.org_tree(people_store.load(self.db)))
        self.policy = OrganisationPolicy(Policy(edit_within_s=60))
        self.passwords = Passwords(self.run_in_thread, CHEAP)
        self.throttle = Throttle(self.clock)
        self.sightings = Sightings(self.clock, self.run, self.spawn)
        self.authority = FakeAuthority()
        self.auth = Auth(
            directory=self.directory,
            policy=self.policy,
            passwords=self.passwords,
            throttle=self.throttle,
            sightings=self.sightings,
            audience=self.audience,
            clock=self.clock,
            read=self.read,
            run=self.run,
            verifiers=verifiers,
        )
        self.devices = Devices(
            directory=self.directory,
            audience=self.audience,
            authority=self.authority,
            clock=self.clock,
            read=self.read,
            run=self.run,
        )
        self.presence = Presence(
            directory=self.directory,
            audience=self.audience,
            clock=self.clock,
            run=self.run,
            spawn=self.spawn,
        )
        self.turn = DirectoryTurn(asyncio.sleep)
        self.admin = Admin(
            directory=self.directory,
            turn=self.turn,
            policy=self.policy,
            passwords=self.passwords,
            audience=self.audience,
            clock=self.clock,
            read=self.read,
            run=self.run,
            sleep=asyncio.sleep,
            count_events=lambda: 7,
            software="Lanyard test",
        )
        self.run_log = RunLog(
            self.directory,
            self.audience,
            self.clock,
            self.read,
            self.run,
            asyncio.sleep,
            self.spawn,
        )
        services = SyncServices(
            self.directory,
            self.turn,
            self.run_log,
            self.clock,
            self.read,
            self.run,
            asyncio.sleep,
        )
        self.sync_runs = SyncRuns(services)
        self.sync_history = SyncHistory(services)
        self.portraits = Portraits(self.directory, self.read)

    def close(self) -> None:
        self.db.close()

    async def read(self, function: Callable[[Any, *Ts], T], /, *arguments: *Ts) -> T:
        await asyncio.sleep(0)
        return function(self.db, *arguments)

    async def run(self, function: Callable[[Any, *Ts], T], /, *arguments: *Ts) -> T:
        await asyncio.sleep(0)
        self.writes += 1
        if self.writes_left is not None:
            if not self.writes_left:
                raise StoreUnavailable("The power went out.")
            self.writes_left -= 1
        if self.failure is not None:
            raise self.failure
        with self.db.atomic():
            return function(self.db, *arguments)

    def crash_after(self, writes: int | None) -> None:
        """After so many more writes none gets through; None: all do again."""
        self.writes_left = writes
        if writes is not None:
            self.run_log.close()  # nobody waits for the disk

    async def run_in_thread(self, function: Callable[[*Ts], T], /, *arguments: *Ts) -> T:
        await asyncio.sleep(0)
        return function(*arguments)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object:
        self.tasks.append(asyncio.ensure_future(coroutine))
        return self.tasks[-1]

    async def settle(self) -> None:
        """Wait for what was started and not waited for."""
        await asyncio.gather(*self.tasks)

    async def change(
        self, *changes: wire.DirectoryChange, by: Caller = operator, **fields: Any
    ) -> wire.DirectoryChanged:
        """Change the directory."""
        return await self.admin.change_directory(by, wire.ChangeDirectory(changes, **fields))

    async def apply(
        self,
        *changes: wire.DirectoryChange,
        by: Caller = operator,
        source: str = "ldap",
        **fields: Any,
    ) -> sync.RunCommitted:
        """Change the directory in one run."""
        begin = sync.BeginRun(source, self.directory.version, **fields)
        run = self.sync_runs.begin_run(by, begin).run
        await self.sync_runs.add_to_run(by, sync.AddToRun(run, 0, changes))
        done = await self.sync_runs.commit_run(by, sync.CommitRun(run))
        await self.settle()
        return done

    async def undo(self, run: bytes, by: Caller = operator, **fields: bool) -> sync.RunUndone:
        """Take a run back."""
        undone = await self.sync_history.undo_run(by, sync.UndoRun(run, **fields))
        await self.settle()
        return undone

    async def furnish(self) -> None:
        """A company of two divisions with a team each, an administrator, a boss and staff."""
        await self.change(
            put_department("company"),
            put_department("works", "company"),
            put_department("team", "works"),
            put_department("sales", "company"),
            put_department("board", "company"),
            put_person("ada", "company"),
            put_person("boss", "board"),
            put_person("wen", "works"),
            put_person("tom", "team"),
            put_person("tia", "team"),
            put_person("sam", "sales"),
            grant("ada"),
        )

    def reopened(self, folder: Path) -> Office:
        """The same organisation after the server was started again."""
        self.close()
        return Office(folder)


def run_at_once(awaitable: Awaitable[Any]) -> Any:
    """The result of something that waits for nothing but turns of the loop."""

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())
