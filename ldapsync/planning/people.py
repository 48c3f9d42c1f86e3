# SPDX-License-Identifier: GPL-3.0-or-later
"""People: who is who, and what changes for whom. Pure.

Call ``identify``, then ``settle_logins``, then ``actions``: each finds out what the next one stands on.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from ldapsync.actions import Action, Kind, Proposal, label
from ldapsync.current import PHOTO_MARK_BYTES
from ldapsync.matching import Matching
from ldapsync.planning import logins
from ldapsync.planning.fitting import flaw
from ldapsync.planning.ground import Ground
from ldapsync.planning.logins import Claim, Logins, fold_login
from ldapsync.refusals import DecisionRefused
from ldapsync.wanted import Anchor, Photo, SetAside, WantedPerson
from protocol.ids import DepartmentId, UserId
from protocol.limits import MAX_LOGIN_CHARS
from protocol.messages.admin import PutPerson
from protocol.messages.people import Place

_PARKED: Final = "~parked-"
_GONE: Final = "The complete reading has no entry with this id any more."
_NAMES: Final = ("login", "name")
_OTHERS: Final = ("other_name", "sort_key", "email", "phone", "custom", "manager")


class PeoplePlan:
    """The people of one source."""

    def __init__(
        self, ground: Ground, found_at: Mapping[Anchor, str], touched: frozenset[Anchor] | None
    ) -> None:
        """``found_at`` says where missing people are, as far as that is known; ``touched`` who may be another than before, None:
        everybody."""
        self.proposals: list[Proposal] = []
        self.parked: tuple[PutPerson, ...] = ()
        self._ground = ground
        self._found_at = found_at
        self._touched = touched
        self._unusable_photos = ground.current.unusable_photos()
        source = ground.wanted.source
        self._mine = {
            one.anchor: one
            for one in ground.current.people.values()
            if one.source == source and one.anchor
        }
        self._before: dict[Anchor, PutPerson | None] = {}
        """Whom entries are about; None: somebody new."""
        self._merged: set[Anchor] = set()
        self._gone: list[PutPerson] = []
        self._logins = Logins({}, frozenset(), {}, ())

    def identify(self) -> None:
        """Find out who is who: by anchor, by decisions, and by proposals that wait for one. Raises DecisionRefused."""
        ground = self._ground
        wanted, mine = ground.wanted, self._mine
        for anchor in {one.anchor for one in wanted.set_aside if one.anchor}:
            known = mine.get(anchor)
            if known is not None and anchor not in wanted.people:
                self._keep(known)
        self._before = {anchor: mine[anchor] for anchor in wanted.people if anchor in mine}
        self._merge()
        merged = {ground.decisions.merges[anchor] for anchor in self._merged}
        self._gone = [
            one
            for one in mine.values()
            if one.id not in ground.kept
            and one.id not in merged
            and (one.anchor not in wanted.people)
        ]
        ground.missing = {one.id for one in self._gone}
        self._propose(merged)
        self._set_unfit_aside()

    def _keep(self, person: PutPerson) -> None:
        self._ground.kept.add(person.id)
        self._ground.user_ids[person.anchor] = person.id

    def _merge(self) -> None:
        ground = self._ground
        taken = {one.id for one in self._before.values() if one is not None}
        for anchor, user in ground.decisions.merges.items():
            entry, person = ground.wanted.people.get(anchor), ground.current.people.get(user)
            if entry is None:
                raise DecisionRefused(f"The directory has no entry with the anchor {anchor}.")
            if person is None:
                raise DecisionRefused(
                    f"Nobody at the server has the id that {anchor} is to be merged with."
                )
            if (known := self._before.get(anchor)) is not None:
                raise DecisionRefused(f"The entry {entry.dn} is {label(known)} already.")
            if user in taken:
                raise DecisionRefused(
                    f"{label(person)} has an entry of their own in the directory."
                )
            taken.add(user)
            self._before[anchor] = person
            self._merged.add(anchor)

    def _propose(self, merged: Collection[UserId]) -> None:
        """Give new entries to nobody, or ask."""
        ground = self._ground
        new = [anchor for anchor in ground.wanted.people if anchor not in self._before]
        if not new:
            return
        source = ground.wanted.source
        matching = Matching(
            one
            for one in ground.current.people.values()
            if (one.source != source or one.id in ground.missing) and one.id not in merged
        )
        for anchor in new:
            entry = ground.wanted.people[anchor]
            candidates = () if anchor in ground.decisions.apart else matching.candidates(entry)
            if not candidates:
                self._before[anchor] = None
                continue
            login = fold_login(entry.login)
            may_be_new = not any(
                fold_login(one.login) == login and one.user not in ground.missing
                for one in candidates
            )
            self.proposals.append(
                Proposal(anchor, entry.dn, entry.login, entry.name, candidates, may_be_new)
            )

    def look_at_everybody(self) -> None:
        """More than was said may be different."""
        self._touched = None

    def _present_people(self) -> Iterator[tuple[Anchor, PutPerson | None]]:
        """Entries with whom they are about, but for those who are known to be as they should."""
        touched = self._touched
        if touched is None:
            yield from self._before.items()
        else:
            yield from ((one, self._before[one]) for one in touched if one in self._before)

    def settle_logins(self) -> None:
        """Find out who can have the login that the directory says, and who has to stay as they are."""
        ground = self._ground
        claims = []
        for anchor, before in self._before.items():
            login = ground.wanted.people[anchor].login
            if before is None:
                id = ground.number(anchor)
                claims.append(Claim(id, fold_login(login), is_new=True))
            elif before.login != login:
                id = before.id
                claims.append(Claim(id, fold_login(login), is_new=False))
            else:
                id = before.id
            ground.user_ids[anchor] = id
        if not claims:
            return
        holders = {fold_login(one.login): one.id for one in ground.current.people.values()}
        apart = {ground.user_ids[one] for one in ground.decisions.apart if one in self._before}
        self._logins = logins.settle(claims, holders, ground.missing, apart)
        for anchor in [
            anchor for anchor in self._before if ground.user_ids[anchor] in self._logins.refused
        ]:
            self._refuse_login(anchor)
        self.parked = tuple(
            msgspec.structs.replace(ground.current.people[user], login=f"{_PARKED}{user.hex()}")
            for user in self._logins.parked
        )

    def _refuse_login(self, anchor: Anchor) -> None:
        entry = self._ground.wanted.people[anchor]
        holder = self._logins.refused[self._ground.user_ids[anchor]]
        known = self._ground.current.people.get(holder)
        if known is not None:
            whose = f"that of {label(known)} at the server"
        else:
            other = self._ground.new_anchors.get(holder, "")
            whose = f"that of {self._ground.wanted.people[other].dn}, too" if other else "taken"
        self._set_aside(
            anchor,
            f"Its login {entry.login} is {whose}.",
            "Give one of the two another login.",
        )

    def _set_aside(self, anchor: Anchor, reason: str, mend: str) -> None:
        """Leave the person as they are, or out."""
        ground = self._ground
        entry = ground.wanted.people[anchor]
        ground.set_aside.append(SetAside(entry.dn, reason, mend, anchor))
        before = self._before.pop(anchor)
        self._merged.discard(anchor)
        ground.user_ids.pop(anchor, None)
        if before is not None:
            ground.kept.add(before.id)
            ground.user_ids[anchor] = before.id

    def _set_unfit_aside(self) -> None:
        """Set aside what the server would refuse, so that one bad entry doesn't stop the others."""
        entries = self._ground.wanted.people
        for anchor, before in [*self._present_people()]:
            if _is_known(entries[anchor], before):
                continue
            if (found := flaw(entries[anchor])) is not None:
                self._set_aside(anchor, *found)

    def actions(self, leaving: Collection[DepartmentId]) -> list[Action]:
        """What changes for people, in an order in which logins and managers are free and there."""
        entries = self._ground.wanted.people
        found: dict[UserId, Action] = {}
        newcomers = [anchor for anchor, before in self._before.items() if before is None]
        if newcomers:
            self.look_at_everybody()  # somebody may have waited for them to come: their reports
        for anchor in self._managers_first(newcomers):
            entry = entries[anchor]
            after = self._after(entry, None)
            photo = self._photo_of(entry)
            found[after.id] = Action(
                (Kind.CREATE,), anchor, None, after, entry.why, entry.dn, photo, photo is not None
            )
        for person in self._gone:
            if (action := self._missing(person, leaving)) is not None:
                found[person.id] = action
        for anchor, before in self._present_people():
            if before is not None and (action := self._present(anchor, before)) is not None:
                found[before.id] = action
        if not self._logins.after:
            return list(found.values())
        return [found[user] for user in logins.in_order(found, self._logins.after)]

    def _managers_first(self, anchors: list[Anchor]) -> list[Anchor]:
        """New people, each behind their manager where that is possible; managers may stand in circles."""
        entries = self._ground.wanted.people
        waiting = set(anchors)
        ordered: dict[Anchor, None] = {}
        for anchor in anchors:
            chain: list[Anchor] = []
            current: Anchor | None = anchor
            while current is not None and current in waiting:
                waiting.discard(current)
                chain.append(current)
                current = entries[current].manager
            ordered.update(dict.fromkeys(reversed(chain)))
        return list(ordered)

    def _present(self, anchor: Anchor, before: PutPerson) -> Action | None:
        entry = self._ground.wanted.people[anchor]
        after = self._after(entry, before)
        photo = self._photo_of(entry)
        digest = photo.digest if photo is not None else b""
        is_photo_changed = digest != before.photo
        if before == after and not is_photo_changed:
            return None
        kinds = _kinds(before, after, is_photo_changed=is_photo_changed)
        if anchor in self._merged:
            kinds = (Kind.MERGE, *kinds)
        photo = photo if is_photo_changed else None
        return Action(
            kinds or (Kind.UPDATE,),
            anchor,
            before,
            after,
            entry.why,
            entry.dn,
            photo,
            is_photo_changed,
        )

    def _photo_of(self, entry: WantedPerson) -> Photo | None:
        photo = entry.photo
        if photo is None or photo.digest[:PHOTO_MARK_BYTES] in self._unusable_photos:
            return None
        return photo

    def _after(self, entry: WantedPerson, before: PutPerson | None) -> PutPerson:
        ground = self._ground
        ids, user_ids = ground.department_ids, ground.user_ids
        manager = user_ids.get(entry.manager) if entry.manager is not None else None
        id = before.id if before is not None else user_ids[entry.anchor]
        return PutPerson(
            id,
            entry.login,
            entry.name,
            entry.other_name,
            entry.sort_key,
            entry.email,
            entry.phone,
            tuple(
                [
                    Place(ids[place.department], place.title, place.order, place.is_head)
                    for place in entry.places
                    if place.department in ids
                ]
            ),
            entry.custom,
            before.is_disabled if before is not None else False,
            before.is_bot if before is not None else False,
            ground.wanted.source,
            entry.anchor,
            manager if manager != id else None,
            entry.is_disabled,
            before.photo if before is not None else b"",
        )

    def _missing(self, before: PutPerson, leaving: Collection[DepartmentId]) -> Action | None:
        login = before.login
        if before.id in self._logins.gives_way:
            login = self._former(before)
        after = msgspec.structs.replace(
            before,
            login=login,
            is_off_at_source=True,
            places=tuple(place for place in before.places if place.department not in leaving),
            manager=before.manager,
        )
        if before == after:
            return None
        why = {
            "": self._found_at.get(before.anchor, _GONE),
            "login": "Somebody else has the login now.",
            "places": "The directory has the department no more.",
        }
        return Action(_kinds(before, after), before.anchor, before, after, why)

    def _former(self, person: PutPerson) -> str:
        """A login for somebody who left and whose login another has: nobody else can have this one."""
        mark = f"~left-{person.id.hex()}"
        return person.login[: MAX_LOGIN_CHARS - len(mark)].rstrip() + mark


