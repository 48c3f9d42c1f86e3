# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins change hands so that at no moment two people have the same one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ldapsync.planning.logins import Claim, fold_login, in_order, settle

USERS = [bytes([number]) for number in range(8)]
LOGINS = [f"l{number}" for number in range(10)]


@given(
    st.permutations(LOGINS), st.lists(st.sampled_from(LOGINS), min_size=8, max_size=8), st.data()
)
def test_every_step_is_allowed(held: list[str], wanted: list[str], data: st.DataObject) -> None:
    """Whatever is claimed: who is not refused gets their login, in an order in which it is free."""
    present = data.draw(st.integers(0, 8))
    holders = dict(zip(held, USERS[:present], strict=False))
    leavers = data.draw(st.frozensets(st.sampled_from(USERS)))
    claims = [
        Claim(user, login, is_new=number >= present)
        for number, (user, login) in enumerate(zip(USERS, wanted, strict=True))
        if user not in leavers and holders.get(login) != user
    ]
    found = settle(claims, holders, leavers & set(USERS[:present]), frozenset())
    logins = {user: login for login, user in holders.items()}
    for user in found.parked:
        logins[user] = f"parked {user.hex()}"
    targets = {one.user: one.login for one in claims if one.user not in found.refused}
    targets |= {user: f"left {user.hex()}" for user in found.gives_way}
    for user in in_order(targets, found.after):
        logins[user] = targets[user]
        assert len(set(logins.values())) == len(logins)
    assert not found.refused.keys() & targets.keys()
    for user in found.refused:
        assert logins.get(user) == {one: login for login, one in holders.items()}.get(user)


def test_logins_that_look_alike_are_one() -> None:
    assert fold_login("JOSE\u0301") == fold_login("jos\u00e9")
    assert fold_login("STRASSE") == fold_login("straße")
