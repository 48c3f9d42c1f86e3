# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of the office, run for real with a handful of people. How fast anything is, is not asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TINY = {
    "few": 4,
    "many": 6,
    "rate": 100,
    "windows": 2,
    "window-s": 0.3,
    "warm-s": 0.1,
    "calm-s": 0.1,
    "held-s": 0.2,
    "settle-s": 0.1,
    "away-chats": 3,
    "away-messages": 30,
    "returns": 2,
}
LOADED = {
    "acks_per_s",
    "delivered_per_s",
    "cpu_us_per_message",
    "server_busy_percent",
    "load_busy_percent",
    "foreign_percent",
    "ack_p50_ms",
    "ack_p99_ms",
}
FIGURES = {
    "machine": {"commits_per_s", "bare_tls_kb_per_connection"},
    "held": {
        "rss_kb_per_connection",
        "pss_kb_per_connection",
        "rss_kb_with_conversation",
        "idle_percent",
        "sign_in_cpu_us",
    },
    "offered": LOADED | {"ack_max_ms"},
    "spread_many": LOADED,
    "closed_many": LOADED,
    "echo_many": LOADED,
    "closed_few": LOADED | {"sign_in_cpu_us"},
    "echo_few": LOADED | {"sign_in_cpu_us"},
    "closed_few_deep": LOADED,
    "echo_few_deep": LOADED,
    "catch_up": {"client_s", "protocol_s"},
}


def bench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.office", "--dir", str(folder), *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Any:
    scale = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    folder = tmp_path_factory.mktemp("bench")
    done = bench("--json", *scale, folder=folder)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []  # it cleans up after itself
    return json.loads(done.stdout)


def test_every_situation_gives_the_promised_figures(record: Any) -> None:
    found = {section: set(values) for section, values in record["figures"].items()}
    assert found == FIGURES


def test_each_figure_has_its_repetitions(record: Any) -> None:
    for section, values in record["figures"].items():
        for key, figure in values.items():
            assert figure["n"] >= 1, (section, key)
            assert figure["min"] <= figure["median"] <= figure["max"], (section, key)
            assert figure["unit"]
    assert record["figures"]["closed_few"]["acks_per_s"]["n"] == TINY["windows"]
    assert record["figures"]["catch_up"]["client_s"]["n"] == TINY["returns"]


def test_messages_went_through_the_real_server(record: Any) -> None:
    for section in ("offered", "spread_many", "closed_many", "closed_few"):
        values = record["figures"][section]
        assert values["acks_per_s"]["min"] > 0
        assert values["delivered_per_s"]["min"] > 0
        assert values["cpu_us_per_message"]["min"] > 0
        assert 0 < values["ack_p50_ms"]["min"] <= values["ack_p99_ms"]["max"]


def test_the_run_says_on_what_and_how_it_was_made(record: Any) -> None:
    assert record["bench"] == "office"
    assert record["scale"]["few"] == TINY["few"]
    assert record["at"].endswith("+00:00")
    machine = record["machine"]
    assert machine["cores"] >= 1
    assert 0 < machine["sync_p50_ms"] <= machine["sync_p99_ms"]
    for fact in ("cpu", "kernel", "python", "openssl", "sqlite", "file_system"):
        assert machine[fact]


def test_ratios_compare_with_what_the_same_run_measured(record: Any) -> None:
    figures, ratios = record["figures"], record["ratios"]
    ours = figures["closed_few"]["cpu_us_per_message"]["median"]
    base = figures["echo_few"]["cpu_us_per_message"]["median"]
    assert ratios["closed_few_cpu"] == pytest.approx(ours / base, rel=0.01)
    assert set(ratios) == {
        "closed_few_cpu",
        "closed_few_deep_cpu",
        "closed_few_acks",
        "sign_in_cpu",
        "spread_cpu",
        "spread_acks",
        "acks_per_commit",
        "memory",
    }


def test_a_table_for_people(tmp_path: Path) -> None:
    done = bench("--only", "machine", "--few", "2", "--many", "2", "--window-s", "0.1",
                 "--away-chats", "2", "--windows", "1", folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "### baselines: the machine alone" in done.stdout
    assert "| commits_per_s | 1/s | 1 |" in done.stdout


def test_a_server_that_does_not_start_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    done = bench("--only", "machine", folder=missing)
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr
