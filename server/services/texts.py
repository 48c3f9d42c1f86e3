# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in a text: spans, links, mentions, attachments. Pure; raises RequestRefused with a sentence that says what is wrong."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from protocol.codec import encode_content
from protocol.errors import ErrorCode, LocalProtocolError, RequestRefused
from protocol.ids import UserId
from protocol.limits import MAX_CONTENT_BYTES, MAX_MENTIONS, MAX_NAME_CHARS
from protocol.messages.content import Attachment, EventContent, Span, SpanKind, Text

LINK_SCHEMES: Final = ("http://", "https://", "mailto:", "lanyard:")
"""Where a link may lead. Everything else (file, javascript, smb...) does something on the reader's computer."""
DIGEST_BYTES: Final = 32
"""BLAKE3."""
MAX_PIXELS: Final = 1 << 20
"""Width and height of an image; a viewer may allocate by them."""


class Mentions(Struct, frozen=True):
    """Whom a text mentions."""

    users: frozenset[UserId] = frozenset()
    is_everybody: bool = False

    def __bool__(self) -> bool:
        return self.is_everybody or bool(self.users)


NOBODY: Final = Mentions()


def encoded(content: EventContent) -> bytes:
    """A content as it is stored. Raises RequestRefused(TOO_LARGE)."""
    try:
        return bytes(encode_content(content))
    except LocalProtocolError as error:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"A message holds at most {MAX_CONTENT_BYTES} bytes."
        ) from error


def check_text(text: Text) -> Mentions:
    """Whether a text may be stored as it is; whom it mentions."""
    if not text.text and not text.attachments:
        raise _invalid("The message is empty.")
    if text.forwarded is not None or text.edited_ms:
        raise _invalid("Only the server states that a message was forwarded or edited.")
    if text.attachments:
        _check_attachments(text.attachments)
    return check_spans(text.text, text.spans)


def check_spans(text: str, spans: Sequence[Span]) -> Mentions:
    """Whether the spans fit the text; whom they mention."""
    if not spans:
        return NOBODY
    length = len(text)
    users: set[UserId] = set()
    is_everybody = False
    for span in spans:
        if span.start + span.length > length:
            raise _invalid(f"A span ends at {span.start + span.length}, the text at {length}.")
        if span.kind == SpanKind.MENTION:
            if span.user is None:
                raise _invalid("A mention does not say of whom.")
            users.add(span.user)
        elif span.kind == SpanKind.MENTION_ALL:
            is_everybody = True
        elif span.kind == SpanKind.LINK and not span.url.lower().startswith(LINK_SCHEMES):
            raise _invalid("A link leads to http, https, mailto or lanyard.")
    _check_nesting(spans)
    if len(users) > MAX_MENTIONS:
        raise RequestRefused(
            ErrorCode.TOO_LARGE, f"At most {MAX_MENTIONS} people are mentioned by name."
        )
    return Mentions(frozenset(users), is_everybody)


def _check_nesting(spans: Sequence[Span]) -> None:
    """Spans may nest, never cross."""
    open_ends: list[int] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.length)):
        end = span.start + span.length
        while open_ends and open_ends[-1] <= span.start:
            open_ends.pop()
        if open_ends and end > open_ends[-1]:
            raise _invalid("Two spans cross each other.")
        open_ends.append(end)


def _check_attachments(attachments: Sequence[Attachment]) -> None:
    if len({attachment.id for attachment in attachments}) < len(attachments):
        raise _invalid("The same file is attached twice.")
    for attachment in attachments:
        name = attachment.name
        if name in (".", "..") or any(c in "/\\" or ord(c) < 32 or ord(c) == 127 for c in name):
            raise _invalid(f"A file's name is up to {MAX_NAME_CHARS} characters without a path.")
        if attachment.digest and len(attachment.digest) != DIGEST_BYTES:
            raise _invalid(f"A digest has {DIGEST_BYTES} bytes.")
        if not (0 <= attachment.width <= MAX_PIXELS and 0 <= attachment.height <= MAX_PIXELS):
            raise _invalid("An image's width or height is out of range.")


def _invalid(sentence: str) -> RequestRefused:
    return RequestRefused(ErrorCode.INVALID, sentence)
