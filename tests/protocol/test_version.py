# SPDX-License-Identifier: GPL-3.0-or-later
"""Two programs speak the newest version that both know, or part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.version import OLDEST_VERSION, OUR_CAPABILITIES, VERSION, agree_on_version


@pytest.mark.parametrize(
    ("oldest", "newest", "agreed"),
    [
        (VERSION, VERSION, VERSION),
        (0, VERSION, VERSION),
        (VERSION, VERSION + 9, VERSION),
        (VERSION + 1, VERSION + 9, None),
        (0, OLDEST_VERSION - 1, None),
        (VERSION + 1, VERSION, None),  # nonsense, and no agreement
    ],
)
def test_agreement(oldest: int, newest: int, agreed: int | None) -> None:
    assert agree_on_version(oldest, newest) == agreed


@given(st.integers(0, 20), st.integers(0, 20))
def test_what_is_agreed_on_is_spoken_by_both(oldest: int, newest: int) -> None:
    agreed = agree_on_version(oldest, newest)
    if agreed is not None:
        assert max(oldest, OLDEST_VERSION) <= agreed <= min(newest, VERSION)


def test_our_capabilities_are_words() -> None:
    assert OUR_CAPABILITIES == ("zstd",)
