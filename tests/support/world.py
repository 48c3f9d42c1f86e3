# SPDX-License-Identifier: GPL-3.0-or-later
"""An office in one process: the server's real services and sessions on a real database, clients on lines in memory, and a clock
that the test turns. Nothing happens by itself: ``settle`` lets everything happen that is due now, ``pass_time`` what is due later.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import DepartmentId, UserId, uuid7
from protocol.messages.admin import (
    ChangeDirectory,
    DirectoryChange,
    GrantRole,
    Permission,
    PutDepartment,
    PutPerson,
    PutRole,
    Role,
    RoleGrant,
    SetPassword,
    SetVisibility,
    VisibilityRule,
)
from protocol.messages.people import Place
from protocol.messages.session import Policy, Welcome
from server.assembly import Assembly, Choices, Doors
from server.clock import ReactorClock
from server.services.caller import OPERATOR, Caller
from server.services.organisation import EVERYONE
from server.services.pace import Pace
from server.services.passwords import Cost
from server.store.database import Database
from server.store.events import insert_events
from server.store.migrate import migrate
from server.store.writer import Writer
from tests.support.colleague import Colleague

T = TypeVar("T")

BEGIN_MS = 1_790_000_000_000
PASSWORD = "correct horse battery staple"
POLICY = Policy(edit_within_s=3600, recall_within_s=600)
FAST = Cost(passes=1, memory_kib=8, lanes=1)
PATIENT = Pace(per_s=1_000.0, burst=1_000)
MAX_TURNS = 10_000


class Server:
    """The server's parts as app.py has them built, from their start to their end, on a database without threads."""

    def __init__(self, path: Path, clock: Clock, pace: Pace, policy: Policy) -> None:
        self.clock = ReactorClock(
            clock,
            seconds=clock.seconds,
            unix_ms=lambda: BEGIN_MS + round(clock.seconds() * 1000),
        )
        self.database = Database(f"sqlite:{path}")
        # Nobody pulls the plug of this machine: what is committed survives a server that is killed.
        self.database.for_writing.execute_sql("PRAGMA synchronous = OFF")
        self.writer = Writer(self.database, insert_events)
        doors = Doors(
            clock=self.clock,
            read=self.database.read,
            run=self.writer.run,
            append=self.writer.append,
            in_thread=_at_once,
            sleep=self._sleep,
            authority=_NoAuthority(),
        )
        choices = Choices(policy, 90, "test", FAST, pace)
        self.parts = Assembly(doors, choices, self._welcome)

    def _welcome(self, version: int, capabilities: tuple[str, ...]) -> Welcome:
        return Welcome(version, capabilities, server_time_ms=self.clock.now_ms())

    def _sleep(self, delay_s: float) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.clock.call_later(delay_s, lambda: done.callback(None))
        return done


