# SPDX-License-Identifier: GPL-3.0-or-later
"""Where commands take their requests: to the running server or, when none runs, to the organisation itself. Both answer alike."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from protocol.messages.kinds import ReplyT_co, Request
from server.operator_line import NoServer, OperatorLine
from server.organisation import FolderLock, Organisation
from server.software import software


class Office(Protocol):
    """Answers the operator's requests."""

    def ask(self, request: Request[ReplyT_co]) -> ReplyT_co:
        """The answer. Raises RequestRefused, Failure."""


@contextlib.contextmanager
def open_office(organisation: Organisation) -> Iterator[Office]:
    """An office for one command. Raises Failure."""
    config = organisation.load_config()
    organisation.check_owner()
    path = organisation.control_socket(config)
    try:
        line = OperatorLine(path, software())
    except NoServer:
        if FolderLock(organisation).holder() is not None:
            raise  # somebody has the folder and does not answer
    else:
        with line:
            yield line
        return
    from server.idle import (
        IdleServer,
    )  # the whole server: half a second that most commands don't need

    with IdleServer(organisation, config) as idle:
        yield idle
