# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a directory by asking again and again for what changed: by uSNChanged at Active Directory, by modifyTimestamp elsewhere.

Entries that went are not seen by modifyTimestamp, and by uSNChanged only where the account may read the tombstones.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import structs

from ldapsync import values
from ldapsync.answers import Entry
from ldapsync.config import DirectoryConfig
from ldapsync.controls import SHOW_DELETED, Control
from ldapsync.failures import ReadFailed
from ldapsync.follow.change import Change, Sorter
from ldapsync.names import all_of, at_least, equals
from ldapsync.opening import open_directory
from ldapsync.wanted import Anchor

USN: Final = "usn.highest"
SERVER: Final = "usn.server"
"""The marks: numbers count at one server only."""
TIMESTAMP: Final = "modify_timestamp.last"

_OVERLAP_MS: Final = 2_000
"""Timestamps are whole seconds, and clocks of servers that replicate differ."""
_HINDSIGHT_MS: Final = 3_600_000
"""How far back the first question goes: our clock need not be the directory's."""


class Poll:
    """Asks in intervals; who asks what is up to the kinds below."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._config = config
        self._directory = open_directory(config)
        self._sorter = Sorter(config, self._directory, config.people.anchor)
        self._next_at = time.monotonic() + config.poll_every_s

    def close(self) -> None:
        """Hang up."""
        self._directory.close()

    def wait(self, timeout_s: float) -> Change | None:
        """See Follower."""
        deadline = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            if now < self._next_at:
                time.sleep(max(0.0, min(self._next_at, deadline) - now))
            if time.monotonic() < self._next_at:
                return None
            self._next_at = time.monotonic() + self._config.poll_every_s
            change = self.poll()
            if change is not None or time.monotonic() >= deadline:
                return change

    def poll(self) -> Change | None:
        """Ask once."""
        return None

    def _ids(self, search_filter: str, base: str, *controls: Control) -> dict[Anchor, Entry]:
        """Entries that match, by id, with their times only."""
        attributes = [self._config.people.anchor, "modifyTimestamp"]
        found = self._directory.search(base, search_filter, attributes, more=controls)
        return {anchor: entry for entry in found if (anchor := self._anchor_of(entry)) is not None}

    def _anchor_of(self, entry: Entry) -> Anchor | None:
        name = self._config.people.anchor
        return values.anchor_of(name, entry.attributes.get(name.lower(), [b""])[0])


class TimestampFollower(Poll):
    """By modifyTimestamp, which counts whole seconds: what changed in the last ones is looked at again, and compared by content."""

    def __init__(self, config: DirectoryConfig, marks: Mapping[str, bytes], now_ms: int) -> None:
        super().__init__(config)
        self._stamps: dict[Anchor, bytes] = {}
        self._contents: dict[Anchor, bytes] = {}
        self._last_ms = int(marks.get(TIMESTAMP, b"0")) or now_ms - _HINDSIGHT_MS
        if not marks.get(TIMESTAMP):
            self._asked()  # what it was like until now is no news
            self._news_among(self._sorter.people(self._asked()))

    @property
    def marks(self) -> Mapping[str, bytes]:
        """The latest time that was seen."""
        return {TIMESTAMP: str(self._last_ms).encode()}

    def poll(self) -> Change | None:
        """See Poll."""
        before = self._stamps
        asked = self._asked()
        fresh = {each for each, stamp in asked.items() if before.get(each) != stamp}
        change = self._sorter.change(fresh)
        if change is not None and change.is_full:
            return change
        again = self._sorter.people(asked.keys() - fresh)
        people = self._news_among([*(change.people if change else ()), *again])
        if people or (change is not None and (change.gone or change.has_groups)):
            return structs.replace(change or Change(), people=tuple(people))
        return None

    def _asked(self) -> dict[Anchor, bytes]:
        """Entries that changed lately, with the time."""
        since = values.to_generalized_time(self._last_ms - _OVERLAP_MS)
        self._stamps = {}
        for anchor, entry in self._ids(
            at_least("modifyTimestamp", since), self._config.base
        ).items():
            stamp = entry.attributes.get("modifytimestamp", [b""])[0]
            self._stamps[anchor] = stamp
            with contextlib.suppress(ValueError):
                self._last_ms = max(self._last_ms, values.generalized_time_ms(stamp))
        return self._stamps

    def _news_among(self, people: Iterable[Entry]) -> list[Entry]:
        """Those who are not as they were when they were last seen."""
        news = []
        contents: dict[Anchor, bytes] = {}
        for entry in people:
            anchor = self._anchor_of(entry)
            content = hashlib.sha256(repr((entry.dn, sorted(entry.attributes.items()))).encode())
            if anchor is not None:
                contents[anchor] = content.digest()
                if self._contents.get(anchor) != contents[anchor]:
                    news.append(entry)
        self._contents = contents
        return news


class UsnFollower(Poll):
    """By uSNChanged. Numbers count at one server: at another, everything has to be read anew."""

    def __init__(self, config: DirectoryConfig, marks: Mapping[str, bytes]) -> None:
        super().__init__(config)
        self._server, highest = self._state()
        is_same = marks.get(SERVER) == self._server and USN in marks
        self._highest = int(marks[USN]) if is_same else highest
        self._is_full = (bool(marks) and not is_same) or self._highest > highest
        """A number that went back means a server restored from a backup."""

    @property
    def marks(self) -> Mapping[str, bytes]:
        """The server, and the number up to which its changes were handed out."""
        return {SERVER: self._server, USN: str(self._highest).encode()}

    def poll(self) -> Change | None:
        """See Poll."""
        server, highest = self._state()
        if server != self._server or highest < self._highest or self._is_full:
            self._server, self._highest, self._is_full = server, highest, False
            return Change(is_full=True)
        if highest == self._highest:
            return None
        since = at_least("uSNChanged", str(self._highest + 1))
        changed = self._ids(since, self._config.base).keys()
        tombs = all_of(equals("isDeleted", "TRUE"), since)
        gone = self._ids(tombs, self._config.base, Control(SHOW_DELETED)).keys()
        self._highest = highest
        return self._sorter.change(changed - gone, gone)

    def _state(self) -> tuple[bytes, int]:
        root = self._directory.read("", ["highestCommittedUSN", "dsServiceName"])
        if root is None or not root.attributes.get("highestcommittedusn"):
            raise ReadFailed(
                "The directory keeps no update numbers; set follow = modify_timestamp."
            )
        server = root.attributes.get("dsservicename", [b""])[0]
        return server, int(root.attributes["highestcommittedusn"][0])
