# SPDX-License-Identifier: GPL-3.0-or-later
"""Which attribute a field is read from: the first of a list that an entry has, or several put together."""

import re
from collections.abc import Iterable
from typing import Final

from ldapsync.values import text_of

_BRACES: Final = re.compile(r"\{([^{}]+)\}")

Attributes = dict[str, list[bytes]]


class Pick:
    """One field's sources, as the configuration lists them."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.sources = tuple(sources)
        self._tries = [_Try(source) for source in self.sources]

    @property
    def attributes(self) -> list[str]:
        """The attributes that have to be read."""
        return [name for each in self._tries for name in each.names]

    def of(self, attributes: Attributes) -> str:
        """The value; empty when no source has one."""
        for each in self._tries:
            if value := each.value(attributes):
                return value
        return ""

    def source_of(self, attributes: Attributes) -> str:
        """Which source it comes from."""
        return next((each.source for each in self._tries if each.value(attributes)), "")


class _Try:
    def __init__(self, source: str) -> None:
        self.source = source
        self.names = _BRACES.findall(source) or [source]
        self._is_template = "{" in source
        self._name = source.lower()

    def value(self, attributes: Attributes) -> str:
        if not self._is_template:
            return _first(attributes.get(self._name))
        values = {name: _first(attributes.get(name.lower())) for name in self.names}
        if not all(values.values()):
            return ""  # half of a name is worse than the next source
        return " ".join(_BRACES.sub(lambda found: values[found[1]], self.source).split())


def _first(values: list[bytes] | None) -> str:
    """One value of several: always the same one, though directories give them in any order."""
    if not values:
        return ""
    if len(values) == 1:
        return text_of(values[0])
    return min(filter(None, map(text_of, values)), default="")
