# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see and address whom: the visibility rules of one state of the tree. Pure.

Theory: each person has two sets of rules, as bits of an integer: those whose viewers they are among, and those whose targets they
are among. The rules that hold between two people are the common bits; the lowest is the first in order, and decides.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from protocol.ids import DepartmentId, RoleId, UserId
from protocol.messages.admin import Effect, Permission
from protocol.messages.people import Person, Place
from server.services.caller import OPERATOR
from server.services.organisation import OrgTree, PersonEntry

_NOBODY: Final[frozenset[DepartmentId]] = frozenset()


class View(Struct, frozen=True):
    """What decides what one person may see. Two people with equal views differ only in that each sees themselves."""

    rules: int
    """Bits of the rules that hold for this viewer."""
    seats: frozenset[DepartmentId]
    """Where the viewer sits, when that matters."""
    everyone_below: frozenset[DepartmentId]
    """Subtrees in which nobody is hidden from the viewer."""


class _Side:
    """One side, viewers or targets, of all rules."""

    def __init__(
        self,
        tree: OrgTree,
        conditions: Iterable[tuple[DepartmentId | None, RoleId | None]],
    ) -> None:
        self._tree = tree
        self._anywhere = 0
        self._below: dict[DepartmentId, int] = {}
        self._any_role = 0
        self._with_role: dict[RoleId, int] = {}
        self._seated: dict[DepartmentId, int] = {}
        for index, (department, role) in enumerate(conditions):
            bit = 1 << index
            if department is None:
                self._anywhere |= bit
            else:
                self._below[department] = self._below.get(department, 0) | bit
            if role is None:
                self._any_role |= bit
            else:
                self._with_role[role] = self._with_role.get(role, 0) | bit
        for everyones in tree.everyones_roles:
            self._any_role |= self._with_role.get(everyones.id, 0)

    def of_department(self, department: DepartmentId) -> int:
        """The rules that are about people who sit in this department, whatever their roles."""
        bits = self._seated.get(department)
        if bits is None:
            bits = self._anywhere
            for above in self._tree.path_of(department):
                bits |= self._below.get(above, 0)
            self._seated[department] = bits
        return bits

    def of_roleless(self, department: DepartmentId) -> int:
        """The rules that are about people who sit here and were given no role."""
        return self.of_department(department) & self._any_role

    def of(self, user: UserId, places: tuple[Place, ...]) -> int:
        """The rules that are about this person."""
        bits = self._anywhere
        for place in places:
            bits |= self.of_department(place.department)
        roles = self._any_role
        for grant in self._tree.grants.get(user, ()):
            roles |= self._with_role.get(grant.role, 0)
        return bits & roles


