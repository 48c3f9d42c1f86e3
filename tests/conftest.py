# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test gets: the guards, a home and a temporary folder of its own, hypothesis profiles."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.guards.logs", "tests.guards.leftovers", "tests.guards.network", "pytester"]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# Deadlines measure the machine, not the code; bench/ does that. CI must say the same thing twice.
hypothesis.settings.register_profile("dev", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "ci", deadline=None, print_blob=True, derandomize=True, database=None
)
hypothesis.settings.register_profile("deep", deadline=None, print_blob=True, max_examples=2000)
hypothesis.settings.load_profile("ci" if IN_CI else "dev")


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders that do not exist yet, one for each test."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def isolated(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test out of the user's files: home, XDG folders and TMPDIR are fresh and empty."""
    home = next(homes)
    scratch = home / "tmp"
    scratch.mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith(("XDG_", "LANYARD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: somebody thinks that it ran."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"not run, which counts as failed in CI: {reason}"
    return report
