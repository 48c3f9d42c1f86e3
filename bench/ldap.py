# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a directory takes to reach a Lanyard server: first run, a run with nothing to do, a changed title on its way, and what people
who chat meanwhile notice of it.

    python3 dev.py bench ldap [--people 100000] [--json]

slapd, the server and the tool are processes of their own; the measure is the bare paged read by ldap3, in the same run.
"""

import argparse
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import figures
from bench.figures import Figure, Goal, Ratio, Section, Wish
from protocol.codec import encode_content
from protocol.ids import direct_conversation_id, uuid7
from protocol.messages.chat import Post
from protocol.messages.content import Text
from tests.support.ldap_company import Company
from tests.support.server_process import Caller, ServerProcess, make_organisation
from tests.support.slapd import Slapd
from tests.support.sync_office import MAPPING, SyncOffice

USUAL_PEOPLE: Final = 100_000
CHANGES: Final = 10
PACE_S: Final = 0.2
"""Between two messages of the witness: as fast as one person may write for minutes."""
LET_EVERYTHING: Final = "[guards]\nupdate = { count = 1000000 }\nmove = { count = 1000000 }\nset_aside = { count = 1000 }\n"


class Ran:
    """A command that ran to its end as a process of its own."""

    def __init__(self, words: list[str], *, allowed: tuple[int, ...] = (0,)) -> None:
        # Between us and the command stands a small process: a child's memory counts from its parent's.
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, check=True
        )
        facts = json.loads(done.stdout.splitlines()[-1])
        self.seconds: float = facts["seconds"]
        self.mebibytes: float = facts["kibibytes"] / 1024
        if facts["code"] not in allowed:
            raise SystemExit(f"{words} ended with {facts['code']}:\n{done.stderr[-2000:]}")


MEASURE: Final = """
import json, resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=sys.stderr)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": time.monotonic() - began, "kibibytes": usage.ru_maxrss, "code": code}))
"""


class Witness:
    """Somebody who writes to themselves all the time, and how long each message took."""

    def __init__(self, server: ServerProcess) -> None:
        self.took_s: list[float] = []
        self._stop = threading.Event()
        self._caller = Caller(server)
        self._me = self._caller.sign_in(device=secrets.token_bytes(16)).user
        self._thread = threading.Thread(target=self._write, name="witness")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write from here to the end of it."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            self._caller.close()

    def _write(self) -> None:
        conversation = direct_conversation_id(self._me, self._me)
        content = encode_content(Text("still here"))
        while not self._stop.wait(PACE_S):
            id = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
            began = time.monotonic()
            self._caller.ask(Post(conversation, id, content, peer=self._me))
            self.took_s.append(time.monotonic() - began)

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        return sorted(self.took_s)[int(share * (len(self.took_s) - 1))] * 1000


def main() -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=USUAL_PEOPLE)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lanyard-bench-") as name:
        folder = Path(name)
        company = Company(arguments.people)
        organisation = make_organisation(folder / "office")
        with Slapd(folder / "slapd", company) as slapd, ServerProcess(organisation) as server:
            office = SyncOffice(folder, slapd, server)
            office.configure(MAPPING, guards=LET_EVERYTHING)
            sections, ratios = _measure(office, company)
    if arguments.json:
        sys.stdout.write(json.dumps(figures.as_record(sections, ratios)) + "\n")
    else:
        sys.stdout.write(figures.as_table(sections, ratios) + "\n")
    return 0


def _measure(office: SyncOffice, company: Company) -> tuple[list[Section], list[Ratio]]:
    program = [sys.executable, "-m", "ldapsync.main"]
    config = ["--config", str(office.config)]
    read = Ran([sys.executable, "-c", BARE_READ, str(office.config)])
    plan = Ran([*program, "plan", *config], allowed=(2,))
    witness = Witness(office.server)
    with witness.watching():
        first = Ran([*program, "apply", "--yes", *config])
    nothing = Ran([*program, "plan", *config], allowed=(0,))
    whole = Ran([sys.executable, "-c", WHOLE_READ, str(office.config)])
    latencies, several = _watched(office, company)
    first_figures = (
        _figure("bare read by ldap3", "s", read.seconds),
        _figure("full read", "s", whole.seconds),
        _figure("plan of everything", "s", plan.seconds),
        _figure("plan of everything, memory", "MiB", plan.mebibytes),
        _figure("first apply", "s", first.seconds, 60),
        _figure("first apply, memory", "MiB", first.mebibytes),
        _figure("plan with nothing to do", "s", nothing.seconds),
        _figure("plan with nothing to do, memory", "MiB", nothing.mebibytes, 300),
        _figure(
            "nothing to do, beyond the read", "s", max(0.0, nothing.seconds - whole.seconds), 5
        ),
    )
    meanwhile = (
        _figure("a message while all are applied, median", "ms", witness.percentile(0.5)),
        _figure("a message while all are applied, p99", "ms", witness.percentile(0.99), 100),
        _figure("the slowest", "ms", witness.percentile(1.0)),
    )
    following = (
        Figure("a changed title at the server", "s", tuple(latencies), Goal(Wish.AT_MOST, 3)),
        _figure(f"{CHANGES} changes at once, until all are there", "s", several, 3),
    )
    ratios = [
        Ratio("nothing", "plan with nothing to do / bare read", nothing.seconds / read.seconds),
        Ratio("read", "full read / bare read", whole.seconds / read.seconds),
    ]
    title = f"{len(company.people):,} people, {len(company.units):,} departments"
    sections = [
        Section("runs", f"Runs: {title}", first_figures),
        Section("meanwhile", "Chat meanwhile", meanwhile),
        Section("watch", "Following", following),
    ]
    return sections, ratios


def _watched(office: SyncOffice, company: Company) -> tuple[list[float], float]:
    """How long single changes take, and ten at once."""
    tool = office.start("watch", "--json")
    try:
        probe = company.people[1]
        office.slapd.set(probe.dn, title="first")
        _heard(tool)  # the full read is over, and this change is there
        latencies = []
        for number in range(5):
            began = time.monotonic()
            office.slapd.set(company.people[2 + number].dn, title=f"Changed {number}")
            _heard(tool)
            latencies.append(time.monotonic() - began)
        began = time.monotonic()
        lines = "".join(
            f"dn: {one.dn}\nchangetype: modify\nreplace: title\ntitle: Together\n\n"
            for one in company.people[20 : 20 + CHANGES]
        )
        office.slapd.change(lines)
        left = CHANGES
        while left > 0:
            left -= _heard(tool)["counts"].get("update", 0)
        return latencies, time.monotonic() - began
    finally:
        tool.terminate()
        tool.communicate(timeout=60)


def _heard(tool: subprocess.Popen[str]) -> dict[str, Any]:
    assert tool.stdout is not None
    line = tool.stdout.readline()
    if not line:
        raise SystemExit("watch ended")
    found: dict[str, Any] = json.loads(line)
    if found["event"] != "applied":
        raise SystemExit(f"watch: {found}")
    return found


def _figure(key: str, unit: str, value: float, at_most: float | None = None) -> Figure:
    return Figure(key, unit, (value,), None if at_most is None else Goal(Wish.AT_MOST, at_most))


BARE_READ: Final = "import sys; from pathlib import Path; from bench.directory_read import bare; bare(Path(sys.argv[1]))"
WHOLE_READ: Final = "import sys; from pathlib import Path; from bench.directory_read import whole; whole(Path(sys.argv[1]))"


if __name__ == "__main__":
    sys.exit(main())
