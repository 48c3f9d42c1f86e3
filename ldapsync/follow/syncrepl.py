# SPDX-License-Identifier: GPL-3.0-or-later
"""Following OpenLDAP by content synchronisation (RFC 4533, refreshAndPersist): changes arrive as they happen."""

import time
import uuid
from collections.abc import Mapping
from typing import Final

from ldapsync import ber
from ldapsync.answers import Answer, Done, Entry, Intermediate
from ldapsync.config import DirectoryConfig
from ldapsync.controls import synchronising
from ldapsync.directory import Directory
from ldapsync.failures import ReadFailed
from ldapsync.follow.change import Change, Sorter
from ldapsync.opening import open_directory
from ldapsync.questions import EVERY_ENTRY
from ldapsync.wanted import Anchor

COOKIE: Final = "syncrepl.cookie"
"""The mark."""
_STATE: Final = "1.3.6.1.4.1.4203.1.9.1.2"
_INFO: Final = "1.3.6.1.4.1.4203.1.9.1.4"
_REFRESH_REQUIRED: Final = 4096
_DELETED: Final = 3
_PRESENT: Final = 0

_QUIET_S: Final = 0.1
"""Silence after which a burst of changes counts as one."""
_BURST_S: Final = 1.0
"""The longest burst that is waited for."""


class SyncreplFollower:
    """One search that never ends, and a second connection by which its news are looked at."""

    def __init__(self, config: DirectoryConfig, marks: Mapping[str, bytes]) -> None:
        self._stream = open_directory(config)
        try:
            self._questions = open_directory(config)
        except BaseException:
            self._stream.close()
            raise
        self._sorter = Sorter(config, self._questions, "entryUUID")
        self._cookie = marks.get(COOKIE) or _from_now(self._stream, config.base)
        self._is_full = not self._cookie
        self._is_refreshing = True
        self._changed: set[Anchor] = set()
        self._gone: set[Anchor] = set()
        asked = [synchronising(self._cookie)]
        self._number = self._stream.send(config.base, EVERY_ENTRY, ["1.1"], controls=asked)

    @property
    def marks(self) -> Mapping[str, bytes]:
        """The cookie of what has been handed out."""
        return {COOKIE: self._cookie} if self._cookie else {}

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._questions.close()

    def wait(self, timeout_s: float) -> Change | None:
        """See Follower. What came before the first answer that is no longer history counts as one change."""
        deadline = time.monotonic() + timeout_s
        burst_end: float | None = None
        while True:
            now = time.monotonic()
            end = deadline if burst_end is None else min(burst_end, now + _QUIET_S)
            if now >= end and not self._is_refreshing:
                break
            try:
                self._take_arrived(max(0.01, end - now))
            except TimeoutError:
                if time.monotonic() >= deadline or burst_end is not None:
                    break
            if (
                burst_end is None
                and (self._changed or self._gone or self._is_full)
                and not self._is_refreshing
            ):
                burst_end = time.monotonic() + _BURST_S
        return self._collected()

    def _collected(self) -> Change | None:
        if self._is_refreshing:
            return None  # half of a history is none
        changed, gone = self._changed - self._gone, self._gone
        is_full, self._is_full = self._is_full, False
        self._changed, self._gone = set(), set()
        return Change(is_full=True) if is_full else self._sorter.change(changed, gone)

    def _take_arrived(self, timeout_s: float) -> None:
        for number, answer in self._stream.arrived(timeout_s):
            if number != self._number:
                continue
            try:
                self._take(answer)
            except ValueError as error:
                raise ReadFailed(f"The directory's news are garbled: {error}.") from error

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Entry):
            self._take_entry(answer)
        elif isinstance(answer, Intermediate) and answer.name == _INFO:
            self._take_info(answer.value)
        elif isinstance(answer, Done):
            self._end(answer)

    def _take_entry(self, entry: Entry) -> None:
        """Sync State: what happened to the entry."""
        (_, parts), *_ = ber.elements(entry.controls.get(_STATE, b""))
        (_, state), (_, octets), *more = ber.elements(parts)
        anchor = str(uuid.UUID(bytes=octets))
        kind = ber.to_number(state)
        if kind == _DELETED:
            self._gone.add(anchor)
            self._changed.discard(anchor)
        elif kind != _PRESENT:
            self._changed.add(anchor)
            self._gone.discard(anchor)
        if more:
            self._cookie = more[0][1]

    def _take_info(self, value: bytes) -> None:
        """Sync Info: how far it is, and what went while nobody listened."""
        ((tag, content),) = ber.elements(value)
        if tag == 0x80:
            self._cookie = content
            return
        parts = list(ber.elements(content))
        self._cookie = next((part for kind, part in parts if kind == ber.OCTETS), self._cookie)
        flag = next((part != b"\x00" for kind, part in parts if kind == ber.BOOLEAN), None)
        if tag == 0xA3:
            ids = {
                str(uuid.UUID(bytes=octets))
                for kind, some in parts
                if kind == ber.SET
                for _, octets in ber.elements(some)
            }
            if flag:
                self._gone |= ids
            else:
                self._is_full = True  # these are still there, and what is not named is gone
            return
        if tag == 0xA2 and (self._changed or self._is_full):
            # All that changed and all that stayed were named; what was not is gone.
            self._is_full = True
        if flag is not False:
            self._is_refreshing = False

    def _end(self, done: Done) -> None:
        if done.code == _REFRESH_REQUIRED:
            raise ReadFailed(
                "The directory does not remember that far back; a full read is needed."
            )
        raise ReadFailed(
            f"The directory ends the synchronisation: result {done.code} {done.message}. It needs the overlay"
            " syncprov, and the account the right to read everything; or set follow = modify_timestamp."
        )


def _from_now(directory: Directory, base: str) -> bytes:
    """A cookie that stands for the present; empty when the directory does not say which that is."""
    entry = directory.read(base, ["contextCSN"])
    numbers = entry.attributes.get("contextcsn", []) if entry else []
    return b"rid=000,csn=" + b";".join(sorted(numbers)) if numbers else b""
