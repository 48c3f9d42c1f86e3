#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lanyard's workbench: python3 dev.py COMMAND [ARGUMENTS]

  demo [--once]       play a scene in a sample office, and keep it running
  test                all checks: lint, types, import contracts, every test
  test ARGUMENTS      only pytest, with these arguments (tests/protocol -k frames)
  bench [NAME ...]    run a benchmark; without a name, say which there are
  lint [--fix]        style and import contracts; --fix mends what can be mended
  types               mypy, strict

The first run makes .venv beside this file and installs into it what constraints.txt pins; later
runs only look whether that still holds. Needs Python 3.11 or newer and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as ET

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "lanyard-stamp"
BUILD = ROOT / "build"

# Debian packages that tests need beyond Python, and the program by which one sees that it is there.
TEST_PROGRAMS: dict[str, str] = {
    "faketime": "faketime",
    "slapd": "/usr/sbin/slapd",
    "ldap-utils": "ldapmodify",
    "samba": "/usr/sbin/samba",
    "samba-ad-dc": "/usr/sbin/samba",
    "samba-ad-provision": "/usr/sbin/samba",  # files alone, for samba-tool
    "python3-samba": "samba-tool",
    "winbind": "/usr/sbin/winbindd",
}

ROOMS = ["protocol", "server", "client", "p2p", "remote", "ldapsync", "installer"]
TYPED = [*ROOMS, "bench", "tests", "dev.py"]


class Stop(Exception):
    """dev.py cannot go on; the text says why and what to do."""


def say(text: str) -> None:
    """Announce a step, before the program that takes it prints anything."""
    print(f"== {text}", flush=True)


