# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message is: the base classes of requests, replies, pushes and notes.

Every message is a frozen record that travels as a MessagePack map; the field ``t`` holds its kind.
Unknown fields are skipped and new fields have defaults, so that old and new programs mix. A request
names its reply as type argument.
"""

from typing import Annotated, Generic, TypeAlias, TypeVar

from msgspec import Meta, Struct

from protocol import limits

Integer: TypeAlias = Annotated[int, Meta(ge=-limits.MAX_INTEGER, le=limits.MAX_INTEGER)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=limits.MAX_INTEGER)]


class Message(Struct, frozen=True, omit_defaults=True, tag_field="t"):
    """Anything that travels."""


class Reply(Message, frozen=True):
    """Answers one request; server to client."""


ReplyT_co = TypeVar("ReplyT_co", bound=Reply, covariant=True)


class Request(Message, Generic[ReplyT_co], frozen=True):
    """Asks for exactly one reply or error; client to server."""


class Push(Message, frozen=True):
    """Sent by the server when something happened; never answered."""


class Note(Message, frozen=True):
    """Sent by the client when something happened; never answered."""


class Done(Reply, frozen=True, tag="done"):
    """The request was carried out; there is nothing more to say."""


class Error(Reply, frozen=True, tag="error"):
    """The request was refused."""

    code: str
    """One of ErrorCode."""
    sentence: str = ""
    """What was wrong and what to do, in English, for logs and for codes that the client does not
    know."""
    retry_after_ms: Count = 0
    """With ``slow_down`` and ``unavailable``: when to try again."""
