# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house as checks. Each says what it found and why the rule is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SHIPPED = ["protocol", "server", "client", "p2p", "remote", "ldapsync", "installer"]
FOLDERS = [*SHIPPED, "bench", "tests", "docs"]

LONGEST_FILE_LINES = 420

# A file that no test file imports by name, and the tests that nevertheless run it. Keep it short.
COVERED_BY: dict[str, str] = {
    "ldapsync/controls.py": "tests/ldapsync/follow/test_syncrepl.py",
    "ldapsync/opening.py": "tests/ldapsync/test_checks.py",
    "ldapsync/owners.py": "tests/ldapsync/test_links.py",
    "ldapsync/questions.py": "tests/ldapsync/test_directory.py",
    "ldapsync/teams.py": "tests/ldapsync/test_links.py",
    "ldapsync/tls.py": "tests/ldapsync/test_directory.py",
    "ldapsync/explanation.py": "tests/live/test_ldapsync_commands.py",
    "ldapsync/rounds.py": "tests/live/test_ldapsync_runs.py",
    "ldapsync/watch.py": "tests/live/test_ldapsync_commands.py",
}

# Rooms whose files are tested as users meet them, through the room's face, rather than one by one: the tests that do so.
TESTED_THROUGH_ITS_FACE = {
    "client/core/": "tests/client/core",
    "client/cli/": "tests/client/cli",
    "server/services/": "tests/server/services",
    "server/store/": "tests/server",
    "server/sessions/": "tests/server/services/chat",
    "server/commands/": "tests/server/commands",
    "ldapsync/commands/": "tests/live",
    "ldapsync/planning/": "tests/ldapsync",
}

# A name says what a thing is. These say that something is done, or that nobody knew where to put it.
WEAK_NAMES = re.compile(
    r"(^|_)(managers?|handlers?|processors?|utils?|helpers?|common|base|misc|stuff)(_|$)"
)
WEAK_CLASSES = re.compile(r"(Manager|Handler|Processor|Utils?|Helpers?|Misc)$")

# Written so that this page does not find itself.
WORDS = {
    r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b": "a note to oneself is a task that nobody sees",
    r"NotImplemented[E]rror": "a stub promises what is not there; build it when it is needed",
    r"(?<![\w.~])/(work|roo[t]|home/\w+)/": "a path of one machine",
    r"(?i)\b(pypi\.o[r]g|pythonhos[t]ed|npm[j]s)\b": "where packages come from is the machine's affair",
    r"(?i)\b(white|black)[-]?list|\bsla[v]e\b": "say allow, refuse, replica: what it does",
    r"(?i)\bissues? #?[0-9]": "the reader does not have the ticket; say what it was about",
}


def _files(*patterns: str, folders: Iterable[str] = FOLDERS) -> Iterator[Path]:
    for folder in folders:
        for pattern in patterns:
            yield from sorted((ROOT / folder).rglob(pattern))


def _python() -> Iterator[Path]:
    yield from _files("*.py")
    yield from (ROOT / "dev.py", ROOT / "setup.py")


def _shipped() -> Iterator[Path]:
    yield from _files("*.py", folders=SHIPPED)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _none_of(found: Iterable[str], why: str) -> None:
    """Fail with the list and the reason, unless the list is empty."""
    if lines := list(found):
        pytest.fail(f"{why}\n  " + "\n  ".join(lines), pytrace=False)


# ------------------------------------------------------------------------------------ single files


def test_each_file_names_its_licence() -> None:
    first = "# SPDX-License-Identifier: GPL-3.0-or-later"
    _none_of(
        (_name(path) for path in _python() if first not in path.read_text().splitlines()[:2]),
        f"The first line of each Python file is: {first}",
    )


def test_each_module_says_what_lives_in_it() -> None:
    _none_of(
        (_name(path) for path in _python() if not ast.get_docstring(ast.parse(path.read_text()))),
        "A module's docstring says in a line or four what lives here and what must not.",
    )


def test_no_file_grows_without_end() -> None:
    lengths = {
        _name(path): len(path.read_text().splitlines())
        for path in _python()
        if not path.is_relative_to(ROOT / "tests")
    }
    _none_of(
        (f"{name}: {lines}" for name, lines in lengths.items() if lines > LONGEST_FILE_LINES),
        f"More than {LONGEST_FILE_LINES} lines: which second noun in the file wants its own room?",
    )


def test_names_say_what_a_thing_is() -> None:
    weak = [_name(path) for path in _python() if WEAK_NAMES.search(path.stem)]
    for path in _shipped():
        nodes = ast.walk(ast.parse(path.read_text()))
        classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        weak += [f"{_name(path)}: {one.name}" for one in classes if WEAK_CLASSES.search(one.name)]
    _none_of(weak, "Name a file or class by a noun of the domain: what is it, not what is done.")


def test_words_that_do_not_belong_here() -> None:
    found = []
    files = [*_files("*.py", "*.md", "*.sql", "*.toml"), *ROOT.glob("*.*"), ROOT / ".ci" / "run"]
    for path in files:
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [f"{_name(path)}:{where}" for where in _words_in(lines)]
    _none_of(found, "These say nothing to the reader who comes later:")


