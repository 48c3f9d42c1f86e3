# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of several conversations, mixed as they are in life: every run of numbers is found, settled or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store import cursors, events, rooms
from server.store.events import CREATED, INDEXED_EVERY, TEXT, BatchRefused, EventRow
from server.store.migrate import migrate
from server.store.rooms import ConversationRow

COUNT = 3 * INDEXED_EVERY + 7
BODY_BYTES = 100


def make_id(stamp: int) -> bytes:
    return stamp.to_bytes(16, "big")


def row(stamp: int, previous: int, conversation: int, seq: int, kind: int = TEXT) -> EventRow:
    body = bytes([seq % 256]) * BODY_BYTES
    id = make_id(stamp)
    return (stamp, previous or None, conversation, seq, id, 0, stamp, kind, seq - 1, body)


def opened(path: Path) -> Any:
    migrate(path)
    db = peewee.SqliteDatabase(str(path), pragmas={"foreign_keys": 1, "synchronous": 0})
    db.connect()
    return db


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[int, list[int]]]]:
    """Two conversations whose events take turns, one of them with more; and the stamps of each by number."""
    db = opened(tmp_path_factory.mktemp("store") / "lanyard.db")
    stamps: dict[int, list[int]] = {}
    stamp = 0
    for name in (b"a", b"b"):
        stamp += 1
        conversation = ConversationRow(0, name * 16, "group", "", None, False)
        key = rooms.create(db, conversation, 0, [], [row(stamp, 0, 0, 1, CREATED)])
        stamps[key] = [stamp]
    one, other = stamps
    batch = []
    for number in range(2, COUNT + 1):
        for key in (one,) if number % 3 else (one, other):
            stamp += 1
            batch.append(row(stamp, stamps[key][-1], key, len(stamps[key]) + 1))
            stamps[key].append(stamp)
    events.insert_events(db, batch)
    yield db, stamps
    db.close()


@given(data=st.data())
def test_every_run_is_found_up_or_down(
    stored: tuple[Any, dict[int, list[int]]], data: st.DataObject
) -> None:
    db, stamps = stored
    key = data.draw(st.sampled_from(sorted(stamps)))
    own = stamps[key]
    low = data.draw(st.integers(1, len(own)))
    high = data.draw(st.integers(low - 1, len(own)))
    fit = data.draw(st.integers(1, 50))
    up = events.after(db, key, own[-1], low, high, fit * BODY_BYTES)
    down = events.before(db, key, own[-1], low, high, fit * BODY_BYTES)
    wanted = list(range(low, high + 1))
    assert [event.seq for event in up] == wanted[:fit]
    assert [event.seq for event in down] == wanted[-fit:]
    for event in (*up, *down):
        assert (event.stamp, event.ordinal) == (own[event.seq - 1], event.seq - 1)
        assert event.body == bytes([event.seq % 256]) * BODY_BYTES
    if wanted:
        assert events.ordinal_at(db, key, own[-1], high) == high - 1


def test_the_newest_since_a_stamp(stored: tuple[Any, dict[int, list[int]]]) -> None:
    db, stamps = stored
    own = stamps[min(stamps)]
    found = events.newest(db, own[-1], 1, 20, 1 << 20, since=own[-4])
    assert [event.stamp for event in found] == own[-3:]
    assert len(events.newest(db, own[-1], 1, 20, 1)) == 1, "one comes however large it is"


class TestChain:
    @pytest.fixture
    def db(self, tmp_path: Path) -> Iterator[Any]:
        db = opened(tmp_path / "lanyard.db")
        conversation = ConversationRow(0, b"a" * 16, "group", "", None, False)
        rooms.create(db, conversation, 0, [], [row(1, 0, 0, 1, CREATED)])
        yield db
        db.close()

    def test_what_follows_nothing_is_refused(self, db: Any) -> None:
        with pytest.raises(BatchRefused), db.atomic():
            events.insert_events(db, [row(2, 1, 1, 2), row(9, 8, 1, 4)])
        assert events.head_of(db, 1) == (1, 0, 1)

    def test_an_id_is_settled_once(self, db: Any) -> None:
        events.insert_events(db, [row(2, 1, 1, 2)])
        assert events.find_by_id(db, make_id(2)) is None
        events.settle(db, 2)
        events.settle(db, 2)
        found = events.find_by_id(db, make_id(2))
        assert found is not None
        assert (found.conversation, found.event.seq) == (1, 2)
        again = (3, 2, 1, 3, make_id(2), *row(3, 2, 1, 3)[5:])
        with pytest.raises(BatchRefused):
            events.insert_events(db, [again])

    def test_a_start_settles_what_a_crash_left(self, db: Any) -> None:
        events.insert_events(db, [row(stamp, stamp - 1, 1, stamp) for stamp in range(2, 40)])
        assert cursors.mend(db) == (39, 39)
        assert events.settled_stamp(db) == 39
        assert events.head_of(db, 1) == (39, 38, 39)
        loaded = rooms.load(db, b"a" * 16)
        assert loaded is not None
        assert loaded.head[:3] == (39, 38, 39)
        assert cursors.mend(db) == (39, 39)
