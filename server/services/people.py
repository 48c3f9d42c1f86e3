# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory as the rest of the server uses it: who there is, who may see whom, and what changed since.

Everything is answered from memory. Changes come from admin.py, once they are durable.
"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Set
from typing import Any, Final, TypeAlias

from msgspec import Struct

from protocol.ids import ConversationId, DepartmentId, UserId
from protocol.messages import people as wire
from protocol.messages.admin import Permission
from protocol.prepared import PreparedReply, prepare
from server.services import permissions, search_people
from server.services.caller import Caller
from server.services.organisation import OrgTree, PersonEntry
from server.services.visibility import View, Visibility
from server.store.waiting import Shared

MAX_SEARCHED_INLINE: Final = 3_000
"""People up to which a search is done at once: about a millisecond. With more it goes to a thread."""
MAX_REMEMBERED_ANSWERS: Final = 8
"""Directories and differences kept for the next who asks: after a change thousands ask for a few of them."""
MAX_ENCODED_INLINE: Final = 500
"""People up to which an answer is encoded and compressed for each who asks: about a millisecond. 50,000 take 60 to 170; larger
ones are prepared once, in a thread."""


class Change(Struct, frozen=True):
    """What a durable change of the directory was about."""

    version: int
    people_changed: frozenset[UserId] = frozenset()
    """Created or changed in any way, roles included."""
    people_disabled: frozenset[UserId] = frozenset()
    departments_changed: frozenset[DepartmentId] = frozenset()
    """Created, changed or removed."""
    groups_changed: frozenset[ConversationId] = frozenset()
    """Groups that follow a directory: created, changed or removed."""
    rules_changed: bool = False
    """What people may see or do may be different for everybody."""


