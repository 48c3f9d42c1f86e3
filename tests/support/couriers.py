# SPDX-License-Identifier: GPL-3.0-or-later
"""A light client for load: posts several messages at once and repeats each under its id until the server has acknowledged it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import Final, Self

from client.core.addresses import parse_address
from client.core.dial import dial_tls
from client.core.errors import Offline, ServerUnreachable
from client.core.link import Link
from protocol.codec import encode_content
from protocol.ids import ConversationId, MessageId, UserId, uuid7
from protocol.messages.chat import Post, Posted
from protocol.messages.content import Text
from protocol.messages.session import DeviceInfo, Resume, SignIn
from tests.support.server_process import PASSWORD

AT_ONCE: Final = 8
"""Posts under way together: they meet in one commit, and a kill cuts between them."""
KNOCK_EVERY_S: Final = 0.05


class Courier:
    """One session of one person, which comes back whenever the server does."""

    def __init__(self, address: str, login: str) -> None:
        self.login = login
        self.user: UserId = b""
        self.acknowledged: dict[MessageId, Posted] = {}
        self.posts: list[Post] = []
        """All that were ever sent, in order."""
        self.sign_ins = 0
        self._address = parse_address(address)
        self._device = DeviceInfo(secrets.token_bytes(16), "courier")
        self._token = b""
        self._open: dict[MessageId, Post] = {}
        self._link: Link | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def say(self, conversation: ConversationId, text: str, peer: UserId | None = None) -> MessageId:
        """Take a message along; it leaves with the next ``deliver``."""
        id = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
        post = Post(conversation, id, encode_content(Text(text)), peer)
        self.posts.append(post)
        self._open[id] = post
        return id

    async def deliver(self) -> None:
        """Stay until everything is acknowledged, over as many connections as it takes. Raises Refused."""
        while self._open:
            try:
                await self._deliver_some(await self._connected())
            except (Offline, ServerUnreachable):
                await asyncio.sleep(KNOCK_EVERY_S)

    async def chatter(
        self, talks: Sequence[ConversationId], stop: asyncio.Event, pause_s: float
    ) -> None:
        """Write to these conversations in turn until ``stop`` is set, and deliver all of it."""
        number = 0
        while not stop.is_set():
            for _ in range(AT_ONCE):
                number += 1
                self.say(talks[number % len(talks)], f"{self.login} {number}")
            await self.deliver()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await stop.wait()

    async def close(self) -> None:
        """Hang up."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
            await link.ended.wait()

    async def _deliver_some(self, link: Link) -> None:
        """Post the oldest together; what was acknowledged before the connection ended counts."""
        posts = list(islice(self._open.values(), AT_ONCE))
        answers = await asyncio.gather(*map(link.request, posts), return_exceptions=True)
        for post, answer in zip(posts, answers, strict=True):
            if isinstance(answer, Posted):
                self.acknowledged[post.id] = answer
                del self._open[post.id]
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _connected(self) -> Link:
        """The connection, or a new one, signed in. Raises Offline, ServerUnreachable, Refused."""
        if self._link is not None and not self._link.ended.is_set():
            return self._link
        await self.close()
        link, _ = await dial_tls(
            self._address, lambda: Link("courier", lambda push: None), None, None
        )
        self._link = link
        await link.greeted()
        if self._token:
            signed_in = await link.request(Resume(self.user, self._device, self._token))
        else:
            signed_in = await link.request(SignIn(self.login, PASSWORD, self._device))
        self.user = signed_in.user
        self._token = signed_in.token or self._token
        self.sign_ins += 1
        return link
