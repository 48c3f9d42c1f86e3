# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of directories, run for real with a small company. How fast anything is, is not asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FIGURES = {
    "runs": {
        "bare read by ldap3",
        "full read",
        "plan of everything",
        "plan of everything, memory",
        "first apply",
        "first apply, memory",
        "plan with nothing to do",
        "plan with nothing to do, memory",
        "nothing to do, beyond the read",
    },
    "meanwhile": {
        "a message while all are applied, median",
        "a message while all are applied, p99",
        "the slowest",
    },
    "watch": {"a changed title at the server", "10 changes at once, until all are there"},
}


def test_each_figure_is_there_and_was_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.ldap", "--people", "120", "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert {name: set(figures) for name, figures in said["figures"].items()} == FIGURES
    for name in ("bare read by ldap3", "full read", "first apply"):
        assert said["figures"]["runs"][name]["min"] > 0
    assert said["ratios"]["read"] > 0
