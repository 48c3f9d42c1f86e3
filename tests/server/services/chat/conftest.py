# SPDX-License-Identifier: GPL-3.0-or-later
"""An office for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty office with its server running."""
    world = World(tmp_path)
    yield world
    world.ends()