def _is_known(entry: WantedPerson, before: PutPerson | None) -> bool:
    """Whether the server has taken all texts of the entry already."""
    return (
        before is not None
        and entry.login == before.login
        and entry.name == before.name
        and entry.other_name == before.other_name
        and entry.sort_key == before.sort_key
        and entry.email == before.email
        and entry.phone == before.phone
        and entry.custom == before.custom
        and [place.title for place in entry.places] == [place.title for place in before.places]
    )


def _kinds(
    before: PutPerson, after: PutPerson, *, is_photo_changed: bool = False
) -> tuple[Kind, ...]:
    kinds = []
    if before.is_off_at_source != after.is_off_at_source:
        kinds.append(Kind.DISABLE if after.is_off_at_source else Kind.ENABLE)
    has_other_places = before.places != after.places
    is_moved = has_other_places and (
        {place.department for place in before.places}
        != {place.department for place in after.places}
    )
    if is_moved:
        kinds.append(Kind.MOVE)
    if any(getattr(before, name) != getattr(after, name) for name in _NAMES):
        kinds.append(Kind.RENAME)
    if (
        is_photo_changed
        or (has_other_places and _seats(before) != _seats(after))
        or any(getattr(before, name) != getattr(after, name) for name in _OTHERS)
    ):
        kinds.append(Kind.UPDATE)
    return tuple(kinds)


def _seats(person: PutPerson) -> list[tuple[str, int, bool]]:
    return [(place.title, place.order, place.is_head) for place in person.places]
