# SPDX-License-Identifier: GPL-3.0-or-later
"""Identifiers: 16 bytes each, made where the thing is made, never reused.

An id made by a client (a message, a group) makes its request idempotent: the same id sent twice is
the same thing.
"""

import hashlib
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

ID_BYTES: Final = 16

_Id = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]

UserId: TypeAlias = _Id
DeviceId: TypeAlias = _Id
DepartmentId: TypeAlias = _Id
RoleId: TypeAlias = _Id
ConversationId: TypeAlias = _Id
MessageId: TypeAlias = _Id
SessionId: TypeAlias = _Id
RunId: TypeAlias = _Id

_TIMESTAMP_MAX: Final = 1 << 48


def uuid7(now_ms: int, entropy: bytes) -> bytes:
    """A UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, 74 bits of ``entropy``.

    ``entropy`` is 10 random bytes. Ids of one clock sort by time to the millisecond; nothing may rely
    on the clocks of two computers.
    Raises ValueError when the time or the entropy does not fit.
    """
    if not 0 <= now_ms < _TIMESTAMP_MAX:
        raise ValueError(f"a UUIDv7 holds 48 bits of milliseconds, not {now_ms}")
    if len(entropy) != 10:
        raise ValueError(f"a UUIDv7 takes 10 bytes of entropy, not {len(entropy)}")
    version = bytes((0x70 | entropy[0] & 0x0F, entropy[1], 0x80 | entropy[2] & 0x3F))
    return now_ms.to_bytes(6, "big") + version + entropy[3:]


def direct_conversation_id(one: UserId, other: UserId) -> ConversationId:
    """The id of the direct conversation of two people: the same from both sides, without asking."""
    return _derived(b"lanyard direct conversation", min(one, other) + max(one, other))


def department_conversation_id(department: DepartmentId) -> ConversationId:
    """The id of a department's own conversation."""
    return _derived(b"lanyard department conversation", department)


def format_id(value: bytes) -> str:
    """The text form of an id for people, logs and JSON: 8-4-4-4-12 (RFC 9562 section 4)."""
    digits = value.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def parse_id(text: str) -> bytes:
    """Read the text form of an id, with or without hyphens. Raises ValueError when it is none."""
    try:
        value = bytes.fromhex(text.strip().replace("-", ""))
    except ValueError:
        value = b""
    if len(value) != ID_BYTES:
        raise ValueError(f"{text!r} is not an id: an id is 32 hexadecimal digits, as 8-4-4-4-12")
    return value


def _derived(purpose: bytes, name: bytes) -> bytes:
    """A UUID version 8 (RFC 9562 section 5.8) from SHA-256 over a purpose and a name."""
    digest = hashlib.sha256(purpose + b"\0" + name).digest()
    return (
        digest[:6]
        + bytes((0x80 | digest[6] & 0x0F, digest[7], 0x80 | digest[8] & 0x3F))
        + digest[9:16]
    )
