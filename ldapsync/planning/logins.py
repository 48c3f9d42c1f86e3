# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets which login in a run: nobody gets what another keeps, and swapped logins change hands in an order that works. Pure."""

import unicodedata
from collections.abc import Iterable, Mapping

from msgspec import Struct

from protocol.ids import UserId


def fold_login(login: str) -> str:
    """The form in which the server compares logins: two that look alike but for case are one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", login).casefold())


class Claim(Struct, frozen=True, gc=False):
    """Somebody who is to have a login after the run."""

    user: UserId
    login: str
    """As it will be, folded."""
    is_new: bool


class Logins(Struct, frozen=True):
    """Who may change their login, and when."""

    refused: dict[UserId, UserId]
    """Claims that can't be met, and who has the login."""
    gives_way: frozenset[UserId]
    """Leavers whose login another takes over."""
    after: dict[UserId, UserId]
    """For somebody, who must have given up a login before."""
    parked: tuple[UserId, ...]
    """Who needs another login for a moment, because they stand in a circle."""


def settle(
    claims: Iterable[Claim],
    holders: Mapping[str, UserId],
    leavers: frozenset[UserId] | set[UserId],
    apart: frozenset[UserId] | set[UserId],
) -> Logins:
    """Decide on all claims at once. ``holders`` are the folded logins as they are; ``leavers`` keep their login unless somebody
    who is here already, or one of ``apart``, takes it over; everybody else who claims nothing keeps theirs."""
    claimed: dict[str, Claim] = {}
    losers: list[tuple[Claim, UserId]] = []
    for claim in claims:
        rival = claimed.setdefault(claim.login, claim)
        if rival is claim:
            continue
        # Who has it already keeps it; of two who have it not, the first.
        if holders.get(claim.login) == claim.user:
            claimed[claim.login] = claim
            claim, rival = rival, claim
        losers.append((claim, rival.user))
    settling = _Settling(claimed, holders, leavers, apart)
    for claim, rival_user in losers:
        settling.refuse(claim.user, rival_user)
    settling.look()
    return settling.settled()


class _Settling:
    def __init__(
        self,
        claimed: Mapping[str, Claim],
        holders: Mapping[str, UserId],
        leavers: frozenset[UserId] | set[UserId],
        apart: frozenset[UserId] | set[UserId],
    ) -> None:
        self._leavers = leavers
        self._apart = apart
        self._refused: dict[UserId, UserId] = {}
        self._contested = {
            claim.user: (claim, holder)
            for login, claim in claimed.items()
            if (holder := holders.get(login)) is not None and holder != claim.user
        }
        self._next = {holder: user for user, (_, holder) in self._contested.items()}
        self._claiming = {claim.user for claim in claimed.values()}

    def refuse(self, user: UserId, holder: UserId) -> None:
        """This claim can't be met; nor then the claim of whoever waits for the login that stays taken, and so on."""
        waiting: UserId | None = user
        while waiting is not None and waiting not in self._refused:
            self._refused[waiting] = holder
            self._contested.pop(waiting, None)
            self._claiming.discard(waiting)
            holder, waiting = waiting, self._next.get(waiting)

    def look(self) -> None:
        """Refuse what is claimed from those who keep it."""
        for user, (claim, holder) in list(self._contested.items()):
            if user in self._refused or holder in self._claiming:
                continue
            if holder in self._leavers and (not claim.is_new or user in self._apart):
                continue
            self.refuse(user, holder)

    def settled(self) -> Logins:
        """The outcome."""
        after = {user: holder for user, (_, holder) in self._contested.items()}
        gives_way = frozenset(after.values()) & frozenset(self._leavers)
        parked = []
        seen: set[UserId] = set()
        for start in after:
            path: set[UserId] = set()
            current: UserId | None = start
            while current is not None and current not in seen:
                seen.add(current)
                path.add(current)
                current = after.get(current)
            if current is not None and current in path:
                parked.append(current)
        for user in parked:
            # Whoever wants the login of somebody parked finds it free from the beginning.
            after = {one: holder for one, holder in after.items() if holder != user}
        return Logins(self._refused, gives_way, after, tuple(parked))


def in_order(users: Iterable[UserId], after: Mapping[UserId, UserId]) -> list[UserId]:
    """The same people, each behind the one who must go first. ``after`` has no circles."""
    ordered: dict[UserId, None] = {}
    for user in users:
        chain = [user]
        while (first := after.get(chain[-1])) is not None and first not in ordered:
            chain.append(first)
        for one in reversed(chain):
            ordered.setdefault(one)
    return list(ordered)
