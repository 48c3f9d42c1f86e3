# SPDX-License-Identifier: GPL-3.0-or-later
"""The session at the end of docs/protocol.md, played by real connections with made-up ids and times."""

from __future__ import annotations

from typing import NamedTuple

from protocol.client_connection import ClientConnection
from protocol.codec import encode_content
from protocol.errors import ErrorCode
from protocol.ids import direct_conversation_id, parse_id
from protocol.messages.chat import (
    Chat,
    ChatChanged,
    ChatsPage,
    Cursor,
    Cursors,
    Event,
    Events,
    GetChat,
    Post,
    Posted,
    Receipt,
    Sync,
)
from protocol.messages.content import Created, EventContent, React, Text
from protocol.messages.session import DeviceInfo, SignedIn, SignIn, Welcome
from protocol.server_connection import ServerConnection

LI_WEI = parse_id("01939c2e-5a00-7a11-9b6c-3f1d2c4b5a60")
ANNA = parse_id("01939c2e-5e10-7c05-8d27-90ab1e2f3c4d")
DEVICE = parse_id("01939c31-0000-7fff-bfff-0123456789ab")
SESSION = parse_id("01939c31-2710-7001-8000-00000000abcd")
FIRST_POST = parse_id("01939c31-4e20-7d3a-a1b2-c3d4e5f60718")
CREATION = parse_id("01939c31-4e2a-7e11-8f00-112233445566")
ANSWER = parse_id("01939c31-9c40-7b0c-9a8b-7c6d5e4f3a2b")
REACTION = parse_id("01939c31-a028-7a5d-b4c3-d2e1f00f1e2d")
UNKNOWN = parse_id("01939c31-ffff-7000-8000-000000000000")
TALK = direct_conversation_id(LI_WEI, ANNA)
NOW_MS = 1_733_400_000_000


class Sent(NamedTuple):
    """One frame of the session."""

    sender: str
    """``client`` or ``server``."""
    frame: bytes


class _Play:
    """A client and a server that hand each other their frames and note them."""

    def __init__(self) -> None:
        self.client = ClientConnection(0.0, software="example 1.0")
        self.server = ServerConnection(0.0, _welcome)
        self.sent: list[Sent] = []

    def client_speaks(self) -> None:
        frame = self.client.data_to_send()
        self.sent.append(Sent("client", frame))
        self.server.receive(frame, 0.0)

    def server_speaks(self) -> None:
        frame = self.server.data_to_send()
        self.sent.append(Sent("server", frame))
        self.client.receive(frame, 0.0)


def _welcome(version: int, capabilities: tuple[str, ...]) -> Welcome:
    return Welcome(
        version,
        capabilities,
        organisation="Tonghe",
        organisation_id=bytes(range(32)),
        epoch=b"\x05\x1e",
        server_time_ms=NOW_MS,
        software="lanyard-server 1.0",
    )


def _event(
    seq: int, id: bytes, sender: bytes, after_ms: int, ordinal: int, content: EventContent
) -> Event:
    at_ms = NOW_MS + after_ms
    return Event(TALK, seq, 400 + seq, id, sender, at_ms, ordinal, encode_content(content))


def worked_session() -> list[Sent]:
    """All frames in order: from the greeting to the goodbye."""
    play = _Play()
    play.client_speaks()
    play.server_speaks()

    device = DeviceInfo(DEVICE, "desk-07")
    number = play.client.request(SignIn("li.wei", "jade-otter-7", device), 0.0)
    play.client_speaks()
    play.server.reply(
        number, SignedIn(LI_WEI, SESSION, "Li Wei", token=b"T" * 32, server_time_ms=NOW_MS)
    )
    play.server_speaks()

    number = play.client.request(Sync(), 0.0)
    play.client_speaks()
    play.server.reply(number, ChatsPage(stamp=400))
    play.server_speaks()

    hello = encode_content(Text("你好, Anna!"))
    number = play.client.request(Post(TALK, FIRST_POST, hello, peer=ANNA), 0.0)
    play.client_speaks()
    chat = Chat(TALK, "direct", peer=ANNA, member_count=2, head=1, receipts=(Receipt(ANNA),))
    play.server.push(ChatChanged(chat))
    play.server_speaks()
    created = _event(1, CREATION, LI_WEI, 20_010, 0, Created(members=(LI_WEI, ANNA)))
    play.server.push(Events((created,)))
    play.server_speaks()
    play.server.reply(number, Posted(TALK, 2, 402, NOW_MS + 20_012, 1))
    play.server_speaks()

    answer = Text("Hi! Lunch?", reply_to=FIRST_POST)
    play.server.push(Events((_event(3, ANSWER, ANNA, 40_000, 2, answer),)))
    play.server_speaks()
    play.client.note(Cursors((Cursor(TALK, delivered=3, read=3),)))
    play.client_speaks()

    liked = encode_content(React(ANSWER, "👍"))
    number = play.client.request(Post(TALK, REACTION, liked), 0.0)
    play.client_speaks()
    play.server.reply(number, Posted(TALK, 4, 405, NOW_MS + 41_000, 2))
    play.server_speaks()

    number = play.client.request(GetChat(UNKNOWN), 0.0)
    play.client_speaks()
    play.server.refuse(number, ErrorCode.NOT_FOUND, "There is no such conversation.")
    play.server_speaks()

    play.client.say_goodbye(0.0)
    play.client_speaks()
    return play.sent
