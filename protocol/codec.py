# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to and from MessagePack: one envelope, one union of kinds for each direction.

An envelope is the array ``[number, message]``. A request has a number above 0, its reply or error the
same one; everything else has 0. What can't be decoded is told apart: a message of unknown kind or with
a wrong field in a sound envelope (``Unreadable``), or no message at all (RemoteProtocolError).
"""

from typing import Any, Final, TypeAlias, final

import msgspec
from msgspec import Raw, Struct

from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError, RequestRefused
from protocol.limits import MAX_CONTENT_BYTES, MAX_SENTENCE_CHARS
from protocol.messages import admin, chat, content, people, session, sync
from protocol.messages.kinds import Done, Error, Message, Reply, Request

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
    | people.GetPhoto
    | sync.BeginRun
    | sync.AddToRun
    | sync.CommitRun
    | sync.AbandonRun
    | sync.ListRuns
    | sync.GetMarks
    | sync.UndoRun
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
    | people.PhotoOf
    | sync.RunBegun
    | sync.RunCommitted
    | sync.Runs
    | sync.Marks
    | sync.RunUndone
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


@final
class Unreadable(Struct, frozen=True):
    """A message that can't be used though its envelope is sound: unknown kind, or wrong field."""

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

_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no good: also text that is not UTF-8, and nesting so deep
that only an attacker writes it."""

MAX_NUMBER: Final = (1 << 31) - 1
"""The highest number of a request; numbers may be used again once answered."""


def kinds_of(union: object) -> dict[str, type[Message]]:
    """The messages of FromClient or FromServer by their kind on the wire."""
    members: tuple[type[Message], ...] = union.__args__  # type: ignore[attr-defined]  # a types.UnionType
    return {str(member.__struct_config__.tag): member for member in members}


CLIENT_KINDS: Final = kinds_of(FromClient)
SERVER_KINDS: Final = kinds_of(FromServer)


def _replies() -> dict[type[Request[Reply]], type[Reply]]:
    requests = [kind for kind in CLIENT_KINDS.values() if issubclass(kind, Request)]
    # Typeshed does not know of __orig_bases__ (PEP 560) here: it holds ``Request[TheReply]``.
    bases: list[Any] = [kind.__orig_bases__[0] for kind in requests]  # type: ignore[attr-defined]
    return {kind: base.__args__[0] for kind, base in zip(requests, bases, strict=True)}


REPLIES: Final = _replies()
"""The reply that each request is answered with, unless by an error."""


def encode_body(number: int, message: Message) -> bytes:
    """The body of a frame. Raises LocalProtocolError for a value that no field can hold."""
    try:
        return _encoder.encode((number, message))
    except (UnicodeEncodeError, OverflowError) as error:
        raise _unencodable(error) from error


def decode_from_client(body: bytes) -> ClientEnvelope | Unreadable:
    """Read a body that a client sent. Raises RemoteProtocolError when it is broken."""
    try:
        return _client_decoder.decode(body)
    except _UNDECODABLE as error:
        return _unreadable(body, CLIENT_KINDS, error)


def decode_from_server(body: bytes) -> ServerEnvelope | Unreadable:
    """Read a body that a server sent. Raises RemoteProtocolError when it is broken."""
    try:
        return _server_decoder.decode(body)
    except _UNDECODABLE as error:
        return _unreadable(body, SERVER_KINDS, error)


def encode_content(value: content.EventContent) -> Raw:
    """The raw form of an event's content. Raises LocalProtocolError when it is too large."""
    try:
        encoded = _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError) as error:
        raise _unencodable(error) from error
    if len(encoded) > MAX_CONTENT_BYTES:
        raise LocalProtocolError(
            f"a content of {len(encoded)} bytes is above the limit of {MAX_CONTENT_BYTES}"
        )
    return Raw(encoded)


def decode_posted(raw: Raw | bytes) -> content.PostedContent:
    """What a client wants to post, checked. Raises RequestRefused with a sentence that names the
    field."""
    if len(memoryview(raw)) > MAX_CONTENT_BYTES:
        sentence = f"A message holds at most {MAX_CONTENT_BYTES} bytes."
        raise RequestRefused(ErrorCode.TOO_LARGE, sentence)
    try:
        return _posted_decoder.decode(raw)
    except _UNDECODABLE as error:
        sentence = _shortened(f"The content can't be read: {error}")
        raise RequestRefused(ErrorCode.INVALID, sentence) from error


def decode_content(raw: Raw | bytes) -> content.EventContent | None:
    """The content of an event; None for one that this version can't read, such as a newer kind."""
    try:
        return _event_decoder.decode(raw)
    except _UNDECODABLE:
        return None


def _unreadable(body: bytes, known: dict[str, type[Message]], error: Exception) -> Unreadable:
    """Say what is wrong with a message. Raises RemoteProtocolError when there is none."""
    if not isinstance(error, msgspec.ValidationError):
        sentence = _shortened(f"The frame is not MessagePack: {error}")
        raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence) from error
    try:
        sealed = _sealed_decoder.decode(body)
        kind = _kind_decoder.decode(sealed.message).t
    except _UNDECODABLE:
        sentence = _shortened(f"The frame is not a message: {error}")
        raise RemoteProtocolError(ErrorCode.BAD_FRAME, sentence) from error
    if kind in known:
        sentence = _shortened(f"The message {kind!r} can't be accepted: {error}")
        return Unreadable(sealed.number, kind, ErrorCode.INVALID, sentence)
    sentence = f"The message {kind[:40]!r} is not known here; update this side."
    return Unreadable(sealed.number, kind, ErrorCode.UNKNOWN_KIND, sentence)


def _shortened(sentence: str) -> str:
    """msgspec quotes what it can't accept, and that may be as long as a frame."""
    if len(sentence) <= MAX_SENTENCE_CHARS:
        return sentence
    return sentence[: MAX_SENTENCE_CHARS - 1] + "…"


def _unencodable(error: UnicodeEncodeError | OverflowError) -> LocalProtocolError:
    return LocalProtocolError(f"the message holds a value that can't be sent: {error}")