class Directory:
    """The people and departments of the tree, and who may know of whom."""

    def __init__(self, run_in_thread: Callable[..., Awaitable[Any]]) -> None:
        """``run_in_thread(function, *arguments)`` runs a search in a large tree."""
        self.tree = OrgTree()
        """The state as it is now; replaced as a whole, never changed in place."""
        self.visibility = Visibility(self.tree)
        self.rules_epoch = 0
        """Grows with every change after which an answer of may_see, may_open_chat, has_permission, members_of, departments_of
        or is_disabled may be another."""
        self._run_in_thread = run_in_thread
        self._listeners: list[Callable[[Change], object]] = []
        self._log = _ChangeLog()
        self._answers: dict[_Asked, _Answer] = {}

    # Who there is

    @property
    def version(self) -> int:
        """The directory's version; clients ask for what changed since theirs."""
        return self.tree.version

    def key_of(self, user: UserId) -> int:
        """The store's number for a person. Raises KeyError for a stranger."""
        return self.tree.people[user].key

    def id_of(self, key: int) -> UserId:
        """The person with that number in the store. Raises KeyError."""
        return self.tree.ids[key]

    def person(self, user: UserId) -> wire.Person | None:
        """The person's record, whoever asks; None for a stranger."""
        entry = self.tree.people.get(user)
        return entry.person if entry else None

    def department(self, department: DepartmentId) -> wire.Department | None:
        """The department's record, whoever asks; None when there is no such department."""
        entry = self.tree.departments.get(department)
        return entry.department if entry else None

    def is_disabled(self, user: UserId) -> bool:
        """Whether the account is closed, or there is none."""
        return self.tree.is_disabled(user)

    def members_of(self, department: DepartmentId) -> set[UserId]:
        """The enabled people who sit in the department or below it."""
        tree = self.tree
        return {
            user
            for below in tree.subtree_of(department)
            for user in tree.seated_in(below)
            if not tree.is_disabled(user)
        }

    def departments_of(self, user: UserId) -> set[DepartmentId]:
        """The departments in which the person sits and all above them: those whose members_of has the person when enabled."""
        tree = self.tree
        return {above for department in tree.seats_of(user) for above in tree.path_of(department)}

    def people_count(self) -> int:
        """Enabled people."""
        return sum(not entry.person.is_disabled for entry in self.tree.people.values())

    # Who may do what

    def may_see(self, viewer: UserId, target: UserId) -> bool:
        """Whether the viewer may know of the target. Closed accounts stay visible."""
        return self.visibility.may_see(viewer, target)

    def visible(self, viewer: UserId, targets: Iterable[UserId]) -> list[UserId]:
        """Those of whom the viewer may know: may_see for many."""
        people, visibility = self.tree.people, self.visibility
        if viewer not in people:
            return [target for target in targets if visibility.may_see(viewer, target)]
        known = [target for target in targets if target in people]
        if visibility.hides_nobody:
            return known
        view = visibility.view_of(viewer)
        return [t for t in known if t == viewer or visibility.sees(view, people[t])]

    def may_open_chat(self, viewer: UserId, target: UserId) -> bool:
        """Whether the viewer may begin to write to the target; an existing conversation may always be answered."""
        return self.visibility.may_open_chat(viewer, target)

    def has_permission(
        self, user: UserId, permission: Permission, department: DepartmentId | None = None
    ) -> bool:
        """Whether an enabled user holds the permission everywhere or, when one is given, over the department."""
        return permissions.has_permission(self.tree, user, permission, department)

    # What clients ask

    def get_directory(self, caller: Caller, request: wire.GetDirectory) -> wire.Directory:
        """The directory as the caller may see it, or what changed in it since the caller's version."""
        return self._answer(caller.user, request.since).directory

    def get_prepared_directory(
        self, caller: Caller, request: wire.GetDirectory
    ) -> wire.Directory | Awaitable[PreparedReply]:
        """The same, ready to be sent to many who ask for it when it is large."""
        answer = self._answer(caller.user, request.since)
        if len(answer.directory.people) <= MAX_ENCODED_INLINE:
            return answer.directory
        if answer.prepared is None:
            answer.prepared = Shared(self._prepare(answer.directory))
        return answer.prepared

    async def find_people(self, caller: Caller, request: wire.FindPeople) -> wire.People:
        """People whom the caller may see and who match the text, best first."""
        tree, visibility = self.tree, self.visibility
        view = visibility.view_of(caller.user)

        def sees(entry: PersonEntry) -> bool:
            return entry.person.id == caller.user or visibility.sees(view, entry)

        entries = tree.people.values()
        if request.department is not None:
            if request.department in visibility.hidden_departments(view):
                return wire.People()
            seated = {
                user
                for below in tree.subtree_of(request.department)
                for user in tree.seated_in(below)
            }
            entries = {user: tree.people[user] for user in seated}.values()
        search = (entries, request.text, request.limit, sees)
        if len(entries) <= MAX_SEARCHED_INLINE:
            found = search_people.find(*search)
        else:
            found = await self._run_in_thread(search_people.find, *search)
        return wire.People(tuple(visibility.as_seen(view, entry.person) for entry in found))

    # Changes

    def on_change(self, listener: Callable[[Change], object]) -> None:
        """Have the listener called after each durable change; it must not raise and not take long."""
        self._listeners.append(listener)

    def take(self, tree: OrgTree, change: Change | None = None) -> None:
        """Go over to another state: at the start (no change), or after a change became durable."""
        self.tree = tree
        self.visibility = Visibility(tree)
        self.rules_epoch += 1
        self._answers.clear()
        if change is None:
            self._log = _ChangeLog(tree)
            return
        self._log.add(change)
        if len(self._log) > 2 * len(tree.people) + 1000:
            self._log = _ChangeLog(tree)  # without what is outdated
        for listener in self._listeners:
            listener(change)

    async def _prepare(self, directory: wire.Directory) -> PreparedReply:
        prepared: PreparedReply = await self._run_in_thread(prepare, directory)
        return prepared

    def _answer(self, user: UserId, since: int) -> "_Answer":
        """What somebody is told who knows the directory at a version."""
        tree, visibility = self.tree, self.visibility
        entry = tree.people.get(user)
        if not tree.rules_version <= since <= tree.version:
            since = 0
        elif entry is not None and tree.rules and since < entry.moved:
            # With rules, what the caller sees depends on the caller's own places and roles.
            since = 0
        view = visibility.view_of(user)
        # Who is hidden from everybody alike is not hidden from themselves, and told what nobody else is.
        hidden = user if entry is not None and not visibility.sees(view, entry) else None
        asked = view, since, hidden
        answer = self._answers.get(asked)
        if answer is None:
            if len(self._answers) >= MAX_REMEMBERED_ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            directory = (
                self._differences(view, hidden, since) if since else self._full(view, hidden)
            )
            answer = self._answers[asked] = _Answer(directory)
        return answer

    def _full(self, view: View, viewer: UserId | None) -> wire.Directory:
        visibility, tree = self.visibility, self.tree
        people = tree.people.values()
        if visibility.hides_nobody or not view.rules:
            seen = tuple(entry.person for entry in people)
        else:
            seen = tuple(
                visibility.as_seen(view, entry.person)
                for entry in people
                if entry.person.id == viewer or visibility.sees(view, entry)
            )
        hidden = visibility.hidden_departments(view)
        departments = tuple(
            entry.department
            for department, entry in tree.departments.items()
            if department not in hidden
        )
        return wire.Directory(tree.version, True, departments, seen)

    def _differences(self, view: View, viewer: UserId | None, since: int) -> wire.Directory:
        tree, visibility = self.tree, self.visibility
        people, gone = [], []
        for user in self._log.people_since(since):
            entry = tree.people.get(user)
            if entry is None:
                continue  # removed; see below
            if user == viewer or visibility.sees(view, entry):
                people.append(visibility.as_seen(view, entry.person))
            elif entry.moved > since >= entry.created:
                # Only who may have been visible before is worth a word; the others stay unknown.
                gone.append(user)
        for user, removed in tree.gone_people.items():
            if removed.version > since >= removed.created:
                gone.append(user)
        hidden = visibility.hidden_departments(view)
        departments = tuple(
            entry.department
            for department, entry in tree.departments.items()
            if entry.version > since and department not in hidden
        )
        gone_departments = tuple(
            department for department, version in tree.gone_departments.items() if version > since
        )
        return wire.Directory(
            version=tree.version,
            departments=departments,
            people=tuple(people),
            gone_departments=gone_departments,
            gone_people=tuple(gone),
        )


_Asked: TypeAlias = tuple[View, int, UserId | None]
"""What decides what somebody is told: the view, the version known (0: none), and who asks, if that matters."""


class _Answer:
    """What everybody is told who asks the same."""

    __slots__ = ("directory", "prepared")

    def __init__(self, directory: wire.Directory) -> None:
        self.directory = directory
        self.prepared: Shared[PreparedReply] | None = None


class _ChangeLog:
    """Which people changed in which version, oldest first; each person counts where they stand last."""

    def __init__(self, tree: OrgTree | None = None) -> None:
        entries = sorted(tree.people.values(), key=_version_of) if tree else []
        self._versions = [entry.version for entry in entries]
        self._people = [entry.person.id for entry in entries]

    def __len__(self) -> int:
        return len(self._people)

    def add(self, change: Change) -> None:
        """Note the people of a change."""
        self._people += change.people_changed
        self._versions += [change.version] * len(change.people_changed)

    def people_since(self, version: int) -> Set[UserId]:
        """Who changed after the version."""
        return dict.fromkeys(self._people[bisect_right(self._versions, version) :]).keys()


def _version_of(entry: PersonEntry) -> int:
    return entry.version
