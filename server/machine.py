# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks over the machine on which the server runs: clock, disk, ports, file descriptors. Looks change nothing."""

import errno
import os
import resource
import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from server.config import EVERYWHERE, Config
from server.findings import Finding, fault, good, warning

DISK_FAULT_BYTES: Final = 100 << 20
"""Below this the next checkpoint or backup may fail."""
DISK_WARNING_BYTES: Final = 2 << 30
"""A busy office of 10,000 writes about 1 GB in a week."""
SPARE_DESCRIPTORS: Final = 128
"""Besides connections: database, readers, log, control socket."""
CLOCK_TOLERANCE_S: Final = 300.0
"""Between the clock and a file's time: network file systems keep their own."""


def check_clock(files: Iterable[Path], now_s: float) -> Finding:
    """The clock is not behind what was written before."""
    newest, newest_s = None, 0.0
    for path in files:
        try:
            at_s = path.stat().st_mtime
        except OSError:
            continue  # other checks tell
        if at_s > newest_s:
            newest, newest_s = path, at_s
    if newest_s > now_s + CLOCK_TOLERANCE_S:
        hours = (newest_s - now_s) / 3600
        sentence = f"The clock is {hours:.1f} hours behind the time at which {newest} was written."
        return fault("clock", sentence, "Set the clock: timedatectl set-ntp true")
    return good("clock", "The clock agrees with the times of the files.")


def check_disk(folders: Iterable[Path]) -> Iterator[Finding]:
    """There is room where the server writes."""
    seen: set[int] = set()
    for folder in folders:
        if not folder.is_dir() or folder.stat().st_dev in seen:
            continue
        seen.add(folder.stat().st_dev)
        free_bytes, inodes = shutil.disk_usage(folder).free, os.statvfs(folder)
        free = f"{free_bytes / (1 << 30):.1f} GB free in {folder}"
        mend = "Make room, or move the folder to a larger disk (store.url, store.backup_folder)."
        if free_bytes < DISK_FAULT_BYTES:
            yield fault("disk", f"The disk is full: {free}.", mend)
        elif free_bytes < DISK_WARNING_BYTES:
            yield warning("disk", f"The disk is nearly full: {free}.", mend)
        elif inodes.f_files and inodes.f_favail < 1000:
            yield fault("disk", f"{folder} has no room for more files (inodes).", mend)
        else:
            yield good("disk", f"{free}.")


def check_ports(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """The port is there to be taken or, while the server runs, answers."""
    port = config.listen.port
    if port == 0:
        return
    for family, address in _addresses(config):
        where = f"{address} port {port}"
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(5.0)
            try:
                if is_running:
                    probe.connect((_reachable(address), port))
                else:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind((address, port))
                    probe.listen(1)
            except OSError as error:
                yield _port_finding(error, where)
            else:
                what = "answers" if is_running else "is free"
                yield good("port", f"{where} {what}.")


def _port_finding(error: OSError, where: str) -> Finding:
    if error.errno == errno.EADDRINUSE:
        mend = "See who has it: ss -ltnp; stop that program or set listen.port."
        return fault("port", f"{where} is taken by another program.", mend)
    if error.errno == errno.EACCES:
        mend = "Take a port from 1024 on, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit."
        return fault("port", f"{where} may not be taken by this user.", mend)
    if error.errno == errno.EADDRNOTAVAIL:
        mend = 'Correct listen.addresses; "*" is all addresses.'
        return fault("port", f"{where}: this machine has no such address.", mend)
    mend = "Look at the server's log and at the firewall of this machine."
    return fault("port", f"{where}: {os.strerror(error.errno or 0)}.", mend)


def _addresses(config: Config) -> Iterator[tuple[socket.AddressFamily, str]]:
    for address in config.listen.addresses:
        if address == EVERYWHERE:
            yield socket.AF_INET, "0.0.0.0"  # noqa: S104 - a probe that listens for a moment
            if _has_ipv6():
                yield socket.AF_INET6, "::"
        else:
            yield (socket.AF_INET6 if ":" in address else socket.AF_INET), address


def _reachable(address: str) -> str:
    """Where to call a server that listens on all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - a comparison


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def check_descriptors(connections: int, process: int | None) -> Finding:
    """The server may open as many files as it takes connections. ``process``: the running server, when there is one."""
    limit = _limit_of(process) if process else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = connections + SPARE_DESCRIPTORS
    if limit is not None and limit != resource.RLIM_INFINITY and limit < needed:
        return warning(
            "descriptors",
            f"{limit} open files are allowed, {needed} are needed for {connections} connections.",
            f"LimitNOFILE={needed} in the systemd unit, or set limits.connections to {limit - SPARE_DESCRIPTORS}.",
        )
    return good("descriptors", f"Enough open files are allowed for {connections} connections.")


def raise_descriptor_limit(connections: int) -> bool:
    """Let this process open as many files as so many connections need, within what it may; whether that is enough."""
    needed = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted >= needed
    return True


def _limit_of(process: int) -> int | None:
    try:
        for line in Path(f"/proc/{process}/limits").read_text(encoding="ascii").splitlines():
            if line.startswith("Max open files"):
                soft = line.split()[3]
                return int(soft) if soft.isdigit() else None
    except OSError:
        return None
    return None
