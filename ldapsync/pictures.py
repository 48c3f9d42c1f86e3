# SPDX-License-Identifier: GPL-3.0-or-later
"""The portraits that a plan sets: fetched when it is carried out, re-encoded, and kept in a temporary file until they are sent."""

import hashlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from ldapsync import values
from ldapsync.actions import Plan
from ldapsync.config import DirectoryConfig
from ldapsync.names import any_of, equals
from ldapsync.opening import open_directory
from ldapsync.photos import reencoded
from ldapsync.refusals import PlanStale

_ASKED_AT_ONCE: Final = 50
_THREADS: Final = 4
"""Pillow works outside of Python's lock."""
_IN_MEMORY_BYTES: Final = 16 << 20


class Pictures:
    """Portraits by the digest of their originals. Use it in a ``with`` statement."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed in __exit__
        self._places: dict[bytes, tuple[int, int]] = {}
        self.unusable: set[bytes] = set()
        """Originals that are no pictures."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def fetch(self, plan: Plan, directory: DirectoryConfig) -> None:
        """Get what the plan sets. Raises PlanStale when a portrait is another one by now, and what opening and searching raise."""
        wanted = {
            action.anchor: action
            for action in plan.actions
            if action.is_photo_changed and action.photo is not None
        }
        if not wanted:
            return
        found = set(self._fetched(list(wanted), directory))
        for action in wanted.values():
            if action.photo is not None and action.photo.digest not in found:
                raise PlanStale(f"The photo of {action.dn} was changed since it was planned.")

    def _fetched(self, anchors: list[str], directory: DirectoryConfig) -> Iterator[bytes]:
        name, attribute = directory.people.anchor, directory.people.photo
        with (
            open_directory(directory) as opened,
            ThreadPoolExecutor(_THREADS, "lanyard-pictures") as threads,
        ):
            for at in range(0, len(anchors), _ASKED_AT_ONCE):
                some = anchors[at : at + _ASKED_AT_ONCE]
                asked = any_of(*(equals(name, values.anchor_octets(name, one)) for one in some))
                originals: dict[bytes, bytes] = {}
                for base in directory.people_bases:
                    for entry in opened.search(base, asked, [attribute]):
                        for octets in entry.attributes.get(attribute.lower(), []):
                            originals[hashlib.sha256(octets).digest()] = octets
                jpegs = threads.map(reencoded, originals.values())
                for digest, jpeg in zip(originals, jpegs, strict=True):
                    self._keep(digest, jpeg)
                    yield digest

    def _keep(self, digest: bytes, jpeg: bytes) -> None:
        if not jpeg:
            self.unusable.add(digest)
            return
        self._file.seek(0, 2)
        self._places[digest] = (self._file.tell(), len(jpeg))
        self._file.write(jpeg)

    def jpeg(self, digest: bytes) -> bytes:
        """The portrait; empty for one that can't be used."""
        place = self._places.get(digest)
        if place is None:
            return b""
        self._file.seek(place[0])
        return self._file.read(place[1])
