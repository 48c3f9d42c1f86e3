# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to and from MessagePack: one envelope, one union of kinds for each direction.

An envelope is the array ``[number, message]``. A request has a number above 0, its reply or error the same one; everything
else has 0. What can't be decoded is told apart: unknown kind (skipped), or broken (ends the connection).
"""

from typing import Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError, RequestRefused
from protocol.limits import MAX_CONTENT_BYTES
from protocol.messages import admin, chat, content, people, session
from protocol.messages.kinds import Done, Error, Message

FromClient: TypeAlias = (
    session.Hello
    | session.Ping
    | session.Pong
    | session.Goodbye
    | session.SignIn
    | session.Resume
    | session.SignInByCertificate
    | session.ChangePassword
    | session.EnrollDevice
    | session.ListDevices
    | session.RemoveDevice
    | session.SignOut
    | people.GetDirectory
    | people.FindPeople
    | people.WatchPresence
    | people.SetPresence
    | chat.Post
    | chat.Forward
    | chat.GetHistory
    | chat.Sync
    | chat.GetChat
    | chat.OpenDirect
    | chat.Cursors
    | chat.GetReceipts
    | chat.Typing
    | chat.SetDraft
    | chat.SetChat
    | chat.CreateGroup
    | chat.GetMembers
    | chat.ChangeMembers
    | chat.SetMemberRole
    | chat.ChangeGroup
    | admin.ChangeDirectory
    | admin.GetAdminDirectory
    | admin.GetServerStatus
    | admin.SetPolicy
)

FromServer: TypeAlias = (
    session.Welcome
    | session.Ping
    | session.Pong
    | session.Goodbye
    | Done
    | Error
    | session.SignedIn
    | session.DeviceCertificate
    | session.Devices
    | session.SessionEnded
    | session.Behind
    | people.Directory
    | people.DirectoryMoved
    | people.People
    | people.PresenceList
    | people.PresenceDigest
    | chat.Posted
    | chat.Events
    | chat.History
    | chat.ChatsPage
    | chat.ChatReply
    | chat.ChatChanged
    | chat.Receipts
    | chat.ReceiptList
    | chat.TypingNow
    | chat.MemberList
    | admin.DirectoryChanged
    | admin.AdminDirectory
    | admin.ServerStatus
)


class _Sealed(Struct, array_like=True, frozen=True):
    """An envelope whose message is not looked into."""

    number: int
    message: Raw


class _Kind(Struct, frozen=True):
    """The one field that every message has."""

    t: str


class ClientEnvelope(Struct, array_like=True, frozen=True, gc=False):
    """What a client sends."""

    number: int
    message: FromClient


class ServerEnvelope(Struct, array_like=True, frozen=True, gc=False):
    """What a server sends."""

    number: int
    message: FromServer


class _Envelope(Struct, array_like=True, frozen=True, gc=False):
    number: int
    message: Message


class Unreadable(Struct, frozen=True):
    """A message that can't be used though its envelope is sound: of unknown kind, or with a wrong field."""

    number: int
    kind: str
    code: ErrorCode
    sentence: str


_encoder: Final = msgspec.msgpack.Encoder()
_client_decoder: Final = msgspec.msgpack.Decoder(ClientEnvelope)
_server_decoder: Final = msgspec.msgpack.Decoder(ServerEnvelope)
_sealed_decoder: Final = msgspec.msgpack.Decoder(_Sealed)
_kind_decoder: Final = msgspec.msgpack.Decoder(_Kind)
_posted_decoder: Final[msgspec.msgpack.Decoder[content.PostedContent]] = msgspec.msgpack.Decoder(
    content.PostedContent
)
_event_decoder: Final[msgspec.msgpack.Decoder[content.EventContent]] = msgspec.msgpack.Decoder(
    content.EventContent
)

MAX_NUMBER: Final = (1 << 31) - 1
"""Request numbers stay below this; they may be used again once answered."""


def kinds_of(union: object) -> dict[str, type[Message]]:
    """The messages of FromClient or FromServer by their kind on the wire."""
    members: tuple[type[Message], ...] = union.__args__  # type: ignore[attr-defined]  # a types.UnionType
    return {str(member.__struct_config__.tag): member for member in members}


CLIENT_KINDS: Final = kinds_of(FromClient)
SERVER_KINDS: Final = kinds_of(FromServer)


def encode_body(number: int, message: Message) -> bytes:
    """The body of a frame."""
    return _encoder.encode(_Envelope(number, message))


def decode_from_client(body: bytes) -> ClientEnvelope | Unreadable:
    """Read a body that a client sent. Raises RemoteProtocolError when it is broken."""
    try:
        return _client_decoder.decode(body)
    except msgspec.ValidationError as error:
        return _unreadable(body, CLIENT_KINDS, error)
    except msgspec.DecodeError as error:
        raise _not_messagepack(error) from error


def decode_from_server(body: bytes) -> ServerEnvelope | Unreadable:
    """Read a body that a server sent. Raises RemoteProtocolError when it is broken."""
    try:
        return _server_decoder.decode(body)
    except msgspec.ValidationError as error:
        return _unreadable(body, SERVER_KINDS, error)
    except msgspec.DecodeError as error:
        raise _not_messagepack(error) from error


def encode_content(value: content.EventContent) -> Raw:
    """The raw form of an event's content."""
    encoded = _encoder.encode(value)
    if len(encoded) > MAX_CONTENT_BYTES:
        raise LocalProtocolError(
            f"a content of {len(encoded)} bytes is above the limit of {MAX_CONTENT_BYTES}"
        )
    return Raw(encoded)


def decode_posted(raw: Raw | bytes) -> content.PostedContent:
    """What a client wants to post, checked. Raises RequestRefused with a sentence that names the field."""
    if len(memoryview(raw)) > MAX_CONTENT_BYTES:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"A message holds at most {MAX_CONTENT_BYTES} bytes."
        )
    try:
        return _posted_decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise RequestRefused(ErrorCode.INVALID, f"The content can't be read: {error}") from error


def decode_content(raw: Raw | bytes) -> content.EventContent | None:
    """The content of an event; None for a kind that this version does not know."""
    try:
        return _event_decoder.decode(raw)
    except msgspec.MsgspecError:
        return None


def _unreadable(
    body: bytes, known: dict[str, type[Message]], error: msgspec.ValidationError
) -> Unreadable:
    """Say what is wrong with a message; raises RemoteProtocolError when not even the envelope is sound."""
    try:
        sealed = _sealed_decoder.decode(body)
        kind = _kind_decoder.decode(sealed.message).t
    except msgspec.MsgspecError:
        sentence = f"The frame is not a message: {error}"
        raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence) from error
    if kind in known:
        sentence = f"The message {kind!r} can't be accepted: {error}"
        return Unreadable(sealed.number, kind, ErrorCode.INVALID, sentence)
    sentence = f"The message {kind[:40]!r} is not known here; update this side."
    return Unreadable(sealed.number, kind, ErrorCode.UNKNOWN_KIND, sentence)


def _not_messagepack(error: msgspec.DecodeError) -> RemoteProtocolError:
    return RemoteProtocolError(ErrorCode.BAD_FRAME, f"The frame is not MessagePack: {error}")
