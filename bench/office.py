# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast and how large the server is: `python3 dev.py bench office [--quick] [--json]`.

The real server on one core, the load on another; 10,000 people of a sample company. What is measured and what it means stands in
docs/performance.md.
"""

import argparse
import datetime as dt
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench import figures, machine, situations
from bench.failures import BenchFailed
from bench.figures import Ratio, Section
from bench.load import Load
from bench.premises import furnish
from bench.situations import Bench, Scale
from bench.vitals import allow_descriptors, choose_cores

QUICK: Final = Scale(
    windows=3, window_s=1.5, warm_s=0.5, calm_s=6.0, held_s=2.0, settle_s=1.0, returns=3
)
SPARE_DESCRIPTORS: Final = 500

Situation = Callable[[Bench], Iterator[Section]]
SITUATIONS: Final[dict[str, Situation]] = {
    "machine": situations.machine_alone,
    "many": situations.many,
    "echo-many": situations.echo_many,
    "few": situations.few,
    "catch-up": situations.returning,
}
LEFT_OUT_WHEN_QUICK: Final = frozenset({"echo-many"})


def main() -> int:
    """Measure, and print a table or JSON."""
    arguments = _arguments()
    scale = _scale(arguments)
    cores = choose_cores()
    if not cores.are_apart:
        _tell("this machine has one core: server and load disturb each other")
    if not allow_descriptors(scale.many + SPARE_DESCRIPTORS):
        _tell("fewer open files are allowed than there are connections (ulimit -n)")
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="lanyard-bench-", dir=arguments.dir) as folder:
            facts = machine.look(Path(folder))
            _tell(f"an office of {_people(scale)} people")
            premises = furnish(Path(folder) / "office", _people(scale))
            with Load(cores.load) as load:
                left_out = LEFT_OUT_WHEN_QUICK if arguments.quick else frozenset[str]()
                wanted = arguments.only or [name for name in SITUATIONS if name not in left_out]
                sections = _measure(Bench(premises, load, scale, cores), wanted)
    except (BenchFailed, OSError) as error:
        _tell(f"stopped: {error}")
        return 1
    ratios = _ratios(sections)
    if arguments.json:
        record = {
            "bench": "office",
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "took_s": round(time.monotonic() - started, 1),
            "machine": msgspec.to_builtins(facts),
            "scale": msgspec.to_builtins(scale),
            **figures.as_record(sections, ratios),
        }
        print(json.dumps(record, ensure_ascii=False, indent=1))
    else:
        for name, value in msgspec.to_builtins(facts).items():
            print(f"{name}: {value}")
        print()
        print(figures.as_table(sections, ratios))
    return 0


def _measure(bench: Bench, wanted: list[str]) -> list[Section]:
    sections = []
    for name, situation in SITUATIONS.items():
        if name not in wanted:
            continue
        _tell(name)
        for section in situation(bench):
            _tell(f"  {section.title}")
            sections.append(section)
    return sections


def _ratios(sections: list[Section]) -> list[Ratio]:
    """What can be compared with another machine: each figure against what the same run measured as a baseline."""
    by_key = {section.key: section for section in sections}
    wanted = [
        ("closed_few_cpu", "closed_few", "echo_few", "cpu_us_per_message", "µs a message / echo's"),
        (
            "closed_few_deep_cpu",
            "closed_few_deep",
            "echo_few_deep",
            "cpu_us_per_message",
            "the same",
        ),
        ("sign_in_cpu", "closed_few", "echo_few", "sign_in_cpu_us", "µs a sign-in / echo's"),
        ("closed_few_acks", "closed_few", "echo_few", "acks_per_s", "acks / echo's"),
        ("spread_cpu", "spread_many", "echo_many", "cpu_us_per_message", "µs a message / echo's"),
        ("spread_acks", "spread_many", "echo_many", "acks_per_s", "acks / echo's"),
    ]
    ratios = [
        Ratio(key, meaning, by_key[one].figure(what).median / by_key[base].figure(what).median)
        for key, one, base, what, meaning in wanted
        if one in by_key and base in by_key
    ]
    if "machine" in by_key:
        alone = by_key["machine"]
        if "closed_few" in by_key:
            acks = by_key["closed_few"].figure("acks_per_s").median
            commits = alone.figure("commits_per_s").median
            ratios.append(
                Ratio("acks_per_commit", "acks / single commits of SQLite", acks / commits)
            )
        if "held" in by_key:
            ours = by_key["held"].figure("rss_kb_per_connection").median
            bare = alone.figure("bare_tls_kb_per_connection").median
            ratios.append(Ratio("memory", "KB a connection / OpenSSL's own", ours / bare))
    return ratios


def _people(scale: Scale) -> int:
    return max(scale.many, scale.few, scale.away_chats)


def _scale(arguments: argparse.Namespace) -> Scale:
    chosen = QUICK if arguments.quick else Scale()
    given = {
        name: value
        for name in Scale.__struct_fields__
        if (value := getattr(arguments, name)) is not None
    }
    return msgspec.structs.replace(chosen, **given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench office", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="end within two minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", action="append", default=[], choices=list(SITUATIONS))
    parser.add_argument("--dir", type=Path, help="where the office is made (otherwise $TMPDIR)")
    group = parser.add_argument_group("scale, for trying things out")
    for field in msgspec.structs.fields(Scale):
        group.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, metavar="N")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # A benchmark that is terminated must not leave its servers behind.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main())