class Visibility:
    """The visibility rules, made ready for one state of the tree.

    Disabled people stay visible: old conversations keep their names. Between colleagues (who sit directly in the same
    department) a rule that hides does not hold at all; one that only closes chats does.
    """

    def __init__(self, tree: OrgTree) -> None:
        rules = tree.rules
        self._tree = tree
        self._viewers = _Side(tree, ((r.viewers, r.viewers_role) for r in rules))
        self._targets = _Side(tree, ((r.targets, r.targets_role) for r in rules))
        self._sparing = sum(1 << index for index, rule in enumerate(rules) if rule.spares_insiders)
        self._effects = [rule.effect for rule in rules]
        self.hides_nobody = Effect.HIDE not in self._effects
        """Whether everybody sees everybody."""
        self._views: dict[UserId, View] = {}
        self._hidden: dict[View, frozenset[DepartmentId]] = {}

    def view_of(self, viewer: UserId) -> View:
        """What decides what the viewer may see."""
        view = self._views.get(viewer)
        if view is None:
            view = self._views[viewer] = self._make_view(viewer)
        return view

    def sees(self, view: View, target: PersonEntry) -> bool:
        """Whether a viewer other than the target sees the target."""
        return self._effect(view, target) is not Effect.HIDE

    def may_see(self, viewer: UserId, target: UserId) -> bool:
        """Whether the viewer may know of the target."""
        entry = self._tree.people.get(target)
        if entry is None or not self._may_look(viewer):
            return False
        return viewer == target or self.sees(self.view_of(viewer), entry)

    def may_open_chat(self, viewer: UserId, target: UserId) -> bool:
        """Whether the viewer may begin to write to the target. Everybody may write to themselves, nobody to a closed account."""
        entry = self._tree.people.get(target)
        if entry is None or entry.person.is_disabled or not self._may_look(viewer):
            return False
        return viewer == target or self._effect(self.view_of(viewer), entry) is Effect.ALLOW

    def hidden_departments(self, view: View) -> frozenset[DepartmentId]:
        """The departments that the viewer may not know of.

        A department is treated like a person without roles who sits in it; the path to one that is visible, or in which the
        viewer sits, is visible.
        """
        if self.hides_nobody:
            return _NOBODY
        hidden = self._hidden.get(view)
        if hidden is None:
            hidden = self._hidden[view] = self._find_hidden_departments(view)
        return hidden

    def as_seen(self, view: View, person: Person) -> Person:
        """A visible person without the places in departments, and the manager, that the viewer may not know of."""
        hidden = self.hidden_departments(view)
        manager = self._tree.people.get(person.manager) if person.manager else None
        if manager is not None and not self.hides_nobody and not self.sees(view, manager):
            person = msgspec.structs.replace(person, manager=None)
        if not hidden or not any(place.department in hidden for place in person.places):
            return person
        places = tuple(place for place in person.places if place.department not in hidden)
        return msgspec.structs.replace(person, places=places)

    def _make_view(self, viewer: UserId) -> View:
        tree = self._tree
        entry = tree.people.get(viewer)
        if not self._effects or entry is None:
            return View(0, _NOBODY, _NOBODY)
        below = set()
        for role, scope in tree.roles_of(viewer):
            if Permission.SEE_EVERYONE.value in role.permissions:
                if scope is None:
                    return View(0, _NOBODY, _NOBODY)
                below.add(scope)
        places = entry.person.places
        rules = self._viewers.of(viewer, places)
        rules &= ~(self._sparing & self._targets.of(viewer, places))
        if not rules:
            return View(0, _NOBODY, _NOBODY)
        return View(rules, frozenset(place.department for place in places), frozenset(below))

    def _may_look(self, viewer: UserId) -> bool:
        """People and the operator; nobody else asks."""
        return viewer in self._tree.people or viewer == OPERATOR

    def _effect(self, view: View, target: PersonEntry) -> Effect:
        common = view.rules and view.rules & self._bits(target)
        if not common:
            return Effect.ALLOW
        effect = self._effects[(common & -common).bit_length() - 1]
        if effect is Effect.ALLOW:
            return effect
        places = target.person.places
        if effect is Effect.HIDE and any(place.department in view.seats for place in places):
            return Effect.ALLOW
        if view.everyone_below and any(
            not view.everyone_below.isdisjoint(self._tree.path_of(place.department))
            for place in places
        ):
            return Effect.ALLOW
        return effect

    def _bits(self, target: PersonEntry) -> int:
        person = target.person
        if len(person.places) == 1 and person.id not in self._tree.grants:
            return self._targets.of_roleless(person.places[0].department)
        return self._targets.of(person.id, person.places)

    def _find_hidden_departments(self, view: View) -> frozenset[DepartmentId]:
        tree = self._tree
        visible: set[DepartmentId] = set()
        for department in tree.departments:
            if department not in visible and self._shows(view, department):
                visible.update(tree.path_of(department))
        return frozenset(tree.departments.keys() - visible)

    def _shows(self, view: View, department: DepartmentId) -> bool:
        common = view.rules & self._targets.of_roleless(department)
        if not common or self._effects[(common & -common).bit_length() - 1] is not Effect.HIDE:
            return True
        path = self._tree.path_of(department)
        return department in view.seats or not view.everyone_below.isdisjoint(path)
