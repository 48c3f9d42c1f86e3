# SPDX-License-Identifier: GPL-3.0-or-later
"""A port with certificates, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ports import Certificates, Port
from tests.support.reactors import ReactorThread


@pytest.fixture(scope="session")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates that no test replaces."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def thread() -> Iterator[ReactorThread]:
    with ReactorThread() as running:
        yield running


@pytest.fixture
def port(thread: ReactorThread, issued: Certificates) -> Iterator[Port]:
    opened = Port(thread, issued)
    yield opened
    opened.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Certificates:
    """Certificates that the test may replace."""
    return Certificates(tmp_path / "certificates")
