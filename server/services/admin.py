# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators ask for: changes of the directory, its whole content, policy, status. The rules are in permissions.py and
directory_changes.py; here is the order of things: check, hash, store, and only then let it count."""

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from typing import Final

from protocol import limits
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import UserId, format_id
from protocol.messages import admin as wire
from protocol.messages.admin import Permission
from protocol.messages.kinds import Done
from server.services import directory_store
from server.services.audience import Audience, end_sessions_of_closed
from server.services.caller import Caller
from server.services.clock import Clock
from server.services.directory_changes import Draft
from server.services.directory_store import look_up, still_referred
from server.services.directory_turn import DirectoryTurn
from server.services.doors import Sleep, StoreDoor
from server.services.organisation import DepartmentEntry, OrgTree, PersonEntry
from server.services.passwords import Passwords
from server.services.people import Directory
from server.services.permissions import Rights
from server.services.policy import OrganisationPolicy
from server.services.records import put_department, put_group, put_person
from server.store import admin as store
from server.store.directory import AnchorTaken, StaleVersion, StillReferred

log = logging.getLogger("lanyard.services")

SLICE_S: Final = 0.008
"""How long checking changes may keep the reactor from everything else at a time."""
MAX_PASSWORD_MIN_CHARS: Final = 128
"""Nobody could choose a password any more."""
_LISTING: Final = (Permission.ADMIN_PEOPLE, Permission.ADMIN_ROLES)
"""Who holds one of these may list what they administer."""


class Admin:
    """The administrators' requests.

    A request that has begun runs to its end, also when who asked is gone: the dispatcher must not cancel it.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        turn: DirectoryTurn,
        policy: OrganisationPolicy,
        passwords: Passwords,
        audience: Audience,
        clock: Clock,
        read: StoreDoor,
        run: StoreDoor,
        sleep: Sleep,
        count_events: Callable[[], int],
        software: str,
    ) -> None:
        """``count_events``: how many events were stored since the beginning. ``software``: this program and its version."""
        self._directory = directory
        self._turn = turn
        self._policy = policy
        self._passwords = passwords
        self._audience = audience
        self._clock = clock
        self._read = read
        self._run = run
        self._sleep = sleep
        self._count_events = count_events
        self._software = software
        self._started_ms = clock.now_ms()

    async def change_directory(
        self, caller: Caller, request: wire.ChangeDirectory
    ) -> wire.DirectoryChanged:
        """Carry out changes, all or none, one request after the other. Raises RequestRefused, naming the change and the reason."""
        self._check_administers(caller)
        async with self._turn:
            return await self._change(caller, request)

    async def get_admin_directory(
        self, caller: Caller, request: wire.GetAdminDirectory
    ) -> wire.AdminDirectory:
        """A page of everything that the caller administers. Raises RequestRefused."""
        tree = self._directory.tree
        rights = self._check_administers(caller)
        after = tree.people[request.after].key if request.after in tree.people else 0
        keys = _administered(tree, rights)
        start = bisect_right(keys, after)
        page = [tree.people[tree.ids[key]] for key in keys[start : start + request.limit]]
        following = page[-1].person.id if start + request.limit < len(keys) else None
        facts = {}
        if page:
            facts = await self._read(store.facts, page[0].key, page[-1].key)
        people = tuple(_admin_person(entry, facts.get(entry.key)) for entry in page)
        if request.after is not None:
            return wire.AdminDirectory(tree.version, people, after=following)
        seen = {tree.ids[key] for key in keys}
        return self._first_page(tree, rights, people, seen, following)

    async def set_policy(self, caller: Caller, request: wire.SetPolicy) -> Done:
        """Replace the policy. Raises RequestRefused."""
        Rights(self._directory.tree, caller.user).check_everywhere(Permission.ADMIN_POLICY)
        policy = request.policy
        if not limits.MIN_PASSWORD_CHARS <= policy.password_min_chars <= MAX_PASSWORD_MIN_CHARS:
            raise RequestRefused(
                ErrorCode.INVALID,
                f"password_min_chars must be from {limits.MIN_PASSWORD_CHARS} to {MAX_PASSWORD_MIN_CHARS}.",
            )
        if policy.edit_within_s < 0 or policy.recall_within_s < 0:
            raise RequestRefused(ErrorCode.INVALID, "A time is less than nothing.")
        await self._policy.choose(policy, self._run)
        log.info("policy set by %s", format_id(caller.user))
        return Done()

    async def get_server_status(
        self, caller: Caller, request: wire.GetServerStatus
    ) -> wire.ServerStatus:
        """How the server is, for administrators of any kind. Raises RequestRefused."""
        rights = Rights(self._directory.tree, caller.user)
        kinds = (Permission.ADMIN_PEOPLE, Permission.ADMIN_ROLES, Permission.ADMIN_POLICY)
        if not any(rights.is_administrator(kind) for kind in kinds):
            rights.check_everywhere(Permission.ADMIN_SESSIONS)
        store_bytes = await self._read(store.size_bytes)
        return wire.ServerStatus(
            software=self._software,
            started_ms=self._started_ms,
            now_ms=self._clock.now_ms(),
            sessions=self._audience.session_count(),
            users_online=self._audience.user_count(),
            people=self._directory.people_count(),
            events=self._count_events(),
            store_bytes=store_bytes,
            directory_version=self._directory.version,
        )

    def _check_administers(self, caller: Caller) -> Rights:
        """Whether the caller administers any part of the directory. To others nothing is said of any record."""
        rights = Rights(self._directory.tree, caller.user)
        if not any(map(rights.is_administrator, _LISTING)):
            rights.check_everywhere(Permission.ADMIN_PEOPLE)
        return rights

    async def _change(self, caller: Caller, request: wire.ChangeDirectory) -> wire.DirectoryChanged:
        base = self._directory.tree
        if request.expected_version not in (None, base.version):
            raise RequestRefused(
                ErrorCode.CONFLICT,
                f"The directory is at version {base.version}, not {request.expected_version}.",
            )
        draft = await self._draft(base, caller.user, request)
        ended = 0
        if not request.is_trial and (draft.is_news or draft.passwords):
            ended = await self._carry_out(draft, caller)
        return wire.DirectoryChanged(
            version=draft.tree.version if draft.is_news else base.version,
            created=draft.created,
            changed=draft.changed,
            unchanged=draft.unchanged,
            ended_sessions=ended,
        )

    async def _draft(self, base: OrgTree, user: UserId, request: wire.ChangeDirectory) -> Draft:
        may_see = partial(self._directory.may_see, user)
        draft = Draft(base, user, self._policy.current.password_min_chars, may_see)
        await look_up(self._read, draft, request.changes)
        begun = self._clock.now()
        for index, change in enumerate(request.changes):
            with named(index, change, len(request.changes)):
                draft.add(change)
            if self._clock.now() - begun > SLICE_S:
                await self._sleep(0)
                begun = self._clock.now()
        return draft

    async def _carry_out(self, draft: Draft, caller: Caller) -> int:
        """Make a draft durable, then let it count; how many sessions it ended."""
        # One at a time: the other threads are for those who sign in meanwhile.
        hashes = {
            user: await self._passwords.hash(change.password)
            for user, change in draft.passwords.items()
        }
        spared = None
        if caller.user in draft.passwords:
            spared = self._directory.key_of(caller.user), caller.device
        try:
            await self._run(store.save, lambda: directory_store.saving(draft, hashes), spared)
        except StaleVersion as error:
            raise RequestRefused(
                ErrorCode.CONFLICT, "The directory was changed by another program meanwhile."
            ) from error
        except StillReferred as error:
            raise still_referred() from error
        except AnchorTaken as error:
            raise RequestRefused(ErrorCode.CONFLICT, "An anchor is another record's.") from error
        log.info(
            "directory changed by %s: version %d, %d created, %d changed, %d passwords",
            format_id(caller.user),
            draft.tree.version,
            draft.created,
            draft.changed,
            len(hashes),
        )
        if draft.is_news:
            self._directory.take(draft.tree, draft.change())
        return self._end_sessions(draft, caller)

    def _end_sessions(self, draft: Draft, caller: Caller) -> int:
        ended = 0
        if draft.disabled:
            ended += end_sessions_of_closed(self._audience, draft.disabled)
        if draft.passwords:
            ended += self._audience.end_sessions(
                users=draft.passwords.keys(),
                except_session=caller.session,
                reason=ErrorCode.SESSION_ENDED,
                sentence="An administrator gave you a new password; sign in with it.",
            )
        return ended

    def _first_page(
        self,
        tree: OrgTree,
        rights: Rights,
        people: tuple[wire.AdminPerson, ...],
        seen: Set[UserId],
        following: UserId | None,
    ) -> wire.AdminDirectory:
        return wire.AdminDirectory(
            version=tree.version,
            people=people,
            departments=tuple(
                put_department(entry)
                for entry in tree.departments.values()
                if _is_near(tree, rights, entry)
            ),
            roles=tuple(tree.roles.values()),
            grants=tuple(
                grant for user, grants in tree.grants.items() if user in seen for grant in grants
            ),
            rules=tree.rules if rights.covers(Permission.ADMIN_ROLES, None) else (),
            after=following,
            groups=tuple(map(put_group, tree.groups.values()))
            if rights.covers(Permission.ADMIN_PEOPLE, None)
            else (),
        )


