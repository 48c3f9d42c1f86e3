# SPDX-License-Identifier: GPL-3.0-or-later
"""Following Active Directory by DirSync: it keeps count of every object of a naming context, deleted ones too."""

from collections.abc import Mapping
from typing import Final

from ldapsync import ber, values
from ldapsync.answers import Done, Entry
from ldapsync.config import DirectoryConfig
from ldapsync.controls import DIRSYNC, directory_changes
from ldapsync.failures import ReadFailed
from ldapsync.follow.change import Change
from ldapsync.follow.polling import Poll
from ldapsync.outcomes import demand_success
from ldapsync.people import PersonRules
from ldapsync.questions import EVERY_ENTRY
from ldapsync.values import is_true
from ldapsync.wanted import Anchor

COOKIE: Final = "dirsync.cookie"
"""The mark."""
_OF_ANY: Final = ("ou", "name", "parentGUID", "isDeleted")
"""Attributes by which a rename, a move and a removal are noticed: only changes of what is asked for are told."""
_PART_BYTES: Final = 1 << 20


class DirSyncFollower(Poll):
    """Asks in intervals for what DirSync has. The first time that is everything, which is passed over."""

    def __init__(self, config: DirectoryConfig, marks: Mapping[str, bytes]) -> None:
        super().__init__(config)
        self._context = self._naming_context()
        self._attributes = [*PersonRules(config).attributes, *_OF_ANY, *config.groups.member]
        self._cookie = marks.get(COOKIE, b"")
        if not self._cookie:
            self._news()

    @property
    def marks(self) -> Mapping[str, bytes]:
        """The cookie of what has been handed out."""
        return {COOKIE: self._cookie} if self._cookie else {}

    def _naming_context(self) -> str:
        """DirSync works on a whole naming context only."""
        root = self._directory.read("", ["defaultNamingContext"])
        octets = root.attributes.get("defaultnamingcontext") if root else None
        return octets[0].decode() if octets else self._config.base

    def poll(self) -> Change | None:
        """See Poll."""
        changed, gone = self._news()
        return self._sorter.change(changed - gone, gone)

    def _news(self) -> tuple[set[Anchor], set[Anchor]]:
        changed: set[Anchor] = set()
        gone: set[Anchor] = set()
        while True:
            number = self._directory.send(
                self._context,
                EVERY_ENTRY,
                self._attributes,
                controls=[directory_changes(self._cookie, _PART_BYTES)],
            )
            has_more = False
            for answer in self._directory.receive(number):
                if isinstance(answer, Entry):
                    self._note(answer, changed, gone)
                elif isinstance(answer, Done):
                    demand_success(answer, self._context, EVERY_ENTRY)
                    has_more = self._step(answer)
            if not has_more:
                return changed, gone

    def _note(self, entry: Entry, changed: set[Anchor], gone: set[Anchor]) -> None:
        octets = entry.attributes.get("objectguid", [b""])[0]
        anchor = values.anchor_of("objectGUID", octets)
        if anchor is not None:
            is_deleted = is_true(entry.attributes.get("isdeleted", [b""])[0])
            (gone if is_deleted else changed).add(anchor)

    def _step(self, done: Done) -> bool:
        """Take the cookie; whether more is to come at once."""
        try:
            ((_, content),) = ber.elements(done.controls.get(DIRSYNC, b""))
            (_, more), _, (_, cookie) = ber.elements(content)
        except ValueError as error:
            raise ReadFailed("The directory does not know DirSync; set follow = usn.") from error
        self._cookie = cookie
        return ber.to_number(more) != 0