def run(command: Sequence[str | Path]) -> int:
    """Run a program in the project's folder and return its exit code."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


# ------------------------------------------------------------------------------- system packages


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def apt_get(*arguments: str) -> bool:
    """Run apt-get; what it prints is shown only when it fails."""
    done = subprocess.run(
        ["apt-get", "-qq", *arguments],
        # RUNLEVEL: daemons that tests start for themselves shall not run for the machine.
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout)
    return done.returncode == 0


def apt_install(packages: Sequence[str], reason: str) -> bool:
    """Install Debian packages when that is possible and allowed; False when it was not."""
    if not is_root() or shutil.which("apt-get") is None:
        return False
    say(f"installing {' '.join(packages)} with apt-get: {reason}")
    apt_get("update")  # one broken source among many need not stop the installation
    return apt_get("install", "--yes", "--no-install-recommends", *packages)


def provide_test_programs() -> None:
    """Install what tests need beyond Python, or say what is missing and go on."""
    missing = [name for name, program in TEST_PROGRAMS.items() if shutil.which(program) is None]
    if missing and not apt_install(missing, "tests use them"):
        say(f"some tests cannot run here; as root: apt-get install {' '.join(missing)}")


# ------------------------------------------------------------------------------- the environment


def venv_version() -> str | None:
    """Version of the Python in .venv; None when it is missing, broken, moved or another Python's."""
    try:
        is_ours = str(VENV) in (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
        answer = subprocess.run(
            [PYTHON, "-I", "-c", "import pip, sys; print(sys.version)"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    series = f"{sys.version_info.major}.{sys.version_info.minor}."
    version = answer.stdout.strip()
    return version if is_ours and version.startswith(series) else None


def base_python() -> str:
    """The interpreter that environments are made from, also when we run inside of one."""
    return getattr(sys, "_base_executable", None) or sys.executable


def can_make_venv() -> bool:
    """Debian leaves ensurepip out of its Python until python3.x-venv is installed."""
    command = [base_python(), "-I", "-c", "import ensurepip, venv"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_venv() -> str:
    """Make .venv anew and return the version of its Python."""
    if not can_make_venv():
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if not apt_install([package], "Python comes without venv and pip here"):
            raise Stop(
                "this Python cannot make virtual environments: its modules venv and ensurepip are"
                f" missing.\nOn Debian or Ubuntu, as root: apt-get install {package}\n"
                "Elsewhere: install your system's package for Python's venv and pip."
                " Then run this again."
            )
    say(f"{'rebuilding' if VENV.exists() else 'making'} {VENV.name} with {base_python()}")
    if run([base_python(), "-m", "venv", "--clear", VENV]) != 0:
        raise Stop(f"{VENV} could not be made; the lines above say why.")
    version = venv_version()
    if version is None:
        raise Stop(f"{PYTHON} was made but does not start. Is {ROOT} mounted noexec?")
    return version


def fingerprint(version: str) -> str:
    """Changes whenever .venv has to be filled anew."""
    digest = hashlib.sha256(version.encode())
    for name in ("setup.py", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def provide_environment() -> None:
    """Make and fill .venv, unless it stands and holds what the project asks for."""
    wanted = fingerprint(venv_version() or make_venv())
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    STAMP.unlink(missing_ok=True)
    say("installing what constraints.txt pins into .venv (about a minute the first time)")
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    pinned = [*pip, "-c", "constraints.txt"]
    if (
        run([*pinned, "pip", "setuptools"]) != 0
        or run([*pinned, "--no-build-isolation", "-e", ".[test,ldap]"]) != 0
    ):
        raise Stop(
            "pip could not install the packages; its lines above say which.\nIs there a network, or"
            " does pip know your organisation's index (python3 -m pip config list)?"
        )
    STAMP.write_text(wanted)


# ----------------------------------------------------------------------------------------- checks


@dataclass(frozen=True)
class Check:
    """One program that says yes or no."""

    name: str
    command: list[str | Path]

    def passes(self) -> bool:
        """Run it and show what it prints."""
        say(self.name)
        return run(self.command) == 0


@dataclass
class Tally:
    """How many tests and checks went how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def count(self, is_good: bool) -> None:
        """Add one check."""
        self.passed += is_good
        self.failed += not is_good

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def style_checks() -> list[Check]:
    ruff: list[str | Path] = [PYTHON, "-m", "ruff"]
    lint_imports = PYTHON.with_name("lint-imports")
    return [
        Check("style", [*ruff, "check", "--quiet", "."]),
        Check("format", [*ruff, "format", "--check", "--quiet", "."]),
        Check("import contracts", [lint_imports, "--no-logo", "--cache-dir", BUILD / "imports"]),
    ]


def type_check() -> Check:
    present: list[str | Path] = [name for name in TYPED if (ROOT / name).exists()]
    return Check("types", [PYTHON, "-m", "mypy", *present])


def pytest(*arguments: str | Path) -> list[str | Path]:
    return [PYTHON, "-m", "pytest", *arguments]


def tally_of(report: Path) -> Tally:
    """Read the counts from pytest's report; without one, pytest itself has failed."""
    try:
        suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - we wrote it
    except (OSError, ET.ParseError):
        suite = None
    if suite is None:
        return Tally(failed=1)
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    passed = counts["tests"] - failed - counts["skipped"]
    return Tally(passed, failed, counts["skipped"])


def run_all_checks() -> int:
    """Run every check to its end and sum them up; the last line counts tests and checks together."""
    results: list[tuple[str, bool, float]] = []
    for check in [*style_checks(), type_check()]:
        started = time.monotonic()
        results.append((check.name, check.passes(), time.monotonic() - started))
    say("tests")
    report = BUILD / "tests.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    is_good = run(pytest(f"--junitxml={report}")) == 0
    tally = tally_of(report)
    if not is_good and not tally.failed:
        tally.failed = 1
    results.append((f"tests: {tally}", is_good, time.monotonic() - started))
    say("summary")
    for name, is_good, seconds in results:
        print(f"   {'ok    ' if is_good else 'FAILED'} {seconds:6.1f} s  {name}")
    for _name, is_good, _seconds in results[:-1]:
        tally.count(is_good)
    print(f"total: {tally}", flush=True)
    return 1 if tally.failed else 0


# --------------------------------------------------------------------------------------- commands


def become(command: Sequence[str | Path]) -> NoReturn:
    """Turn into a program, so that its signals and its exit code are ours."""
    if os.name == "nt":
        sys.exit(run(command))
    os.chdir(ROOT)
    os.execv(command[0], [str(part) for part in command])  # noqa: S606 - no shell is the point


def seen_from_root(argument: str) -> str:
    """Paths are the caller's: name a file of the caller's folder so that it is found from ours."""
    path, colons, test = argument.partition("::")
    is_foreign = Path.cwd() != ROOT and not argument.startswith("-") and Path(path).exists()
    return str(Path(path).resolve()) + colons + test if is_foreign else argument


def demo(arguments: list[str]) -> int:
    provide_environment()
    become([PYTHON, "-m", "tests.scenes.office", *arguments])


def test(arguments: list[str]) -> int:
    provide_environment()
    provide_test_programs()
    if arguments:
        become(pytest(*map(seen_from_root, arguments)))
    return run_all_checks()


def bench(arguments: list[str]) -> int:
    names = sorted(
        path.stem
        for path in (ROOT / "bench").glob("[!_]*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    )
    if not arguments:
        print("benchmarks:", *names or ["none yet"])
        return 0
    if arguments[0] not in names:
        raise Stop(f"there is no benchmark {arguments[0]}, but: {', '.join(names) or 'none yet'}")
    provide_environment()
    become([PYTHON, "-m", f"bench.{arguments[0]}", *arguments[1:]])


def lint(arguments: list[str]) -> int:
    if arguments not in ([], ["--fix"]):
        raise Stop("lint takes no argument but --fix")
    provide_environment()
    if arguments:
        say("mending what can be mended")
        run([PYTHON, "-m", "ruff", "check", "--fix", "--quiet", "."])
        run([PYTHON, "-m", "ruff", "format", "--quiet", "."])
    results = [check.passes() for check in style_checks()]
    return 0 if all(results) else 1


def types(arguments: list[str]) -> int:
    if arguments:
        raise Stop("types takes no arguments")
    provide_environment()
    return 0 if type_check().passes() else 1


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "test": test,
    "bench": bench,
    "lint": lint,
    "types": types,
}


def main(arguments: Sequence[str]) -> int:
    """Carry out one command and return its exit code."""
    if sys.version_info < OLDEST_PYTHON:
        raise Stop(f"Lanyard needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    name, *rest = arguments or ["--help"]
    if name in {"-h", "--help", "help"}:
        print(__doc__)
        return 0
    if name not in COMMANDS:
        raise Stop(f"there is no command {name}, but: {', '.join(COMMANDS)}")
    return COMMANDS[name](rest)


if __name__ == "__main__":
    # A terminated dev.py must not leave the program that it runs behind.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"dev.py: {stop}")
    except KeyboardInterrupt:
        sys.exit(130)
