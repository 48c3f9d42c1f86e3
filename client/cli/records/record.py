# SPDX-License-Identifier: GPL-3.0-or-later
"""What all records share: the field ``type``, ids as text, times as RFC 3339, and the names of people beside their ids."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from protocol.ids import UserId, format_id
from protocol.messages.people import Person

if TYPE_CHECKING:
    from client.core.app import Core


class Record(msgspec.Struct, frozen=True, tag_field="type"):
    """One line of ``--json``. Every field stands in every line."""

    def encode(self) -> str:
        """The line, without its end."""
        return msgspec.json.encode(self).decode()


class Who(msgspec.Struct, frozen=True):
    """A person, wherever one is named."""

    id: str
    login: str = ""
    """Empty for somebody whom the directory does not show (any more)."""
    name: str = ""

    @property
    def shown(self) -> str:
        """How the person is called in a line."""
        return self.name or self.login or f"somebody ({short_id(self.id)})"


class People:
    """The people whose names a command needs, looked up once."""

    def __init__(self, known: Mapping[UserId, Person]) -> None:
        self._known = known

    @classmethod
    async def named(cls, core: "Core", ids: Iterable[UserId | None]) -> "People":
        """Look these up in the local copy; None is skipped."""
        return cls(await core.people.named({user for user in ids if user is not None}))

    def who(self, user: UserId) -> Who:
        """The person as a record names one."""
        person = self._known.get(user)
        if person is None:
            return Who(format_id(user))
        return Who(format_id(user), person.login, person.name)

    def maybe(self, user: UserId | None) -> Who | None:
        """The same where there may be nobody."""
        return None if user is None else self.who(user)


SHORT_ID_DIGITS: Final = 8


def short_id(text: str) -> str:
    """The end of an id, for people. Its beginning is a time and tells little apart (RFC 9562 section 5.7)."""
    return text.replace("-", "")[-SHORT_ID_DIGITS:]


def id_or_none(value: bytes | None) -> str | None:
    """The text of an id that may be missing."""
    return None if value is None else format_id(value)
