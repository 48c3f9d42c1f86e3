# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a full read of a directory takes, next to the bare paged read by ldap3 of the same entries, and how much memory.

    python3 dev.py bench directory_read [PEOPLE]

Each side runs in a process of its own, one after the other, against one slapd on this machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ldap3

from ldapsync.config_file import parse
from ldapsync.follow.change import Sorter
from ldapsync.opening import open_directory
from ldapsync.people import PersonRules
from ldapsync.reading import Reader
from tests.support.ldap_company import BASE, PEOPLE, Company
from tests.support.ldap_office import IN_PEOPLE
from tests.support.slapd import PASSWORD, READER, Slapd

USUAL_PEOPLE = 100_000
PAGE = 500
CHANGES = 10
"""Of an incremental run."""
TARGET = 1.3
TARGET_MIB = 300


def bare(config_file: Path) -> int:
    """The paged read that is the measure: SYNC, page by page, the result code looked at on each."""
    config = parse(config_file.read_text()).directories["main"]
    tls = ldap3.Tls(validate=2, ca_certs_file=config.ca_file)
    server = ldap3.Server(config.servers[0], get_info=ldap3.NONE, tls=tls)
    connection = ldap3.Connection(server, READER, PASSWORD, check_names=False, auto_bind=True)
    attributes = PersonRules(config).attributes
    cookie, count = None, 0
    while True:
        connection.search(
            PEOPLE, config.people.filter, attributes=attributes, paged_size=PAGE, paged_cookie=cookie,
            dereference_aliases=ldap3.DEREF_NEVER,
        )  # fmt: skip
        if connection.result["result"] != 0:
            raise SystemExit(connection.result)
        count += len(connection.response)
        cookie = connection.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
        if not cookie:
            connection.unbind()
            return count


def whole(config_file: Path) -> int:
    """Ours: units, people, checks, and everything made of them."""
    config = parse(config_file.read_text()).directories["main"]
    reader = Reader(config)
    wanted = reader.read(0)
    with open_directory(config) as directory:
        sorter = Sorter(config, directory, config.people.anchor)
        started = time.perf_counter()
        change = sorter.change(list(wanted.people)[:CHANGES])
        patch = reader.take(change, 0) if change else None
    if patch is None:
        raise SystemExit("the changes were not taken")
    print(f"{CHANGES} changes in {time.perf_counter() - started:.3f} s", file=sys.stderr)
    return len(wanted.people)


def child(side: str, config_file: str) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    count = {"bare": bare, "whole": whole}[side](Path(config_file))
    # Not ru_maxrss: that is inherited from whoever started us.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    print(f"{count} {time.perf_counter() - started:.2f} {time.process_time() - cpu:.2f} {peak}")


def main(arguments: list[str]) -> int:
    if len(arguments) == 2:
        child(*arguments)
        return 0
    people = int(arguments[0]) if arguments else USUAL_PEOPLE
    with tempfile.TemporaryDirectory() as folder:
        company = Company(people)
        print(f"{people} people, {len(company.units)} units, below {BASE}; page {PAGE}, TLS")
        with Slapd(Path(folder) / "slapd", company) as slapd:
            config_file = Path(folder) / "ldapsync.toml"
            config_file.write_text(
                slapd.toml(f'page_size = {PAGE}\n{IN_PEOPLE}other_name = ["cn;lang-en"]\n')
            )
            figures = {
                side: _measured(side, config_file) for side in ("bare", "whole", "bare", "whole")
            }
    ratio = figures["whole"][1] / figures["bare"][1]
    memory = figures["whole"][3]
    print(
        f"ratio of wall time: {ratio:.2f} (aim {TARGET}); memory: {memory:.0f} MiB (aim {TARGET_MIB})"
    )
    return 0 if ratio <= TARGET and memory <= TARGET_MIB else 1


def _measured(side: str, config_file: Path) -> list[float]:
    command = [sys.executable, "-m", "bench.directory_read", side, str(config_file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures = [float(each) for each in done.stdout.split()]
    print(
        f"{side:5} {figures[0]:7.0f} entries {figures[1]:7.2f} s wall {figures[2]:7.2f} s CPU {figures[3]:5.0f} MiB",
        flush=True,
    )
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