@contextmanager
def named(index: int, change: wire.DirectoryChange, count: int | None = None) -> Iterator[None]:
    """Say which change it was that is refused, unless it is the only one. ``count``: how many there are; None: nobody knows yet."""
    try:
        yield
    except RequestRefused as error:
        if count == 1:
            raise
        who = f" ({change.login})" if isinstance(change, wire.PutPerson) else ""
        if isinstance(change, wire.PutDepartment | wire.PutGroup):
            who = f" ({change.name})"
        of = f" of {count}" if count else ""
        raise RequestRefused(
            error.code,
            f"Change {index + 1}{of}{who}: {error.sentence}",
            retry_after_ms=error.retry_after_ms,
        ) from error


def _administered(tree: OrgTree, rights: Rights) -> list[int]:
    """The keys of the people whom the administrator may look at, ascending."""
    if any(rights.covers(permission, None) for permission in _LISTING):
        return list(tree.ids)
    scopes = {scope for permission in _LISTING for scope in rights.scopes(permission)}
    return sorted(
        {
            tree.people[user].key
            for scope in scopes
            for department in tree.subtree_of(scope)
            for user in tree.seated_in(department)
        }
    )


def _is_near(tree: OrgTree, rights: Rights, entry: DepartmentEntry) -> bool:
    """Whether the department is in the administrator's part of the tree, or on the path to it."""
    department = entry.department.id
    return any(
        rights.covers(permission, department)
        or any(tree.is_within(scope, department) for scope in rights.scopes(permission))
        for permission in _LISTING
    )


def _admin_person(entry: PersonEntry, facts: store.Facts | None) -> wire.AdminPerson:
    facts = facts or store.Facts()
    return wire.AdminPerson(
        person=put_person(entry),
        has_password=facts.has_password,
        must_change_password=facts.must_change_password,
        last_seen_ms=facts.last_seen_ms,
        device_count=facts.device_count,
    )