class World:
    """An office, its server and everybody in it."""

    def __init__(self, folder: Path, *, pace: Pace = PATIENT, policy: Policy = POLICY) -> None:
        self.path = folder / "lanyard.db"
        self.pace = pace
        self.policy = policy
        self.clients: list[Colleague] = []
        self.is_disk_slow = False
        """True: nothing becomes durable until it is False again."""
        self.is_up = False
        self._next_id = 0
        self._seconds = 0.0
        migrate(self.path)
        self._begin()

    # The server

    def _begin(self) -> None:
        self.reactor = Clock()
        self.reactor.advance(self._seconds)
        self.server = Server(self.path, self.reactor, self.pace, self.policy)
        self.is_up = True
        self.wait_for(self.server.parts.open())

    def stops(self) -> None:
        """The server ends in order; connections are gone."""
        parts = self.server.parts
        parts.sessions.say_goodbye(ErrorCode.UNAVAILABLE, "The server stops.")
        self.settle()
        self._cut_everybody()
        self.wait_for(parts.close())
        self.server.writer.close()
        self._end()

    def is_killed(self) -> None:
        """The server ends at once: what was not durable is lost, with everything on the lines."""
        self._cut_everybody()
        self._end()

    def ends(self) -> None:
        """The test is over; harmless when the server is down."""
        if self.is_up:
            self.is_killed()

    def starts_again(self) -> None:
        """A server on the same database."""
        self._begin()

    def _cut_everybody(self) -> None:
        for client in self.clients:
            client.is_cut()

    def _end(self) -> None:
        self._seconds = self.reactor.seconds()
        self.server.database.close()
        self.is_up = False

    # Time

    def settle(self) -> None:
        """Let everything happen that is due now."""
        for _ in range(MAX_TURNS):
            is_busy = False
            for client in self.clients:
                is_busy = client.exchange() or is_busy
            if not self.is_disk_slow:
                is_busy = bool(self.server.writer.pump()) or is_busy
            is_busy = self._takes_turn() or is_busy
            if not is_busy:
                return
        raise AssertionError("the office does not come to rest")

    def _takes_turn(self) -> bool:
        """Let the reactor do what is due; whether there was anything."""
        is_due = any(call.getTime() <= self.reactor.seconds() for call in self.reactor.calls)
        self.reactor.advance(0)
        return is_due

    def pass_time(self, seconds: float, step_s: float = 0.25) -> None:
        """Let time pass, and everything happen that falls due in it."""
        end = self.reactor.seconds() + seconds
        self.settle()
        while (left := end - self.reactor.seconds()) > 1e-9:
            self.reactor.advance(min(step_s, left))
            for client in self.clients:
                client.time_passed()
            self.settle()

    def now_ms(self) -> int:
        """The server's time of day."""
        return self.server.clock.now_ms()

    def wait_for(self, work: Any) -> Any:
        """The result of a coroutine of the server, letting happen what it waits for."""
        results: list[Any] = []
        failures: list[Any] = []
        task: Deferred[Any] = Deferred.fromCoroutine(work)
        task.addCallbacks(results.append, failures.append)
        for _ in range(MAX_TURNS):
            if results or failures:
                break
            if not self.server.writer.pump():
                self.reactor.advance(0.01)
        if failures:
            failures[0].raiseException()
        return results[0]

    def reads(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a function of the store finds now."""
        found: list[T] = []
        self.server.database.read(function, *arguments).addCallback(found.append)
        return found[0]

    # People

    def new_id(self) -> bytes:
        """An id that no test has seen."""
        self._next_id += 1
        return uuid7(BEGIN_MS, self._next_id.to_bytes(10, "big"))

    def changes(self, *changes: DirectoryChange) -> None:
        """The operator changes the directory."""
        caller = Caller(OPERATOR, bytes(16), bytes(16))
        request = ChangeDirectory(tuple(changes))
        self.wait_for(self.server.parts.admin.change_directory(caller, request))
        self.settle()

    def has_department(
        self, name: str, parent: DepartmentId | None = None, *, has_conversation: bool = False
    ) -> DepartmentId:
        """A new department."""
        id = self.new_id()
        self.changes(PutDepartment(id, name, parent, has_conversation=has_conversation))
        return id

    def has_people(self, *names: str, department: DepartmentId | None = None) -> list[Colleague]:
        """New people, not signed in yet."""
        places = (Place(department),) if department else ()
        ids = [self.new_id() for _ in names]
        self.changes(
            *(
                PutPerson(id, login=name.lower(), name=name, places=places)
                for id, name in zip(ids, names, strict=True)
            ),
            *(SetPassword(id, PASSWORD, must_change=False) for id in ids),
        )
        return [self.device_of(id, name) for id, name in zip(ids, names, strict=True)]

    def has_signed_in(self, *names: str, department: DepartmentId | None = None) -> list[Colleague]:
        """New people who are signed in and have synchronised."""
        people = self.has_people(*names, department=department)
        for person in people:
            person.returns()
        return people

    def device_of(self, user: UserId, name: str) -> Colleague:
        """One more device of a person."""
        client = Colleague(self, user, name, PASSWORD, self.new_id())
        self.clients.append(client)
        return client

    def moves(self, person: Colleague, *departments: DepartmentId) -> None:
        """Somebody sits elsewhere from now on."""
        places = tuple(Place(department) for department in departments)
        self.changes(PutPerson(person.user, person.name.lower(), person.name, places=places))

    def disables(self, person: Colleague) -> None:
        """Somebody leaves the organisation."""
        self.changes(PutPerson(person.user, person.name.lower(), person.name, is_disabled=True))

    def allows(self, *permissions: Permission, to: Iterable[Colleague] = ()) -> None:
        """Permissions for some; without ``to`` for everybody."""
        values = tuple(permission.value for permission in permissions)
        people = list(to)
        role = Role(self.new_id() if people else EVERYONE, secrets.token_hex(4), values, not people)
        self.changes(
            PutRole(role), *(GrantRole(RoleGrant(person.user, role.id)) for person in people)
        )

    def has_rules(self, *rules: VisibilityRule) -> None:
        """These visibility rules hold."""
        self.changes(SetVisibility(tuple(rules)))


class _NoAuthority:
    """Certificates have tests of their own."""

    certificate = b""

    def issue(
        self, csr: bytes, user: bytes, device: bytes, now_ms: int
    ) -> tuple[bytes, bytes, int]:
        raise RequestRefused(ErrorCode.INVALID, "This authority issues nothing.")


def _at_once(function: Callable[..., T], *arguments: Any) -> Deferred[T]:
    return succeed(function(*arguments))
