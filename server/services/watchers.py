# SPDX-License-Identifier: GPL-3.0-or-later
"""Which session looks at whose presence, and who is told what when it changes. Pure memory.

Theory: what one session is to be told is described by the departments in which something changed and the single people who
changed. Sessions for which this is the same, and who may see the same people, get the same frame.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct

from protocol.ids import DepartmentId, SessionId, UserId
from server.services.people import Directory
from server.services.visibility import View

_Key: TypeAlias = tuple[View | None, UserId | None, tuple[DepartmentId, ...], tuple[UserId, ...]]


class _Watch(Struct, eq=False):
    """What one session looks at."""

    session: SessionId
    user: UserId
    users: tuple[UserId, ...]
    departments: tuple[DepartmentId, ...]


class Watchers:
    """The sessions that look at somebody."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._watches: dict[SessionId, _Watch] = {}
        self._of_user: dict[UserId, set[_Watch]] = {}
        self._of_department: dict[DepartmentId, set[_Watch]] = {}

    def watch(
        self,
        session: SessionId,
        user: UserId,
        users: Iterable[UserId],
        departments: Iterable[DepartmentId],
    ) -> list[UserId]:
        """Replace what a session looks at; the people of it whom its user may see now."""
        self.unwatch(session)
        tree = self._directory.tree
        view = self._directory.visibility.view_of(user)
        # The directory's own objects are kept, not the request's copies of the same ids.
        known = dict.fromkeys(tree.people[u].person.id for u in users if u in tree.people)
        units = dict.fromkeys(
            tree.departments[d].department.id for d in departments if d in tree.departments
        )
        watch = _Watch(session, user, tuple(known), tuple(units))
        if known or units:
            self._watches[session] = watch
        for watched in watch.users:
            self._of_user.setdefault(watched, set()).add(watch)
        for department in watch.departments:
            self._of_department.setdefault(department, set()).add(watch)
            if self._is_shown(department, view):
                known.update(dict.fromkeys(tree.seated_in(department)))
        return list(self._visible(user, known))

    def unwatch(self, session: SessionId) -> None:
        """The session looks at nobody any more."""
        watch = self._watches.pop(session, None)
        if watch is None:
            return
        for user in watch.users:
            _discard(self._of_user, user, watch)
        for department in watch.departments:
            _discard(self._of_department, department, watch)

    def digests(
        self, changed: Mapping[UserId, bytes], make_frame: Callable[[list[bytes]], bytes]
    ) -> Iterator[tuple[list[SessionId], bytes]]:
        """Sessions and the frame that they are to be sent. ``changed``: each person's presence, encoded."""
        by_department: dict[DepartmentId, list[UserId]] = {}
        people_of: dict[_Watch, list[UserId]] = {}
        for user in changed:
            for watch in self._of_user.get(user, ()):
                people_of.setdefault(watch, []).append(user)
            for department in self._directory.tree.seats_of(user):
                if department in self._of_department:
                    by_department.setdefault(department, []).append(user)
        departments_of: dict[_Watch, list[DepartmentId]] = {}
        for department in by_department:
            for watch in self._of_department[department]:
                departments_of.setdefault(watch, []).append(department)
        groups: dict[tuple[UserId, ...], list[SessionId]] = {}
        seen: dict[_Key, tuple[UserId, ...]] = {}
        for watch in people_of.keys() | departments_of.keys():
            units = tuple(departments_of.get(watch, ()))
            users = tuple(people_of.get(watch, ()))
            key = self._key(watch, units, users)
            visible = seen.get(key)
            if visible is None:
                changed_for = self._of_these(key, by_department)
                visible = seen[key] = tuple(self._seen(key[0], key[1], changed_for))
            groups.setdefault(visible, []).append(watch.session)
        for visible, sessions in groups.items():
            if visible:
                yield sessions, make_frame([changed[user] for user in visible])

    def _key(
        self, watch: _Watch, departments: tuple[DepartmentId, ...], users: tuple[UserId, ...]
    ) -> _Key:
        """What decides what a session is told; without rules that hide, who looks does not matter."""
        visibility = self._directory.visibility
        if visibility.hides_nobody:
            return None, None, departments, users
        view = visibility.view_of(watch.user)
        entry = self._directory.tree.people[watch.user]
        # Who is hidden from their own kind sees themselves all the same.
        viewer = None if visibility.sees(view, entry) else watch.user
        return view, viewer, departments, users

    def _of_these(
        self, key: _Key, by_department: Mapping[DepartmentId, list[UserId]]
    ) -> Iterable[UserId]:
        """The people that the sessions with this key look at, by themselves or with a department."""
        view, _, departments, users = key
        union = dict.fromkeys(users)
        for department in departments:
            if self._is_shown(department, view):
                union.update(dict.fromkeys(by_department[department]))
        return union

    def _is_shown(self, department: DepartmentId, view: View | None) -> bool:
        """Whether one may know who sits in the department, of the people whom one may see."""
        hidden = self._directory.visibility.hidden_departments
        return view is None or department not in hidden(view)

    def _visible(self, viewer: UserId, users: Iterable[UserId]) -> Iterable[UserId]:
        visibility = self._directory.visibility
        if visibility.hides_nobody:
            return users
        return self._seen(visibility.view_of(viewer), viewer, users)

    def _seen(
        self, view: View | None, viewer: UserId | None, users: Iterable[UserId]
    ) -> Iterable[UserId]:
        if view is None:
            return users
        visibility, people = self._directory.visibility, self._directory.tree.people
        return [u for u in users if u == viewer or visibility.sees(view, people[u])]


def _discard(index: dict[bytes, set[_Watch]], key: bytes, watch: _Watch) -> None:
    watches = index[key]
    watches.discard(watch)
    if not watches:
        del index[key]