def _words_in(lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        for pattern, why in WORDS.items():
            if match := re.search(pattern, line):
                yield f"{number}: {match.group()!r}: {why}"


def test_documents_point_to_what_is_there() -> None:
    link = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
    found = []
    for path in [ROOT / "README.md", *_files("*.md", folders=["docs"])]:
        targets = link.findall(path.read_text(encoding="utf-8"))
        found += [f"{_name(path)}: {one}" for one in targets if not (path.parent / one).exists()]
    _none_of(found, "Links to files that do not exist:")


# ---------------------------------------------------------------------------------------- modules

IMPORT_EACH = """
import importlib, os, sys, threading, traceback, warnings

# Children of this process start warm with what is not ours, and cold with what is.
for name in ("argparse", "asyncio", "msgspec", "cryptography.x509", "peewee", "twisted.internet.defer",
             "twisted.internet.interfaces", "zeroconf", "dns.resolver", "argon2", "zstandard"):
    importlib.import_module(name)
warnings.filterwarnings("error", module=r"(protocol|server|client|p2p|remote|ldapsync|installer)\\b")
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
            if threading.active_count() > 1:
                print(f"{name}: importing it starts a thread")
            if "twisted.internet.reactor" in sys.modules:
                print(f"{name}: importing it installs a reactor; app.py passes it on")
        except BaseException:
            print(f"{name}: {traceback.format_exc()}")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_each_module_imports_alone() -> None:
    modules = [_module(path) for path in _shipped() if path.stem != "__main__"]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    _none_of(
        (done.stdout + done.stderr).splitlines(),
        "A module that cannot be imported first hangs in a cycle, or does work at import:",
    )


def _imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _does_something(path: Path) -> bool:
    """False for a package's file that holds a docstring and nothing else."""
    return path.stem != "__init__" or len(ast.parse(path.read_text()).body) > 1


def test_each_source_file_has_its_test() -> None:
    tests = list(_files("test_*.py", folders=["tests"]))
    imported = {name for path in tests for name in _imported_by(path)}
    mirrors = {_name(path).replace("/test_", "/").removeprefix("tests/") for path in tests}
    _none_of(
        (
            _name(path)
            for path in _shipped()
            if _does_something(path)
            and _module(path) not in imported
            and _name(path) not in mirrors | COVERED_BY.keys()
            and not _name(path).startswith(tuple(TESTED_THROUGH_ITS_FACE))
        ),
        "No test file imports these or mirrors their path (COVERED_BY names the exceptions):",
    )


def test_the_list_of_exceptions_is_true() -> None:
    names = [*COVERED_BY, *COVERED_BY.values()]
    _none_of(
        (name for name in names if not (ROOT / name).is_file()), "COVERED_BY names what is not:"
    )
    rooms = {
        room: list((ROOT / tests).rglob("test_*.py"))
        for room, tests in TESTED_THROUGH_ITS_FACE.items()
    }
    _none_of((room for room, tests in rooms.items() if not tests), "No test is there for these:")


# ------------------------------------------------------------------------------- import contracts


def _lint_imports(folder: Path) -> str:
    run = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", run, "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_import_contracts_hold() -> None:
    shown = _lint_imports(ROOT)
    assert re.search(r"\b0 broken", shown), shown


# A house in which each contract is broken once.
BROKEN_HOUSE = {
    "protocol/__init__.py": "",
    "protocol/frames.py": "import time, server",
    "server/__init__.py": "",
    "server/main.py": "import tests",
    "server/transport/__init__.py": "",
    "server/transport/tcp.py": "import server.sessions.online, client",
    "server/sessions/__init__.py": "",
    "server/sessions/online.py": "",
    "server/services/__init__.py": "",
    "server/services/rooms.py": "import twisted, peewee, zeroconf, PyQt6, aiortc",
    "server/store/__init__.py": "",
    "server/store/people.py": "import peewee",
    "client/__init__.py": "",
    "client/core/__init__.py": "",
    "client/core/app.py": "import client.cli, twisted",
    "client/cli/__init__.py": "",
    "ldapsync/__init__.py": "",
    "ldapsync/plan.py": "import ldap3, server",
    "p2p/__init__.py": "",
    "p2p/peers.py": "import client, zeroconf",
}


def test_import_contracts_bite(tmp_path: Path) -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(settings)
    for name, text in BROKEN_HOUSE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    shown = _lint_imports(tmp_path)
    contracts = settings.count("[[tool.importlinter.contracts]]")
    assert f"0 kept, {contracts} broken" in shown, shown


# ----------------------------------------------------------------------------------- what we stand on


def _bounds() -> Iterator[Requirement]:
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            for item in ast.literal_eval(node.value):
                if re.search(r"[<>=]", item):
                    yield Requirement(item)


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): number for name, number in pins}


def test_each_requirement_has_two_bounds_and_a_pin_between() -> None:
    pins = _pins()
    bounds = list(_bounds())
    assert len(bounds) > 15
    for bound in bounds:
        assert {"<", ">="} == {part.operator for part in bound.specifier}, bound
        assert bound.specifier.contains(pins[canonicalize_name(bound.name)]), bound


def test_the_tests_run_with_what_is_pinned() -> None:
    pins = _pins()
    names = ["twisted", "msgspec", "peewee", "cryptography", "zeroconf", "pytest", "mypy", "ruff"]
    assert {name: version(name) for name in names} == {name: pins[name] for name in names}
