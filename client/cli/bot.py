# SPDX-License-Identifier: GPL-3.0-or-later
"""A script becomes a bot: sign in, answer messages, stop in order. Described in docs/bots.md.

bot = Bot("~/bots/echo")

@bot.on_message
async def echo(message: BotMessage) -> None:
    await message.reply(f"You said: {message.text}")

bot.run()
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from client.cli import fingerprints
from client.cli.failures import Exit, Failure
from client.cli.grammar import version
from client.cli.mentions import Names
from client.cli.pace import Pace
from client.cli.refusals import failure_of
from client.cli.run import door_to
from client.cli.shown import Shown
from client.cli.terminal import read_file
from client.core.app import Core
from client.core.errors import CoreError, NotSignedIn, Offline, Refused
from client.core.events import MessagesArrived, SignedOut
from client.core.feed import Subscription
from client.core.views import MessageView
from protocol.ids import ConversationId, MessageId, UserId
from protocol.messages.chat import ConversationKind
from protocol.messages.people import Person

LOG: Final = logging.getLogger("lanyard.bot")
"""What a handler raises, and what the server refuses, is logged here; never what people wrote."""

MESSAGES_PER_S: Final = 2.0
"""How fast a bot writes in the long run: what people can read."""
BURST: Final = 10
"""How many messages it may write at once before that counts."""
HANDLER_TIMEOUT_S: Final = 60.0
"""What one message may take: a handler that hangs must not make the bot deaf."""
OFFLINE_NOTE_S: Final = 60.0
"""How often it is logged that the server is still away."""
FLUSH_S: Final = 5.0
"""At the end: how long queued answers may take to leave."""


@dataclass(frozen=True)
class BotMessage:
    """A message that somebody wrote where the bot can read it."""

    view: MessageView = field(repr=False)
    """Everything that is known of it."""
    sender: Person
    chat: str
    """Name of the group or department; in a direct chat, of the other person."""
    is_direct: bool
    _bot: "Bot" = field(repr=False)

    @property
    def text(self) -> str:
        """What was written."""
        return self.view.text

    @property
    def mentions_me(self) -> bool:
        """Whether the bot is mentioned, by name or with all."""
        return self.view.mentions_me

    @property
    def id(self) -> MessageId:
        """The message's id."""
        return self.view.id

    @property
    def conversation(self) -> ConversationId:
        """Where it was written."""
        return self.view.conversation

    @property
    def words(self) -> str:
        """The text without the mentions in it: what the bot was asked."""
        text = self.text
        mentions = [span for span in self.view.spans if span.kind in ("mention", "mention_all")]
        for span in sorted(mentions, key=lambda one: -one.start):
            text = text[: span.start] + text[span.start + span.length :]
        return " ".join(text.split())

    async def reply(self, text: str) -> MessageId:
        """Answer it, with the message quoted. ``@login`` and ``@name`` are mentions."""
        return await self._bot.send(self.conversation, text, reply_to=self.id)

    async def say(self, text: str) -> MessageId:
        """Write into the same chat, without a quote."""
        return await self._bot.send(self.conversation, text)

    async def react(self, emoji: str) -> None:
        """Put an emoji on it."""
        await self._bot.react(self.id, emoji)


Handler: TypeAlias = Callable[[BotMessage], Awaitable[None]]
Start: TypeAlias = Callable[[], Awaitable[None]]

HandlerT = TypeVar("HandlerT", bound=Handler)
StartT = TypeVar("StartT", bound=Start)


