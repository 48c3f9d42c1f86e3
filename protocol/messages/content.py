# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in an event of a conversation: texts, and every change to a conversation.

Contents travel as raw MessagePack maps inside their event (field ``k`` holds the kind), so that a
program that does not know a kind can still count, store and skip it. Kinds are append-only.
"""

import enum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from protocol import limits
from protocol.ids import DepartmentId, MessageId, UserId
from protocol.messages.kinds import Count
from protocol.messages.people import Field
from protocol.messages.session import Name


class Content(Struct, frozen=True, omit_defaults=True, tag_field="k"):
    """The content of one event."""


Word = Annotated[str, Meta(max_length=limits.MAX_KIND_CHARS)]


class SpanKind(enum.StrEnum):
    """What a stretch of text is. Unknown kinds are shown as plain text."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
    CODE_BLOCK = "code_block"
    QUOTE = "quote"
    LIST_ITEM = "list_item"
    LINK = "link"
    MENTION = "mention"
    MENTION_ALL = "mention_all"


class Span(Struct, frozen=True, omit_defaults=True):
    """A stretch of a text with a meaning; counted in Unicode code points. Spans may nest, never
    cross."""

    kind: Word
    """One of SpanKind."""
    start: Count
    length: Annotated[int, Meta(ge=1, le=limits.MAX_INTEGER)]
    user: UserId | None = None
    """Who is mentioned."""
    url: Field = ""
    """Where a link leads: http, https, mailto or lanyard."""
    language: Word = ""
    """The language of a code block."""


class Attachment(Struct, frozen=True, omit_defaults=True):
    """A reference to a file or image; the bytes travel by other means."""

    id: MessageId
    name: Name
    size_bytes: Count
    media_type: Annotated[str, Meta(max_length=limits.MAX_MEDIA_TYPE_CHARS)] = ""
    digest: Annotated[bytes, Meta(max_length=limits.MAX_DIGEST_BYTES)] = b""
    """BLAKE3 of the whole file, 32 bytes."""
    width: Count = 0
    """Of an image, in pixels; 0: not known."""
    height: Count = 0


class Forwarded(Struct, frozen=True, omit_defaults=True):
    """Where a forwarded message came from, as stated by the server, never by the client."""

    sender: UserId
    at_ms: Count = 0


class Text(Content, frozen=True, tag="text"):
    """A message."""

    text: Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)]
    spans: Annotated[tuple[Span, ...], Meta(max_length=limits.MAX_SPANS)] = ()
    reply_to: MessageId | None = None
    """The message of the same conversation that this one answers."""
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=limits.MAX_ATTACHMENTS)] = ()
    forwarded: Forwarded | None = None
    edited_ms: Count = 0
    """When the text was last edited; 0: never. Set by the server."""


class Edit(Content, frozen=True, tag="edit"):
    """The sender's new text for an earlier message of theirs."""

    target: MessageId
    text: Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)]
    spans: Annotated[tuple[Span, ...], Meta(max_length=limits.MAX_SPANS)] = ()


class Recall(Content, frozen=True, tag="recall"):
    """An earlier message is taken back; its text is not served any more."""

    target: MessageId


class React(Content, frozen=True, tag="react"):
    """A reaction of the sender is put on a message, or taken off."""

    target: MessageId
    emoji: Annotated[str, Meta(min_length=1, max_length=limits.MAX_REACTION_CHARS)]
    is_on: bool = True


class Recalled(Content, frozen=True, tag="recalled"):
    """Stands in place of the content of a message, or of an edit of it, that was recalled."""

    by: UserId
    at_ms: Count = 0


class MemberRole(enum.StrEnum):
    """What a member may do in a group."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"
    """May read, not write."""


class Created(Content, frozen=True, tag="created"):
    """The conversation begins; always number 1."""

    title: str = ""
    members: tuple[UserId, ...] = ()


class MembersChanged(Content, frozen=True, tag="members_changed"):
    """People came or went, or their role changed."""

    added: tuple[UserId, ...] = ()
    removed: tuple[UserId, ...] = ()
    """By somebody else, or because the department changed."""
    left: tuple[UserId, ...] = ()
    """By themselves."""
    role: str = ""
    """When not empty: the new MemberRole of the people in ``changed``."""
    changed: tuple[UserId, ...] = ()


class GroupChanged(Content, frozen=True, tag="group_changed"):
    """The group's title or rules as they are from now on."""

    title: str = ""
    is_readers_only: bool = False
    """Only owner and admins may write."""
    department: DepartmentId | None = None


PostedContent: TypeAlias = Text | Edit | Recall | React
"""What a client may post."""

EventContent: TypeAlias = (
    Text | Edit | Recall | React | Recalled | Created | MembersChanged | GroupChanged
)
"""What an event may hold."""
