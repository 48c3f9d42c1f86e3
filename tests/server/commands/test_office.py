# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a command takes its requests, when somebody else has the folder, and when nobody has."""

from __future__ import annotations

import pytest

from protocol.messages.admin import GetServerStatus
from server.commands.office import open_office
from server.failures import Exit, Failure
from server.idle import IdleServer
from server.organisation import FolderLock, Organisation


def test_without_a_server_the_organisation_answers_itself(organisation: Organisation) -> None:
    with open_office(organisation) as office:
        assert office.ask(GetServerStatus()).people == 1
    with open_office(organisation) as office:  # it is closed in order, and opened again
        assert office.ask(GetServerStatus()).sessions == 0
    assert FolderLock(organisation).holder() is None


def test_a_server_that_does_not_answer_is_not_bypassed(organisation: Organisation) -> None:
    lock = FolderLock(organisation)
    lock.acquire()
    with pytest.raises(Failure, match="No server runs") as caught, open_office(organisation):
        pytest.fail("was opened")
    assert caught.value.exit_code == Exit.UNAVAILABLE
    lock.release()


def test_a_folder_that_is_in_use_is_left_alone(organisation: Organisation) -> None:
    lock = FolderLock(organisation)
    lock.acquire()
    config = organisation.load_config()
    with pytest.raises(Failure, match="in use by process"), IdleServer(organisation, config):
        pytest.fail("was opened")
    lock.release()


def test_an_organisation_that_cannot_be_opened_leaves_nothing_open(
    organisation: Organisation,
) -> None:
    organisation.database(organisation.load_config()).write_bytes(b"rubbish" * 1000)
    with pytest.raises(Failure), open_office(organisation):
        pytest.fail("was opened")
    assert FolderLock(organisation).holder() is None
