# SPDX-License-Identifier: GPL-3.0-or-later
"""The open session, as the rooms of the core see it: requests, notes, pushes by kind, and a bell that rings at each sign-in.

Who connects and signs in is ``line``'s affair.
"""

from collections.abc import Callable
from typing import TypeVar

from client.core.errors import NotSignedIn, Offline
from client.core.link import Link
from protocol.ids import UserId
from protocol.messages.kinds import Note, Push, ReplyT_co, Request

PushT = TypeVar("PushT", bound=Push)


class Session:
    """At most one link that is signed in, and who it is."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._me: UserId | None = None
        self._on_open: list[Callable[[], None]] = []
        self._on_close: list[Callable[[], None]] = []
        self._on_push: dict[type[Push], Callable[[Push], None]] = {}

    @property
    def is_open(self) -> bool:
        """Whether requests reach the server now."""
        return self._link is not None

    @property
    def me(self) -> UserId:
        """Whose copy this is. Raises NotSignedIn before the first sign-in."""
        if self._me is None:
            raise NotSignedIn("Nobody has signed in on this profile yet.")
        return self._me

    @property
    def has_user(self) -> bool:
        """Whether somebody has signed in on this profile."""
        return self._me is not None

    async def request(self, message: Request[ReplyT_co]) -> ReplyT_co:
        """Ask the server. Raises Refused, Offline, NotSignedIn."""
        link = self._link
        if link is None:
            if self._me is None:
                raise NotSignedIn("Sign in first.")
            raise Offline("The server can't be reached just now.")
        return await link.request(message)

    def note(self, message: Note) -> bool:
        """Tell the server; whether it was sent."""
        return self._link is not None and self._link.note(message)

    def pause(self) -> None:
        """Take nothing from the server for a while."""
        if self._link is not None:
            self._link.pause()

    def resume(self) -> None:
        """Take again."""
        if self._link is not None:
            self._link.resume()

    # Wiring

    def on_open(self, ring: Callable[[], None]) -> None:
        """Ring at each sign-in, in the order of registration."""
        self._on_open.append(ring)

    def on_close(self, ring: Callable[[], None]) -> None:
        """Ring whenever the session's connection is gone."""
        self._on_close.append(ring)

    def on_push(self, kind: type[PushT], take: Callable[[PushT], None]) -> None:
        """Who takes the pushes of a kind."""

        def taken(push: Push) -> None:
            if isinstance(push, kind):
                take(push)

        self._on_push[kind] = taken

    # What the line calls

    def belongs_to(self, me: UserId | None) -> None:
        """Whose copy this is."""
        self._me = me

    def open(self, link: Link) -> None:
        """The link is signed in."""
        self._link = link
        for ring in self._on_open:
            ring()

    def close(self) -> None:
        """The link is gone."""
        if self._link is not None:
            self._link = None
            for ring in self._on_close:
                ring()

    def pushed(self, push: Push) -> None:
        """Hand a push to the room that takes its kind; one that nobody takes is newer than this program."""
        take = self._on_push.get(type(push))
        if take is not None:
            take(push)
