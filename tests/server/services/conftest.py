# SPDX-License-Identifier: GPL-3.0-or-later
"""An office for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.services.office import Office
from tests.support.world import World


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An organisation without people."""
    office = Office(tmp_path)
    yield office
    office.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty office with its server running."""
    world = World(tmp_path)
    yield world
    world.ends()
