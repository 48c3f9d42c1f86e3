# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine gives without us: durable transactions one by one, and OpenSSL's own memory."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from bench.failures import BenchFailed

BARE_CONNECTIONS = 500


def commits_per_s(folder: Path, seconds: float) -> float:
    """Transactions of one message each that SQLite makes durable in a second, back to back."""
    path = folder / "commits.db"
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = wal")
        db.execute("PRAGMA synchronous = full")
        db.execute("CREATE TABLE message (key INTEGER PRIMARY KEY, body BLOB)")
        body, count = bytes(200), 0
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            db.execute("INSERT INTO message (body) VALUES (?)", (body,))
            count += 1
        return count / (now - began)
    finally:
        db.close()
        for left in folder.glob("commits.db*"):
            left.unlink()


def bare_tls_kb(keys: Path) -> float:
    """KB that OpenSSL keeps for the server's side of one connection. Raises BenchFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.children.bare_tls", str(keys), str(BARE_CONNECTIONS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"the connections in memory failed: {done.stderr}")
    return float(done.stdout)