class Bot:
    """One account that answers by itself. Messages are taken one after the other, in order, each by all handlers."""

    def __init__(
        self,
        profile: str | Path,
        *,
        server: str | None = None,
        login: str | None = None,
        password_file: str | Path | None = None,
        fingerprint: str | None = None,
        is_for_mentions: bool = False,
        messages_per_s: float = MESSAGES_PER_S,
        handler_timeout_s: float = HANDLER_TIMEOUT_S,
    ) -> None:
        """``profile``: folder of the bot's data, made by ``lanyard-cli login --profile`` or, with the rest, at the first run.

        ``is_for_mentions``: in groups, take only messages that mention the bot.
        """
        self._profile = Path(profile).expanduser().absolute()
        self._server = server
        self._login = login
        self._password_file = password_file
        self._fingerprint = fingerprint
        self._is_for_mentions = is_for_mentions
        self._pace = Pace(messages_per_s, BURST)
        self._handler_timeout_s = handler_timeout_s
        self._handlers: list[Handler] = []
        self._starts: list[Start] = []
        self._stop = asyncio.Event()
        self._core: Core | None = None

    # Declaring

    def on_message(self, handler: HandlerT) -> HandlerT:
        """Decorator: call this with each message of somebody else. What it raises is logged, and the bot goes on."""
        self._handlers.append(handler)
        return handler

    def on_start(self, start: StartT) -> StartT:
        """Decorator: call this once, when the bot is signed in and up to date."""
        self._starts.append(start)
        return start

    # Running

    def run(self) -> int:
        """Run until Ctrl+C or SIGTERM; returns an exit code as lanyard-cli's. What prevents it is printed as one sentence."""
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s"
        )
        try:
            asyncio.run(self._until_signal())
        except (Failure, CoreError) as error:
            failure = failure_of(error)
            print(failure.sentence, file=sys.stderr)
            return failure.exit_code
        except KeyboardInterrupt:
            return Exit.OK
        return Exit.OK

    async def serve(self) -> None:
        """Run until ``stop``, in a loop of the caller's. Raises Failure and CoreError for what prevents it."""
        core = await Core.open(
            self._profile, device_kind="bot", software=f"lanyard bot {version()}"
        )
        async with core:
            self._core = core
            try:
                await self._work(core)
            finally:
                await core.stop(FLUSH_S)
                self._core = None

    def stop(self) -> None:
        """End ``serve`` after the message that is being answered."""
        self._stop.set()

    # Speaking

    @property
    def core(self) -> Core:
        """The client core, for everything that a bot may want beyond this class. Only while it runs."""
        if self._core is None:
            raise Failure("The bot does not run.")
        return self._core

    async def send(
        self, conversation: ConversationId, text: str, *, reply_to: MessageId | None = None
    ) -> MessageId:
        """Write into a chat. Durable here when this returns; it is sent when the server is there."""
        await self._pace.wait()
        spans, _unknown = Names(await self._addressable(conversation, text)).spans(text)
        return await self.core.messages.send(conversation, text, spans, reply_to=reply_to)

    async def send_to(self, who: UserId | str, text: str) -> MessageId:
        """Write to a person, by id or login. Raises Failure when there is nobody with that login."""
        if isinstance(who, str):
            person = await self.core.people.by_login(who.removeprefix("@"))
            if person is None:
                raise Failure(f"Nobody has the login {who!r}.", Exit.NOT_FOUND)
            who = person.id
        await self._pace.wait()
        return await self.core.messages.send_to(who, text)

    async def react(self, message: MessageId, emoji: str) -> None:
        """Put an emoji on a message."""
        await self._pace.wait()
        await self.core.messages.react(message, emoji)

    # Private

    async def _until_signal(self) -> None:
        """The first signal ends the bot after the message in hand, the second at once."""
        work = asyncio.ensure_future(self.serve())

        def interrupted() -> None:
            if self._stop.is_set():
                work.cancel()
            self.stop()

        if os.name == "posix":
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, interrupted)
        try:
            await work
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise

    async def _work(self, core: Core) -> None:
        with core.subscribe() as events:
            await self._sign_in(core)
            door = door_to(core, Shown(self._profile), self._profile)
            await door.open_after(0.0)
            try:
                for start in self._starts:
                    await start()
                LOG.info("the bot is there")
                await self._take_all(core, events)
            finally:
                await door.close()

    async def _sign_in(self, core: Core) -> None:
        """With what the profile holds; else with the password. A server that is away is waited for."""
        if core.servers.trusted is None:
            await self._trust(core)
        core.start()
        while not self._stop.is_set():
            try:
                await core.until_synchronised(OFFLINE_NOTE_S)
            except Offline as error:
                LOG.warning("no server yet: %s", error)
            except (NotSignedIn, Refused) as error:
                if self._login is None or self._password_file is None:
                    raise Failure(
                        f"{failure_of(error).sentence} The bot's profile is {self._profile}; or give the bot "
                        "login= and password_file=.",
                        Exit.NOT_SIGNED_IN,
                    ) from error
                password = read_file(str(self._password_file)).partition("\n")[0].rstrip("\r")
                await core.account.sign_in(self._login, password)
            else:
                return

    async def _trust(self, core: Core) -> None:
        if self._server is None or self._fingerprint is None:
            raise Failure(
                f"The bot's profile {self._profile} trusts no server. Sign it in with "
                f"`lanyard-cli login SERVER LOGIN --profile {self._profile}`, or give the bot server=, login=, "
                "password_file= and fingerprint=.",
                Exit.NOT_SIGNED_IN,
            )
        identity = await core.servers.probe(self._server)
        fingerprints.check(self._fingerprint, identity.fingerprint, identity.address)
        await core.servers.trust(identity)

    async def _take_all(self, core: Core, events: Subscription) -> None:
        """Take messages until the bot is stopped or signed out."""
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            while not self._stop.is_set():
                arriving = asyncio.ensure_future(anext(events))
                await asyncio.wait((arriving, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not arriving.done():
                    arriving.cancel()
                    await asyncio.gather(arriving, return_exceptions=True)
                    return
                event = arriving.result()
                if isinstance(event, SignedOut) and event.reason:
                    raise Failure(event.sentence or "The bot was signed out.", Exit.NOT_SIGNED_IN)
                if isinstance(event, MessagesArrived):
                    await self._take(core, event)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)

    async def _take(self, core: Core, arrived: MessagesArrived) -> None:
        chat = await core.chats.get(arrived.conversation)
        people = await core.people.named({one.sender for one in arrived.messages})
        for view in arrived.messages:
            sender = people.get(view.sender)
            # Bots that answer bots never stop.
            if view.is_mine or sender is None or sender.is_bot or view.recalled_by is not None:
                continue
            is_direct = chat.kind == ConversationKind.DIRECT.value
            if self._is_for_mentions and not is_direct and not view.mentions_me:
                continue
            message = BotMessage(view, sender, chat.name, is_direct, self)
            for handler in self._handlers:
                await self._give(handler, message)
            await core.chats.mark_read(arrived.conversation, view.seq)

    async def _give(self, handler: Handler, message: BotMessage) -> None:
        """Let one handler have the message. What goes wrong in it is told to whoever looks after the bot, not to the chat."""
        name = getattr(handler, "__qualname__", repr(handler))
        try:
            async with asyncio.timeout(self._handler_timeout_s):
                await handler(message)
        except TimeoutError:
            LOG.error("%s took longer than %g s", name, self._handler_timeout_s)  # noqa: TRY400 - no trace helps
        except Exception:  # any mistake of a handler's: the bot goes on with the next message
            LOG.exception("%s failed", name)

    async def _addressable(self, conversation: ConversationId, text: str) -> list[Person]:
        """Who may be mentioned in an answer."""
        if "@" not in text:
            return []
        members = await self.core.chats.members(conversation)
        return list((await self.core.people.named([one.user for one in members])).values())
