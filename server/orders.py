# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the operator can tell a running server, through the control socket: to read its configuration again, to go back to a backup.

An order is the first and only frame of its connection, and gets one answer. Any other first frame begins an ordinary session.
"""

from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from protocol.messages.kinds import Error, Reply, Request


class Reloaded(Reply, frozen=True, tag="control.reloaded"):
    """The configuration and the certificates are read again."""

    changed: tuple[str, ...] = ()
    """A line for each option that has another value."""
    needs_restart: tuple[str, ...] = ()
    """Options that keep their old value until the server is restarted."""


class Reload(Request[Reloaded], frozen=True, tag="control.reload"):
    """Read config.toml and the certificates again, as SIGHUP does."""


class Restored(Reply, frozen=True, tag="control.restored"):
    """The server serves again, with the other database."""

    kept: str = ""
    """Where the database that was in use lies now."""
    ended_sessions: int = 0


class Restore(Request[Restored], frozen=True, tag="control.restore"):
    """End all sessions, put this database in place of the one in use, and serve again."""

    database: str
    """A checked database on the same file system; it is moved."""


Order: TypeAlias = Reload | Restore
OrderAnswer: TypeAlias = Reloaded | Restored | Error


class _OrderEnvelope(Struct, array_like=True, frozen=True):
    number: int
    message: Order


class _AnswerEnvelope(Struct, array_like=True, frozen=True):
    number: int
    message: OrderAnswer


_order_decoder: Final = msgspec.msgpack.Decoder(_OrderEnvelope)
_answer_decoder: Final = msgspec.msgpack.Decoder(_AnswerEnvelope)


def read_order(body: bytes) -> Order | None:
    """The order in the body of a frame; None for anything else."""
    try:
        return _order_decoder.decode(body).message
    except msgspec.MsgspecError:
        return None


def read_answer(body: bytes) -> OrderAnswer:
    """The answer to an order. Raises msgspec.MsgspecError."""
    return _answer_decoder.decode(body).message
